"""What holds for HTTPRoutes whatever a Canary says: edits in the middle of a run, and rules of other people."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mesh_vectors import file_of, look
from worlds import World, canary, scene

from gradatim.core.weights import ALL_PRIMARY, Routes, split
from gradatim.ports.objects import Manifest
from gradatim.ports.scene import Scene
from gradatim.providers import registry

MESHES = ("gatewayapi:v1", "gatewayapi:v1beta1")
STATUS = {
    "sessionAffinityCookie": "tier=QmZtRkLpWx",
    "primarySessionAffinityCookie": "base=AbCdEfGhIj",
    "previousSessionAffinityCookie": "tier=ZzZzZzZzZz",
}

_some = {
    "hosts": st.sampled_from([["a.example"], ["b.example", "c.example"]]),
    "timeout": st.just("5s"),
    "headers": st.sampled_from([{"response": {"remove": ["server"]}}, {"request": {"add": {"b": "1", "a": "2"}}}]),
    "rewrite": st.just({"uri": "/"}),
    "match": st.sampled_from([[{"uri": {"prefix": "/a"}}], [{"method": {"exact": "GET"}}, {"uri": {"exact": "/b"}}]]),
    "corsPolicy": st.just({"allowOrigin": ["https://a.example"]}),
    "mirror": st.just([{"backendRef": {"name": "audit", "port": 80}}]),
}
_affinity = st.sampled_from([{"cookieName": "tier"}, {"cookieName": "tier", "primaryCookieName": "base"}])
_tests = st.sampled_from(
    [[{"headers": {"b": {"exact": "1"}, "a": {"regex": "2"}}}], [{"queryParams": {"q": {"exact": "1"}}}]]
)
services = st.fixed_dictionaries({}, optional=_some)
analyses = st.one_of(
    st.fixed_dictionaries({}, optional={"sessionAffinity": _affinity}),
    st.fixed_dictionaries({"iterations": st.just(5)}, optional={"match": _tests}),
)
specs = st.fixed_dictionaries({"service": services, "analysis": analyses})
splits = st.one_of(st.integers(0, 100).map(split), st.just(Routes(100, 0, mirrored=True)))

FOREIGN: Manifest = {
    "name": "admin",
    "matches": [{"path": {"type": "PathPrefix", "value": "/admin"}}],
    "backendRefs": [{"group": "", "kind": "Service", "name": "admin", "port": 80, "weight": 1}],
}


def _scene(provider: str, spec: dict[str, Any]) -> Scene:
    return scene(canary(file_of(provider).canary, spec, status=STATUS))


def _take(provider: str, world: World, now: Scene, to: Routes | None = None) -> None:
    router = registry.mesh(provider).router
    seen = look(registry.mesh(provider), world, now)
    for manifest in router.ensure(now, seen) if to is None else router.shift(now, seen, to):
        world.write(manifest)


@pytest.mark.parametrize("provider", MESHES)
@settings(max_examples=80, deadline=None)
@given(before=specs, after=specs, to=splits)
def test_an_edited_canary_keeps_its_split(
    provider: str, before: dict[str, Any], after: dict[str, Any], to: Routes
) -> None:
    """Whatever is edited in the middle of a run, the repair is one write and moves no traffic.

    All users of a test are not all users: a test begins at the primary, and so does what comes after it.
    """
    mesh, world = registry.mesh(provider), World()
    _take(provider, world, _scene(provider, before))
    _take(provider, world, _scene(provider, before), to)
    edited = _scene(provider, after)
    assert mesh.router.routes(edited, look(mesh, world, edited)) == to
    _take(provider, world, edited)
    kept = bool(after["analysis"].get("match")) == bool(before["analysis"].get("match"))
    assert mesh.router.routes(edited, look(mesh, world, edited)) == (to if kept else ALL_PRIMARY)
    assert world.changed(mesh.router.ensure(edited, look(mesh, world, edited))) == []


@pytest.mark.parametrize("provider", MESHES)
@settings(max_examples=80, deadline=None)
@given(before=specs, after=specs, to=splits, place=st.integers(0, 3))
def test_other_peoples_rules_stay(
    provider: str, before: dict[str, Any], after: dict[str, Any], to: Routes, place: int
) -> None:
    """A rule for another backend is still there, whole, after edits and shifts; and ours are still told from it."""
    world = World()
    _take(provider, world, _scene(provider, before))
    (route,) = world.objects.values()
    route["spec"]["rules"].insert(min(place, len(route["spec"]["rules"])), FOREIGN)
    _take(provider, world, _scene(provider, after))
    _take(provider, world, _scene(provider, after), to)
    (route,) = world.objects.values()
    assert route["spec"]["rules"].count(FOREIGN) == 1
    (fresh,) = _fresh(provider, after, to).objects.values()
    assert [rule for rule in route["spec"]["rules"] if rule != FOREIGN] == fresh["spec"]["rules"]


def _fresh(provider: str, spec: dict[str, Any], to: Routes) -> World:
    world = World()
    _take(provider, world, _scene(provider, spec), to)
    return world


@pytest.mark.parametrize("provider", MESHES)
@settings(max_examples=80, deadline=None)
@given(spec=specs, to=splits)
def test_routes_are_valid(provider: str, spec: dict[str, Any], to: Routes) -> None:
    """No rule has two filters of a kind that may come once, and no filter names a header twice (E-4A)."""
    (route,) = _fresh(provider, spec, to).objects.values()
    for rule in route["spec"]["rules"]:
        backends = rule["backendRefs"]
        for filters in (rule.get("filters", []), *(backend.get("filters", []) for backend in backends)):
            kinds = [found["type"] for found in filters if found["type"] != "RequestMirror"]
            assert len(set(kinds)) == len(kinds)
            for found in filters:
                added = [header["name"] for header in found.get("responseHeaderModifier", {}).get("add", [])]
                assert len(set(added)) == len(added)
        assert sum(backend["weight"] for backend in backends) == 100
