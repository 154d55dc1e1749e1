"""Gateway API: one HTTPRoute per Canary, attached to the user's Gateways or, in a mesh, to the apex Service.

    progressive, blue/green   [weighted]
    A/B                       [weighted, for the test's matches] [all to the primary]
    session affinity          [sticky, per cookie] [weighted, handing out cookies]
                              [withdrawing the old cookie] [weighted]             while the canary has no weight

Same as Flagger: shape, order and content of these rules. v1beta1 knows no timeouts, no CORS and no primary cookie.

Better than Flagger: live weights survive every repair. Only what a Canary can express is replaced: labels, annotations,
rules for other backends, filters of other kinds and fields such as `name` or `retry` stay as they are, and a route that
was there before is given back on deletion. A rule is ours when one of its backends is the apex, the primary or the
canary Service. Its fields move along: a new sticky rule starts with those of the weighted one, but for the name.

A route that was there before keeps its hostnames when `service.hosts` is empty; without them it would catch all hosts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from gradatim.api.canary import Canary, SessionAffinity
from gradatim.core import names
from gradatim.core.problems import Problem
from gradatim.core.readiness import Ready, Waiting
from gradatim.core.settings import Settings
from gradatim.core.weights import ALL_CANARY, ALL_PRIMARY, TOTAL, Routes, split
from gradatim.ports.errors import Missing, ProviderError, UnexpectedObject
from gradatim.ports.mesh import Mesh
from gradatim.ports.objects import HTTP_ROUTE, Manifest, Ref, Resource
from gradatim.ports.scene import Scene, Seen
from gradatim.providers import absence, apex_metadata, cookies, manifests, queries, unsupported
from gradatim.providers import httproute_filters as filters
from gradatim.providers import httproute_matches as matches

HTTP_ROUTE_V1BETA1 = Resource("gateway.networking.k8s.io", "v1beta1", "httproutes", "HTTPRoute")
_DURATION = re.compile(r"(\d{1,5}(h|ms?|s)){1,4}", re.ASCII)
"""By GEP-2257."""
_NO_PARENTS = "GatewayRefs must be specified when using Gateway API as a provider."
_USED = frozenset({"gatewayRefs", "hosts", "match", "rewrite", "headers", "mirror"})
_USED_BY_V1 = _USED | {"timeout", "backendTimeout", "corsPolicy"}


class HttpRoutes:
    """The router for one version of HTTPRoute; `full` is v1 with everything Flagger maps there."""

    def __init__(self, name: str, resource: Resource, *, full: bool) -> None:
        self.name = name
        self.resource = resource
        self.full = full

    def check(self, canary: Canary, settings: Settings) -> Iterable[Problem]:
        """Missing parents, what routes cannot express, A/B beside session affinity, fields without effect."""
        analysis = canary.spec.analysis
        if not canary.spec.service.gateway_refs:
            yield Problem("spec.service.gatewayRefs", _NO_PARENTS)
        yield from matches.of_service(canary).problems
        yield from matches.of_analysis(canary).problems
        if analysis.match and analysis.session_affinity is not None:
            message = "cannot be combined with analysis.match; remove one of the two"
            yield Problem("spec.analysis.sessionAffinity", message)
        yield from cookies.check(canary)
        yield from filters.check(canary, cors=self.full)
        yield from _replaced_prefix(canary)
        if self.full:
            yield from _timeouts(canary)
        elif analysis.session_affinity is not None and analysis.session_affinity.primary_cookie_name:
            path = "spec.analysis.sessionAffinity.primaryCookieName"
            yield Problem(path, f"has no effect with provider {self.name}; remove it", blocks=False)
        yield from unsupported.fields(canary.spec.service, _USED_BY_V1 if self.full else _USED, self.name)

    def reads(self, scene: Scene, seen: Seen) -> Iterable[Ref]:
        """The route of the apex's name."""
        return (self._ref(scene.canary),)

    def ensure(self, scene: Scene, seen: Seen) -> Iterable[Manifest]:
        """The route as it must be, with its live weights, unless they are those of other users.

        All users of a test are not all users: a route that becomes a test, or is none any more, begins at the primary.
        """
        canary = scene.canary
        found, tests = seen[self._ref(canary)], bool(matches.of_analysis(canary).entries)
        live = None if found is None or _tests(canary, found) != tests else _live(canary, found)
        return (self._wanted(scene, found, live or ALL_PRIMARY),)

    def routes(self, scene: Scene, seen: Seen) -> Routes:
        """The weights of the last rule with both backends; mirrored when one of our rules copies to the canary."""
        canary = scene.canary
        ref = self._ref(canary)
        if (found := seen[ref]) is None:
            raise Missing(f"HTTPRoute {ref.name}.{ref.namespace} get error: {absence.not_found(ref)}")
        if (live := _live(canary, found)) is None:
            primary, other = names.primary_service(canary), names.canary_service(canary)
            place = f"{ref.name}.{ref.namespace}"
            raise UnexpectedObject(f"HTTPRoute {place} does not contain routes for {primary} and {other}")
        return live

    def shift(self, scene: Scene, seen: Seen, to: Routes) -> Iterable[Manifest]:
        """The route with other weights."""
        return (self._wanted(scene, seen[self._ref(scene.canary)], to),)

    def settled(self, scene: Scene, seen: Seen) -> Ready | Waiting:
        """Whether every parent that answered has accepted the route as it is now; silence counts as yes."""
        canary = scene.canary
        place = f"HTTPRoute {canary.apex}.{canary.namespace}"
        found = seen[self._ref(canary)]
        if found is None:
            return Waiting(f"{place} is not there yet")
        generation = manifests.number(found, "metadata", "generation")
        for wanted in _parents(canary):
            for condition in _conditions(found, wanted, canary.namespace):
                observed = manifests.number(condition, "observedGeneration")
                status = manifests.text(condition, "status")
                if status != "True" or observed < generation:
                    why = f"status: {status}, observed generation: {observed}, current generation: {generation}"
                    return Waiting(f"{place} parent {wanted.get('name', '')} is not ready ({why})")
        return Ready()

    def restore(self, scene: Scene, seen: Seen) -> Iterable[Manifest]:
        """A route that was there before us as it was; our own goes with the Canary."""
        return apex_metadata.given_back(scene, seen[self._ref(scene.canary)])

    def _ref(self, canary: Canary) -> Ref:
        return Ref(self.resource, canary.namespace, canary.apex)

    def _wanted(self, scene: Scene, found: Manifest | None, to: Routes) -> Manifest:
        canary = scene.canary
        hosts = list(canary.spec.service.hosts)
        parents = _parents(canary)
        rules = self._rules(canary, to)
        wanted = apex_metadata.claimed(self.resource, scene, found)
        spec = wanted.setdefault("spec", {})
        spec["parentRefs"] = parents
        if hosts:
            spec["hostnames"] = hosts
        elif manifests.controlled_by(wanted, canary):
            spec.pop("hostnames", None)
        spec["rules"] = self._placed(canary, manifests.items(spec, "rules"), rules)
        return wanted

    def _rules(self, canary: Canary, to: Routes) -> list[Manifest]:
        service, analysis = matches.of_service(canary), matches.of_analysis(canary)
        for problem in [*service.problems, *analysis.problems]:
            if problem.blocks:
                raise ProviderError(f"Invalid request matching selectors: {problem}")
        if analysis.entries:
            return [
                self._rule(canary, to, matches.merged(analysis.entries, service.entries), _both(canary, to)),
                self._rule(canary, to, service.entries, _both(canary, ALL_PRIMARY)[:1]),
            ]
        affinity = canary.spec.analysis.session_affinity
        if affinity is None:
            return [self._rule(canary, to, service.entries, _both(canary, to))]
        return self._sticky_rules(canary, to, affinity, service.entries)

    def _sticky_rules(
        self, canary: Canary, to: Routes, affinity: SessionAffinity, everybody: list[Manifest]
    ) -> list[Manifest]:
        """One rule per cookie, then the weighted one; which cookies there are is read from the status."""
        weighted = self._rule(canary, to, everybody, _both(canary, to))
        if to.canary == 0:
            old = canary.status.session_affinity_cookie or canary.status.previous_session_affinity_cookie
            if not old:
                return [weighted]
            asked = matches.merged(matches.by_cookie(cookies.pattern(old)), everybody)
            text = cookies.withdrawn(old, affinity)
            return [self._rule(canary, to, asked, _both(canary, ALL_PRIMARY), text), weighted]
        on_primary, on_canary = weighted["backendRefs"]
        sticky = []
        if cookie := canary.status.session_affinity_cookie:
            asked = matches.merged(matches.by_cookie(cookies.pattern(cookie)), everybody)
            sticky.append(self._rule(canary, to, asked, _both(canary, ALL_CANARY)))
            on_canary["filters"] = filters.adding("Set-Cookie", cookies.handed_to_canary(cookie, affinity))
        if self.full and (cookie := _primary_cookie(canary, affinity)):
            asked = matches.merged(matches.by_cookie(cookies.pattern(cookie)), everybody)
            sticky.append(self._rule(canary, to, asked, _both(canary, ALL_PRIMARY)))
            text = cookies.handed_to_primary(cookie, canary, affinity)
            on_primary["filters"] = filters.adding("Set-Cookie", text)
        return [*sticky, weighted]

    def _rule(
        self, canary: Canary, to: Routes, asked: list[Manifest], backends: list[Manifest], cookie: str = ""
    ) -> Manifest:
        """One rule with everything that all rules have; `cookie` is a `Set-Cookie` value for its answers."""
        service = canary.spec.service
        rule: Manifest = {"matches": deepcopy(asked), "backendRefs": backends}
        done = filters.of_service(canary, cors=self.full)
        if cookie:
            done = filters.adding("Set-Cookie", cookie, done)
        if to.mirrored:
            copy = _backend(canary, names.canary_service(canary))
            done.append(filters.mirror(copy, canary.spec.analysis.mirror_weight))
        if done:
            rule["filters"] = done
        times = {"request": service.timeout, "backendRequest": service.backend_timeout} if self.full else {}
        if times := {key: value for key, value in times.items() if value}:
            rule["timeouts"] = times
        return rule

    def _placed(self, canary: Canary, live: list[Manifest], wanted: list[Manifest]) -> list[Manifest]:
        """Our rules in the place of the first live one of ours, other people's around them as they stand."""
        ours = [rule for rule in live if _is_ours(canary, rule)]
        first = live.index(ours[0]) if ours else 0
        rest = [rule for rule in live[first:] if not _is_ours(canary, rule)]
        return [*live[:first], *self._dressed(canary, ours, wanted), *rest]

    def _dressed(self, canary: Canary, live: list[Manifest], wanted: list[Manifest]) -> list[Manifest]:
        """Our rules with what others added to them: each keeps its own, a new one gets that of the weighted rule."""
        if not live:
            return wanted
        old = _weighted(canary, live)
        old = len(live) - 1 if old is None else old
        shared = {key: value for key, value in self._foreign(live[old]).items() if key != "name"}
        offset = old - (_weighted(canary, wanted) or 0)
        added = [found for found in manifests.items(live[old], "filters") if not filters.ours(found, cors=self.full)]
        dressed = []
        for index, rule in enumerate(wanted):
            place = index + offset
            own = self._foreign(live[place]) if 0 <= place < len(live) else shared
            dressed.append({**own, **_with_filters(rule, added)})
        return dressed

    def _foreign(self, rule: Manifest) -> Manifest:
        """The fields of a rule that no Canary expresses."""
        ours = {"matches", "filters", "backendRefs"} | ({"timeouts"} if self.full else set())
        return {key: value for key, value in rule.items() if key not in ours}


def _with_filters(rule: Manifest, added: list[Manifest]) -> Manifest:
    """A rule with other people's filters behind ours, but before the mirror, which comes last."""
    done = manifests.items(rule, "filters")
    mirror = [found for found in done[-1:] if found["type"] == "RequestMirror"]
    together = [*done[: len(done) - len(mirror)], *added, *mirror]
    return {**rule, "filters": together} if together else rule


def _replaced_prefix(canary: Canary) -> Iterator[Problem]:
    """The API server refuses a rule that replaces a prefix unless it has one match, by prefix."""
    if not filters.replaces_prefix(canary.spec.service.rewrite or {}):
        return
    service, tests = matches.of_service(canary).entries, matches.of_analysis(canary).entries
    if len(service) * max(1, len(tests)) > 1 or service[0]["path"]["type"] != "PathPrefix":
        message = "ReplacePrefixMatch needs a single match, by uri prefix; use ReplaceFullPath, or fewer matches"
        yield Problem("spec.service.rewrite.type", message)


def _timeouts(canary: Canary) -> Iterator[Problem]:
    """Timeouts are passed on as they are; `0s` switches one off."""
    service = canary.spec.service
    for field, text in (("timeout", service.timeout), ("backendTimeout", service.backend_timeout)):
        if text and not _DURATION.fullmatch(text):
            message = f"{text!r} is no duration of Gateway API; write whole numbers with h, m, s or ms, such as 1m30s"
            yield Problem(f"spec.service.{field}", message)


def _parents(canary: Canary) -> list[Manifest]:
    """`gatewayRefs` with what the API server fills in."""
    if not canary.spec.service.gateway_refs:
        raise ProviderError(_NO_PARENTS)
    return [_filled_parent(ref) for ref in canary.spec.service.gateway_refs]


def _filled_parent(ref: Mapping[str, Any]) -> Manifest:
    return {"group": "gateway.networking.k8s.io", "kind": "Gateway", **ref}


def _conditions(route: Manifest, parent: Manifest, namespace: str) -> Iterator[Manifest]:
    """What controllers say about a route on one parent."""
    for status in manifests.items(route, "status", "parents"):
        told = _filled_parent(manifests.mapping(status, "parentRef"))
        if {"namespace": namespace, **told} == {"namespace": namespace, **parent}:
            for condition in manifests.items(status, "conditions"):
                if condition.get("type") in ("Accepted", "ResolvedRefs"):
                    yield condition


def _primary_cookie(canary: Canary, affinity: SessionAffinity) -> str:
    """The primary's cookie; Flagger left one without a name where `primaryCookieName` was not set at first."""
    cookie = canary.status.primary_session_affinity_cookie
    if not affinity.primary_cookie_name or not cookie:
        return ""
    return affinity.primary_cookie_name + cookie if cookie.startswith("=") else cookie


def _backend(canary: Canary, name: str) -> Manifest:
    return {"group": "", "kind": "Service", "name": name, "port": canary.spec.service.port}


def _both(canary: Canary, to: Routes) -> list[Manifest]:
    return [
        {**_backend(canary, names.primary_service(canary)), "weight": to.primary},
        {**_backend(canary, names.canary_service(canary)), "weight": to.canary},
    ]


def _services(canary: Canary, rule: Manifest) -> list[Manifest]:
    """The backends of a rule that are Services beside the Canary."""
    return [
        backend
        for backend in manifests.items(rule, "backendRefs")
        if not backend.get("group")
        and backend.get("kind", "Service") == "Service"
        and backend.get("namespace", canary.namespace) == canary.namespace
    ]


def _is_ours(canary: Canary, rule: Manifest) -> bool:
    ours = {canary.apex, names.primary_service(canary), names.canary_service(canary)}
    return any(backend.get("name") in ours for backend in _services(canary, rule))


def _weights(canary: Canary, rule: Manifest) -> Routes | None:
    """The shares of a rule with both backends; None for any other rule."""
    found = {
        manifests.text(backend, "name"): manifests.number(backend, "weight", default=1)
        for backend in _services(canary, rule)
    }
    primary, other = found.get(names.primary_service(canary)), found.get(names.canary_service(canary))
    if primary is None or other is None or primary + other <= 0:
        return None
    return split(round(TOTAL * other / (primary + other)))


def _weighted(canary: Canary, rules: list[Manifest]) -> int | None:
    """Which rule splits traffic: the last one with both backends."""
    found = [index for index, rule in enumerate(rules) if _weights(canary, rule) is not None]
    return found[-1] if found else None


def _tests(canary: Canary, route: Manifest) -> bool:
    """Whether a route is that of an A/B test, whose last rule leads everybody else to the primary alone."""
    ours = [rule for rule in manifests.items(route, "spec", "rules") if _is_ours(canary, rule)]
    others = {manifests.text(backend, "name") for rule in ours[-1:] for backend in _services(canary, rule)}
    return others == {names.primary_service(canary)}


def _live(canary: Canary, route: Manifest) -> Routes | None:
    """The live split; None where the route has none of ours."""
    ours = [rule for rule in manifests.items(route, "spec", "rules") if _is_ours(canary, rule)]
    index = _weighted(canary, ours)
    weights = None if index is None else _weights(canary, ours[index])
    if weights is None:
        return None
    always = _copies(canary, filters.of_service(canary, cors=False))
    mirrored = any(_copies(canary, manifests.items(rule, "filters")) > always for rule in ours)
    return Routes(weights.primary, weights.canary, mirrored)


def _copies(canary: Canary, found: Iterable[Manifest]) -> int:
    """How many filters copy requests to the canary."""
    backends = (manifests.at(one, "requestMirror", "backendRef", "name") for one in found)
    return sum(backend == names.canary_service(canary) for backend in backends)


def _mesh(name: str, resource: Resource, *, full: bool) -> Mesh:
    return Mesh(
        name=name,
        router=HttpRoutes(name, resource, full=full),
        queries=queries.HTTP,
        writes=(resource,),
        mirrors=True,
        matches=frozenset({"headers", "queryParams"}),
        session_affinity=True,
        primary_cookie=full,
    )


MESHES = (
    _mesh("gatewayapi:v1", HTTP_ROUTE, full=True),
    _mesh("gatewayapi:v1beta1", HTTP_ROUTE_V1BETA1, full=False),
)
