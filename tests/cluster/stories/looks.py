"""What a namespace's history says of a release: a line for each state that was, and everything that was told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cluster.history import Change, History
from gradatim.ports.objects import (
    CANARY,
    DAEMON_SET,
    DEPLOYMENT,
    EVENT,
    HTTP_ROUTE,
    INGRESS,
    SERVICE,
    TRAEFIK_SERVICE,
    Manifest,
    Resource,
)

APP = "podinfo"
WATCHED = (CANARY, EVENT, DEPLOYMENT, DAEMON_SET, SERVICE, INGRESS)
"""Kinds that every cluster has; routes of other systems come on top."""

Live = Mapping[tuple[Resource, str], Manifest]

_NGINX = "nginx.ingress.kubernetes.io/canary-weight"
_NGINX_TEST = ("nginx.ingress.kubernetes.io/canary-by-header", "nginx.ingress.kubernetes.io/canary-by-cookie")
_OFF = "flagger.app/scale-to-zero"


def looks(history: History) -> list[str]:
    """`Progressing 90/10 w10 i0 f0 up` for each state that the Canary's status has told, without repetitions.

    That is the phase, the live weights (`-` before there are routes, `m` behind them while mirroring), the status'
    weight, iterations and failed checks, and whether the target has pods.
    """
    live: dict[tuple[Resource, str], Manifest] = {}
    lines: list[str] = []
    for change in history.changes():
        if change.manifest is None:
            live.pop((change.resource, change.name), None)
        else:
            live[change.resource, change.name] = change.manifest
        line = _line(change, live)
        if line and lines[-1:] != [line]:
            lines.append(line)
    return lines


def tellings(history: History) -> list[str]:
    """`N …` or `W …` for each event of the Canary, in the order of telling; what is repeated counts once."""
    counts: dict[str, int] = {}
    told: list[str] = []
    for change in history.changes():
        if change.resource != EVENT or change.manifest is None:
            continue
        event = change.manifest
        if event["involvedObject"]["kind"] != "Canary" or event["count"] <= counts.get(change.name, 0):
            continue
        counts[change.name] = event["count"]
        text = f"{event['type'][0]} {event['message']}"
        if told[-1:] != [text]:
            told.append(text)
    return told


def _line(change: Change, live: Live) -> str:
    if change.resource != CANARY:
        return ""
    if change.manifest is None:
        return "gone"
    status = change.manifest.get("status", {})
    if not status.get("phase"):
        return ""
    counters = f"w{status['canaryWeight']} i{status['iterations']} f{status['failedChecks']}"
    return f"{status['phase']} {_weights(live)} {counters}{_pods(live)}"


def _pods(live: Live) -> str:
    """Whether the target is switched on; nothing for targets that have no switch."""
    if target := live.get((DEPLOYMENT, APP)):
        return " up" if target["spec"]["replicas"] else " down"
    if target := live.get((DAEMON_SET, APP)):
        return " down" if _OFF in target["spec"]["template"]["spec"].get("nodeSelector", {}) else " up"
    return ""


def _weights(live: Live) -> str:
    for resource, read in ((HTTP_ROUTE, _http_route), (TRAEFIK_SERVICE, _traefik)):
        if route := live.get((resource, APP)):
            return read(route)
    if copy := live.get((INGRESS, f"{APP}-canary")):
        return _ingress(copy)
    apex = live.get((SERVICE, APP))
    if apex is None or (INGRESS, APP) in live:
        return "-"
    selected = set(apex["spec"]["selector"].values())
    return "100/0" if f"{APP}-primary" in selected else "-"


def _ingress(copy: Manifest) -> str:
    """The canary Ingress: a weight, or all requests of a header or cookie."""
    annotations = copy["metadata"]["annotations"]
    if any(name in annotations for name in _NGINX_TEST):
        return _split(100)
    return _split(int(annotations[_NGINX]))


def _traefik(service: Manifest) -> str:
    shares = {one["name"]: one.get("weight", 1) for one in service["spec"]["weighted"]["services"]}
    return _split(shares.get(f"{APP}-canary", 0))


def _http_route(route: Manifest) -> str:
    """The largest share that a rule gives to the canary: in a test, that of the requests that match."""
    shares = [one.get("weight", 1) for one in _named(route, "backendRefs")]
    mirrored = any(
        one["requestMirror"]["backendRef"]["name"] == f"{APP}-canary"
        for rule in route["spec"]["rules"]
        for one in rule.get("filters", ())
        if one["type"] == "RequestMirror"
    )
    return _split(max(shares, default=0)) + ("m" if mirrored else "")


def _named(route: Manifest, what: str) -> Iterator[Manifest]:
    return (one for rule in route["spec"]["rules"] for one in rule.get(what, ()) if one["name"] == f"{APP}-canary")


def _split(share: int) -> str:
    return f"{100 - share}/{share}"
