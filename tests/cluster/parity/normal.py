"""Takes out of states, events, hooks and queries what is random, timed, or made by the server.

Two recordings that say the same look the same afterwards. Of hashes only their equality is kept: the first one seen is
`hash-1` in both recordings, the next `hash-2`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Any

from cluster.parity.recording import StateRow
from gradatim.ports.objects import Manifest

UNSEEN_KINDS = frozenset(
    {
        "AlertProvider",
        "ControllerRevision",
        "Endpoints",
        "EndpointSlice",
        "Event",
        "IPAddress",
        "Lease",
        "MetricTemplate",
        "Pod",
        "ReplicaSet",
        "ServiceAccount",
    }
)
"""Kinds that states do not show."""

NOT_READY = "not ready: waiting for rollout …"
"""Stands for every warning about a rollout that has not ended; which of them appear is a matter of moments."""

_SERVER_MADE = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")
_UNSEEN_ANNOTATIONS = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
)
_HOOKS_IN_REFERENCE = "ANSWERS/NS"
_COMBINED = "(combined from similar events): "
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/[\w-]+")
_SELECTOR = re.compile(r'\{((?:[^{}"]|"(?:[^"\\]|\\.)*")*)\}')
_COOKIES = ("sessionAffinityCookie", "previousSessionAffinityCookie", "primarySessionAffinityCookie")
_TIMES = ("lastTransitionTime", "lastUpdateTime")


def stripped(manifest: Manifest) -> Manifest:
    """An object without what the server made, as in the recordings."""
    kept = {key: value for key, value in manifest.items() if key != "status" or manifest["kind"] == "Canary"}
    meta = {key: value for key, value in manifest["metadata"].items() if key not in _SERVER_MADE}
    if "annotations" in meta:
        meta["annotations"] = _without(meta["annotations"], *_UNSEEN_ANNOTATIONS[:2])
    if "ownerReferences" in meta:
        meta["ownerReferences"] = [_without(one, "uid") for one in meta["ownerReferences"]]
    spec = kept.get("spec")
    if manifest["kind"] == "Service" and isinstance(spec, dict):
        kept["spec"] = _without(spec, "clusterIP", "clusterIPs")
    return {**kept, "metadata": meta}


class Equalities:
    """Gives the same random value the same name, in the order of first appearance."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._names: dict[str, str] = {}

    def name(self, value: str) -> str:
        """`hash-1` for the first value, `hash-2` for the next one that differs, and so on."""
        return self._names.setdefault(value, f"{self._prefix}-{len(self._names) + 1}")


def comparable_states(rows: Sequence[StateRow]) -> list[StateRow]:
    """The same rows with nothing random in them."""
    hashes, configs = Equalities("hash"), Equalities("config")
    return [StateRow(row.number, row.after, _comparable(row, hashes, configs)) for row in rows]


def event_text(line: Manifest) -> str:
    """An event as one text: type, reason and message."""
    event = line["event"]
    message = _hooks(event["message"].removeprefix(_COMBINED))
    if "not ready: waiting for rollout" in message:
        return NOT_READY
    return f"{event['type']} {event['reason']}: {message}"


def hook_text(line: Manifest) -> str:
    """A call of a hook as one text: name and payload. Checksums are as random as the hashes in them."""
    payload = dict(line["payload"])
    if "checksum" in payload:
        payload["checksum"] = "CHECKSUM"
    metadata = payload.get("metadata")
    if isinstance(metadata, dict) and "timestamp" in metadata:
        payload["metadata"] = {**metadata, "timestamp": "TIME"}
    said = _hooks(json.dumps(payload, sort_keys=True, ensure_ascii=False))
    return NOT_READY if "not ready: waiting for rollout" in said else f"{line['hook']} {said}"


def folded_query(query: str) -> str:
    """A query with single spaces and its matchers in alphabetical order."""
    return _SELECTOR.sub(_sorted_matchers, " ".join(query.split()))


def _comparable(row: StateRow, hashes: Equalities, configs: Equalities) -> dict[str, Manifest]:
    text = json.dumps({name: one for name, one in row.objects.items() if not name.startswith("IPAddress/")})
    for field in _COOKIES:
        cookie = row.canary.get("status", {}).get(field, "").rpartition("=")[2]
        if cookie:
            text = text.replace(cookie, f"COOKIE-{field}")
    objects: dict[str, Manifest] = json.loads(_hooks(text))
    for name, manifest in objects.items():
        meta = manifest["metadata"]
        for key in ("annotations", "labels"):
            if key in meta:
                meta[key] = _without(meta[key], *_UNSEEN_ANNOTATIONS)
                if not meta[key]:
                    del meta[key]
        if name.startswith("Secret/"):
            manifest["data"] = {key: _clear(value) for key, value in manifest.get("data", {}).items()}
        template = manifest.get("spec", {}).get("template")
        if isinstance(template, dict):
            _replace_flagger_id(template.get("metadata", {}))
        if name.startswith("Canary/"):
            _name_hashes(manifest.get("status", {}), hashes, configs)
    return objects


def _name_hashes(status: Manifest, hashes: Equalities, configs: Equalities) -> None:
    for key in ("lastPromotedSpec", "lastAppliedSpec"):
        if status.get(key):
            status[key] = hashes.name(status[key])
    tracked = status.get("trackedConfigs") or {}
    for key in sorted(tracked):
        tracked[key] = configs.name(tracked[key])
    for times in (status, *status.get("conditions", ())):
        times.update({key: "TIME" for key in _TIMES if key in times})


def _replace_flagger_id(meta: Manifest) -> None:
    annotations = meta.get("annotations") or {}
    if "flagger-id" in annotations:
        annotations["flagger-id"] = "ID"


def _clear(encoded: str) -> str:
    return _ADDRESS.sub("HOOKS", base64.b64decode(encoded).decode(errors="replace"))


def _hooks(text: str) -> str:
    return text.replace(_HOOKS_IN_REFERENCE, "HOOKS")


def _without(mapping: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


def _sorted_matchers(found: re.Match[str]) -> str:
    matchers = re.findall(r'\s*([^\s,=!~]+\s*[=!~]+\s*"(?:[^"\\]|\\.)*")\s*,?', found[1])
    return "{" + ", ".join(sorted(matchers)) + "}"
