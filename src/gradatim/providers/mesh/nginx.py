"""NGINX: a second Ingress beside the user's, whose annotations tell ingress-nginx to send it a share of the traffic.

The user's Ingress (`ingressRef`) is only read. The generated one, `<ingressRef>-canary`, has its paths for the apex,
pointed at the canary Service; weight, header and cookie stand in annotations `<prefix>/canary…`, which are all ours.

Same as Flagger: name, annotations, their values, and that a canary without weight keeps its Ingress at weight 0.

Better than Flagger: hosts and paths of other services are not cloned, as the canary's share of their requests would
count as the canary's; labels and annotations by which deployment tools recognise their objects are not copied, and
later changes of the source's NGINX annotations are followed; what annotations cannot express is refused; with header
or cookie the split is all or nothing, so that a stepped promotion ends instead of asking for steps for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gradatim.api.canary import Canary
from gradatim.core import names
from gradatim.core.problems import Problem
from gradatim.core.readiness import Ready
from gradatim.core.settings import Settings
from gradatim.core.weights import ALL_CANARY, ALL_PRIMARY, Routes, split
from gradatim.ports.errors import ProviderError, UnexpectedObject
from gradatim.ports.mesh import Mesh, Queries, QueryScope
from gradatim.ports.objects import INGRESS, Manifest, Ref
from gradatim.ports.scene import Scene, Seen
from gradatim.providers import absence, adoption, manifests, unsupported
from gradatim.providers.manifests import flux_guard
from gradatim.providers.queries import counters, mean, ratio
from gradatim.providers.tracking import untracked

NAME = "nginx"
_COMPARISONS = {"exact": "value", "regex": "pattern"}
_NO_INGRESS = "ingress selector is empty"


class CanaryIngress:
    """The router for canary annotations."""

    def check(self, canary: Canary, settings: Settings) -> Iterable[Problem]:
        """A missing Ingress, matches that annotations cannot express, fields without effect."""
        analysis = canary.spec.analysis
        if canary.spec.ingress_ref is None:
            yield Problem("spec.ingressRef", f"{_NO_INGRESS}; name the Ingress that routes to {canary.apex}")
        if analysis.match and analysis.iterations <= 0:
            message = "must be set beside analysis.match: NGINX tests by header or cookie, not by weight"
            yield Problem("spec.analysis.iterations", message)
        yield from _check_matches(canary)
        yield from unsupported.fields(canary.spec.service, (), NAME)

    def reads(self, scene: Scene, seen: Seen) -> Iterable[Ref]:
        """The user's Ingress and ours."""
        return _source(scene.canary), _ours(scene.canary)

    def ensure(self, scene: Scene, seen: Seen) -> Iterable[Manifest]:
        """Our Ingress as it must be, with its live weight."""
        found = seen[_ours(scene.canary)]
        return self.shift(scene, seen, ALL_PRIMARY if found is None else _live(scene, found))

    def routes(self, scene: Scene, seen: Seen) -> Routes:
        """The weight in the annotations; with header or cookie the canary has all."""
        return _live(scene, absence.required(seen, _ours(scene.canary), "ingress"))

    def shift(self, scene: Scene, seen: Seen, to: Routes) -> Iterable[Manifest]:
        """Our Ingress with another weight, or with the header and cookie of the test."""
        canary, prefix = scene.canary, scene.settings.ingress_annotations_prefix
        source = absence.required(seen, _source(canary), "ingress")
        wanted = _base(scene, source, seen[_ours(canary)])
        wanted["spec"] = _rewritten(canary, source)
        annotations = {
            key: value for key, value in manifests.annotations_of(wanted).items() if f"{prefix}/canary" not in key
        }
        annotations |= _routing(source, prefix) | flux_guard() | _canary_annotations(canary, prefix, to)
        manifests.put(wanted, annotations, "metadata", "annotations")
        return (wanted,)

    def settled(self, scene: Scene, seen: Seen) -> Ready:
        """ingress-nginx writes nothing back."""
        return Ready()

    def restore(self, scene: Scene, seen: Seen) -> Iterable[Manifest]:
        """An Ingress of that name that was there before us as it was; our own goes with the Canary."""
        found = seen[_ours(scene.canary)]
        prefix = scene.settings.ingress_annotations_prefix
        wanted = None if found is None else adoption.given_back(found, (), _replaced(found, prefix))
        return () if wanted is None else (wanted,)


def _source(canary: Canary) -> Ref:
    if canary.spec.ingress_ref is None:
        raise ProviderError(_NO_INGRESS)
    return Ref(INGRESS, canary.namespace, canary.spec.ingress_ref.name)


def _ours(canary: Canary) -> Ref:
    source = _source(canary)
    return Ref(INGRESS, canary.namespace, f"{source.name}-canary")


def _base(scene: Scene, source: Manifest, found: Manifest | None) -> Manifest:
    """What our Ingress starts from: what is there, or the source's metadata without what is not meant for a copy."""
    canary, prefix = scene.canary, scene.settings.ingress_annotations_prefix
    if found is None:
        labels = untracked(manifests.labels_of(source))
        annotations = untracked(manifests.annotations_of(source))
        name = _ours(canary).name
        return manifests.new_object(INGRESS, canary.namespace, name, canary, labels=labels, annotations=annotations)
    wanted = manifests.copy_of(found)
    if adoption.taking_over(found, canary):
        adoption.mark(wanted, found, manifests.mapping(found, "spec"), (), _replaced(found, prefix))
    return wanted


def _replaced(found: Manifest, prefix: str) -> list[str]:
    """The annotations that we may change on an Ingress of somebody else."""
    return [*flux_guard(), *(key for key in _noted(found) if key.startswith(f"{prefix}/"))]


def _noted(found: Manifest) -> set[str]:
    before = adoption.before_us(found) or {}
    return {*manifests.annotations_of(found), *manifests.mapping(before, "metadata", "annotations")}


def _routing(source: Manifest, prefix: str) -> dict[str, str]:
    """The source's settings for the controller; its other annotations are copied once."""
    own = f"{prefix}/canary"
    found = manifests.annotations_of(source).items()
    return {key: value for key, value in found if key.startswith(f"{prefix}/") and own not in key}


def _canary_annotations(canary: Canary, prefix: str, to: Routes) -> dict[str, str]:
    plain = {f"{prefix}/canary": "true", f"{prefix}/canary-weight": "0"}
    if not canary.spec.analysis.match:
        return plain | {f"{prefix}/canary-weight": str(to.canary)}
    return plain | _by_request(canary, prefix) if to == ALL_CANARY else plain


def _by_request(canary: Canary, prefix: str) -> dict[str, str]:
    """The test's header and cookie; what annotations cannot express would move the wrong users, so it is refused."""
    if problem := next((problem for problem in _check_matches(canary) if problem.blocks), None):
        raise ProviderError(f"Invalid request matching selectors: {problem}")
    found: dict[str, str] = {}
    for _, name, value in _headers(canary):
        if _is_cookie(name, value):
            found[f"{prefix}/canary-by-cookie"] = value["exact"]
            continue
        found[f"{prefix}/canary-by-header"] = name
        kind = "exact" if value.get("exact") else "regex"
        found[f"{prefix}/canary-by-header-{_COMPARISONS[kind]}"] = value[kind]
    return found


def _headers(canary: Canary) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each header condition with its path in the Canary."""
    for index, entry in enumerate(canary.spec.analysis.match):
        for name, value in sorted((entry.get("headers") or {}).items()):
            yield f"spec.analysis.match[{index}].headers.{name}", name, value


def _is_cookie(name: str, value: dict[str, Any]) -> bool:
    return name.lower() == "cookie" and bool(value.get("exact"))


def _check_matches(canary: Canary) -> Iterator[Problem]:
    for index, entry in enumerate(canary.spec.analysis.match):
        place = f"spec.analysis.match[{index}]"
        for key in entry:
            if key != "headers":
                yield Problem(f"{place}.{key}", "NGINX selects by headers and cookies only; remove it")
        if not entry.get("headers"):
            yield Problem(place, "selects every request; name a header, or remove it")
        if len(entry.get("headers") or ()) > 1:
            yield Problem(f"{place}.headers", "NGINX tests each of them for itself, not all together", blocks=False)
    seen: set[bool] = set()
    for path, name, value in _headers(canary):
        if not value.get("exact") and not value.get("regex"):
            yield Problem(path, "NGINX compares headers by exact or regex only; use one of them")
        elif (cookie := _is_cookie(name, value)) in seen:
            kind = "cookie" if cookie else "header"
            yield Problem(path, f"NGINX selects by one {kind} at most; remove all but one")
        else:
            seen.add(cookie)


def _live(scene: Scene, found: Manifest) -> Routes:
    prefix = scene.settings.ingress_annotations_prefix
    annotations = manifests.annotations_of(found)
    if scene.canary.spec.analysis.match:
        by_request = (f"{prefix}/canary-by-header", f"{prefix}/canary-by-cookie")
        if any(key in annotations for key in by_request):
            return ALL_CANARY
    weight = annotations.get(f"{prefix}/canary-weight", "0")
    try:
        return split(int(weight))
    except ValueError as error:
        raise UnexpectedObject(f"failed to convert {weight} to int: {error}") from error


def _rewritten(canary: Canary, source: Manifest) -> Manifest:
    """The source's spec with only the paths for the apex, which lead to the canary Service, and their hosts."""
    spec = manifests.copy_of(manifests.mapping(source, "spec"))
    spec.pop("defaultBackend", None)
    rules = [ours for rule in manifests.items(spec, "rules") if (ours := _rule(canary, rule)) is not None]
    if not rules:
        text = f"backend {canary.apex} not found in ingress {_source(canary).name}"
        raise UnexpectedObject(text, "add a path that leads to this Service, or name another Ingress")
    spec["rules"] = rules
    tls = [block for block in manifests.items(spec, "tls") if _covers(block, {rule.get("host", "") for rule in rules})]
    manifests.put(spec, tls or None, "tls")
    return spec


def _rule(canary: Canary, rule: Manifest) -> Manifest | None:
    """A rule with the paths for the apex; None where it has none, such as a rule for a host alone."""
    paths = [
        path
        for path in manifests.items(rule, "http", "paths")
        if manifests.at(path, "backend", "service", "name") == canary.apex
    ]
    for path in paths:
        manifests.put(path, names.canary_service(canary), "backend", "service", "name")
    return {**rule, "http": {**rule["http"], "paths": paths}} if paths else None


def _covers(block: Manifest, hosts: set[str]) -> bool:
    """Whether a TLS block is for one of some hosts; no hosts and the host of no name mean all."""
    covered = manifests.items(block, "hosts")
    names_and_wildcards = hosts | {f"*.{host.partition('.')[2]}" for host in hosts}
    return not covered or "" in hosts or not names_and_wildcards.isdisjoint(covered)


def _success_rate(scope: QueryScope) -> str:
    return ratio("nginx_ingress_controller_requests", _requests(scope), 'status!~"5.*"', scope.interval)


def _duration(scope: QueryScope) -> str:
    return mean("nginx_ingress_controller_response_duration_seconds", _requests(scope), scope.interval, " * 1000")


def _counters(scope: QueryScope, primary: bool) -> str:
    """Only the canary has counters of its own: those of the main Ingress count whoever answers behind it."""
    return "" if primary else counters("nginx_ingress_controller_requests", _requests(scope))


def _requests(scope: QueryScope) -> tuple[str, ...]:
    return f'namespace="{scope.namespace}"', f'ingress="{scope.ingress}"', 'canary!=""'


MESHES = (
    Mesh(
        name=NAME,
        router=CanaryIngress(),
        queries=Queries(success_rate=_success_rate, duration=_duration, requests=_counters),
        writes=(INGRESS,),
        matches=frozenset({"headers"}),
    ),
)
