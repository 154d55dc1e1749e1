"""What a rule of an HTTPRoute does to requests and answers: the filters that follow from `spec.service`.

Same as Flagger: which field becomes which filter, their order, and that a filter is written even when it says nothing.

Better than Flagger: `maxAge` of CORS is written as the API server would fill it in, exact `allowOrigins` are mapped,
and a header that we add joins a filter that is there already, since a rule may have only one of each kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gradatim.api.canary import Canary
from gradatim.api.durations import parse_duration
from gradatim.core.problems import Problem
from gradatim.ports.objects import Manifest

_KINDS = frozenset({"RequestHeaderModifier", "ResponseHeaderModifier", "URLRewrite", "RequestMirror"})
_CORS = "CORS"
_CORS_MAX_AGE = 5  # what the API server fills in
_PREFIX = ("ReplacePrefixMatch", "replacePrefixMatch")


def of_service(canary: Canary, *, cors: bool) -> list[Manifest]:
    """The filters of all rules, in the order in which Flagger writes them."""
    service = canary.spec.service
    found: list[Manifest] = []
    headers = service.headers or {}
    for key, kind, field in (
        ("request", "RequestHeaderModifier", "requestHeaderModifier"),
        ("response", "ResponseHeaderModifier", "responseHeaderModifier"),
    ):
        if headers.get(key) is not None:
            found.append({"type": kind, field: _headers(headers[key])})
    if service.rewrite is not None:
        found.append({"type": "URLRewrite", "urlRewrite": _rewrite(service.rewrite)})
    found += [mirror(entry.get("backendRef") or {}) for entry in service.mirror]
    if cors and service.cors_policy is not None:
        found.append({"type": _CORS, "cors": _cors(service.cors_policy)})
    return found


def ours(rule_filter: Manifest, *, cors: bool) -> bool:
    """Whether a filter is of a kind that we write; any other is somebody else's and stays."""
    kind = rule_filter.get("type")
    return kind in _KINDS or (cors and kind == _CORS)


def mirror(backend: Mapping[str, Any], percent: int = 0) -> Manifest:
    """A filter that copies requests to a Service; 0 and 100 percent are all of them."""
    copy: Manifest = {"backendRef": {"group": "", "kind": "Service", **backend}}
    if 0 < percent < 100:
        copy["percent"] = percent
    return {"type": "RequestMirror", "requestMirror": copy}


def adding(name: str, value: str, filters: list[Manifest] | None = None) -> list[Manifest]:
    """Filters by which answers get one header more: in the filter for answers if there is one, else in one more."""
    header = {"name": name, "value": value}
    wanted: list[Manifest] = []
    joined = False
    for found in filters or ():
        if found["type"] == "ResponseHeaderModifier":
            modifier = found["responseHeaderModifier"]
            joined = True
            wanted.append(
                {**found, "responseHeaderModifier": {**modifier, "add": [*(modifier.get("add") or ()), header]}}
            )
        else:
            wanted.append(found)
    if not joined:
        wanted.append({"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [header]}})
    return wanted


def check(canary: Canary, *, cors: bool) -> Iterator[Problem]:
    """What of `spec.service` the filters leave out, and what they cannot hold beside session affinity."""
    service = canary.spec.service
    if canary.spec.analysis.session_affinity is not None:
        added = ((service.headers or {}).get("response") or {}).get("add") or {}
        for name in added:
            if name.lower() == "set-cookie":
                message = "collides with the cookies of session affinity; let the application set this cookie"
                yield Problem(f"spec.service.headers.response.add.{name}", message)
    if cors and service.cors_policy is not None:
        yield from _check_cors(service.cors_policy)


def replaces_prefix(rewrite: Mapping[str, Any]) -> bool:
    """Whether a rewrite replaces what a match by prefix has matched, rather than the whole path."""
    return bool(rewrite.get("uri")) and rewrite.get("type") == _PREFIX[0]


def _headers(block: Mapping[str, Any]) -> Manifest:
    found: Manifest = {
        key: [{"name": name, "value": block[key][name]} for name in sorted(block[key])]
        for key in ("set", "add")
        if block.get(key)
    }
    if block.get("remove"):
        found["remove"] = list(block["remove"])
    return found


def _rewrite(block: Mapping[str, Any]) -> Manifest:
    rewrite: Manifest = {}
    if block.get("authority"):
        rewrite["hostname"] = block["authority"]
    if block.get("uri"):
        kind, field = _PREFIX if replaces_prefix(block) else ("ReplaceFullPath", "replaceFullPath")
        rewrite["path"] = {"type": kind, field: block["uri"]}
    return rewrite


def _cors(policy: Mapping[str, Any]) -> Manifest:
    patterns = [entry["exact"] for entry in policy.get("allowOrigins") or () if entry.get("exact")]
    origins = list(dict.fromkeys([*(policy.get("allowOrigin") or ()), *patterns]))
    cors: Manifest = {"allowOrigins": origins} if origins else {}
    for key in ("allowMethods", "allowHeaders", "exposeHeaders"):
        if policy.get(key):
            cors[key] = list(policy[key])
    if policy.get("allowCredentials"):
        cors["allowCredentials"] = True
    cors["maxAge"] = _max_age(policy) or _CORS_MAX_AGE
    return cors


def _max_age(policy: Mapping[str, Any]) -> int:
    """Whole seconds; 0 where there is none that the API takes."""
    try:
        return max(0, int(parse_duration(policy.get("maxAge") or "0")))
    except ValueError:
        return 0


def _check_cors(policy: Mapping[str, Any]) -> Iterator[Problem]:
    for index, entry in enumerate(policy.get("allowOrigins") or ()):
        if not entry.get("exact"):
            message = "Gateway API knows origins by their exact text only; use exact, or allowOrigin with a wildcard"
            yield Problem(f"spec.service.corsPolicy.allowOrigins[{index}]", message, blocks=False)
    if policy.get("maxAge") and not _max_age(policy):
        message = f"{policy['maxAge']!r} is no duration of at least a second, such as 24h; 5s is used"
        yield Problem("spec.service.corsPolicy.maxAge", message, blocks=False)
