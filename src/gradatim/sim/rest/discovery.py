"""What there is: groups, versions, resources, in the old form (three round trips) and the aggregated one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from gradatim.ports.objects import Manifest, Resource
from gradatim.sim.kind import Kind
from gradatim.sim.refusals import unknown_path
from gradatim.sim.rest import shapes
from gradatim.sim.rest.messages import JSON, Request, Response
from gradatim.sim.store import Store

VERSION = {
    "major": "1",
    "minor": "37",
    "emulationMajor": "1",
    "emulationMinor": "37",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "36",
    "gitVersion": "v1.37.2+gradatim",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "simulated",
}

_ORDER = (
    "",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "apiextensions.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
)
_AGGREGATED = "apidiscovery.k8s.io"
_SUBRESOURCE_VERBS = {
    "status": ("get", "patch", "update"),
    "scale": ("get", "patch", "update"),
    "finalize": ("update",),
    "log": ("get",),
}

Served = tuple[Kind, Resource]


def answer(store: Store, request: Request) -> Response | None:
    """The answer to a question about what there is; None if the path asks something else."""
    parts = [part for part in request.path.split("/") if part]
    match parts:
        case ["version"]:
            return shapes.respond(request, 200, VERSION)
        case ["api"] | ["apis"] if _aggregated(request):
            return _respond_aggregated(store, request, core=parts == ["api"])
        case ["api"]:
            body: Manifest = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            groups = [_group(name, versions) for name, versions in _groups(store).items() if name]
            body = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", name]:
            versions = _groups(store).get(name)
            if not versions:
                raise unknown_path()
            body = {"kind": "APIGroup", "apiVersion": "v1"} | _group(name, versions)
        case ["api", version]:
            body = _resource_list(store, "", version)
        case ["apis", group, version]:
            body = _resource_list(store, group, version)
        case _:
            return None
    return shapes.respond(request, 200, body)


def served(store: Store) -> list[Served]:
    """Every kind by every name it is served under, in the order of the names."""
    pairs = [(kind, one) for kind in store.kinds() for one in kind.served]
    return sorted(pairs, key=lambda pair: (_rank(pair[1].group), pair[1].group, pair[1].plural))


def _rank(group: str) -> int:
    return _ORDER.index(group) if group in _ORDER else len(_ORDER)


def _groups(store: Store) -> dict[str, list[str]]:
    """The versions of each group, the preferred one first."""
    groups: dict[str, list[str]] = {}
    for _, one in served(store):
        versions = groups.setdefault(one.group, [])
        if one.version not in versions:
            versions.append(one.version)
    return {name: sorted(versions, key=version_rank) for name, versions in groups.items()}


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Sorts `v2`, `v1`, `v1beta2`, `v1beta1`, `v1alpha1`, and everything else behind."""
    digits = version[1:] if version[:1] == "v" else ""
    for rank, word in ((2, "alpha"), (1, "beta")):
        major, found, minor = digits.partition(word)
        if found and major.isdigit() and minor.isdigit():
            return (rank, -int(major), -int(minor), version)
    return (0, -int(digits), 0, version) if digits.isdigit() else (3, 0, 0, version)


def _group(name: str, versions: Iterable[str]) -> Manifest:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resource_list(store: Store, group: str, version: str) -> Manifest:
    found = [pair for pair in served(store) if pair[1].group == group and pair[1].version == version]
    if not found:
        raise unknown_path()
    resources: list[Manifest] = []
    for kind, one in found:
        resources.append(_resource(kind, one))
        resources += [_subresource(one, name) for name in kind.listed_subresources]
    named = {"groupVersion": f"{group}/{version}" if group else version, "resources": resources}
    return {"kind": "APIResourceList", "apiVersion": "v1"} | named


def _resource(kind: Kind, one: Resource) -> Manifest:
    found: Manifest = {
        "name": one.plural,
        "singularName": kind.singular,
        "namespaced": one.namespaced,
        "kind": one.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        found["shortNames"] = list(kind.short_names)
    if kind.categories:
        found["categories"] = list(kind.categories)
    if not kind.passing:
        found["storageVersionHash"] = _storage_hash(kind.resource)
    return found


def _storage_hash(stored: Resource) -> str:
    """By which a migration of storage sees whether objects are written in another version by now."""
    digest = hashlib.sha256(f"{stored.group}/{stored.version}/{stored.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _subresource(one: Resource, name: str) -> Manifest:
    found: Manifest = {"name": f"{one.plural}/{name}", "singularName": "", "namespaced": one.namespaced}
    if name == "scale":
        found |= {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    else:
        found["kind"] = one.kind
    return found | {"verbs": list(_SUBRESOURCE_VERBS[name])}


def _aggregated(request: Request) -> bool:
    """Whether the client's first choice is the aggregated form."""
    for one in shapes.accepted(request.headers.get("accept", "")):
        if one.as_ == "APIGroupDiscoveryList" and one.group == _AGGREGATED and one.version == "v2":
            return True
        if not one.as_:
            return False
    return False


def _respond_aggregated(store: Store, request: Request, *, core: bool) -> Response:
    items = []
    for name, versions in _groups(store).items():
        if (name == "") is core:
            listed = [_version(store, name, version) for version in versions]
            items.append({"metadata": {"name": name} if name else {}, "versions": listed})
    head = {"kind": "APIGroupDiscoveryList", "apiVersion": f"{_AGGREGATED}/v2", "metadata": {}}
    body = shapes.encode(shapes.Accepted(), request, head | {"items": items})
    return Response(200, {"Content-Type": f"{JSON};g={_AGGREGATED};v=v2;as=APIGroupDiscoveryList"}, body)


def _version(store: Store, group: str, version: str) -> Manifest:
    found = [pair for pair in served(store) if pair[1].group == group and pair[1].version == version]
    return {"version": version, "resources": [_entry(*pair) for pair in found], "freshness": "Current"}


def _entry(kind: Kind, one: Resource) -> Manifest:
    own = {"group": one.group, "version": one.version, "kind": one.kind}
    entry: Manifest = {
        "resource": one.plural,
        "responseKind": own,
        "scope": "Namespaced" if one.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    subresources = [
        {
            "subresource": name,
            "responseKind": scale if name == "scale" else own,
            "verbs": list(_SUBRESOURCE_VERBS[name]),
        }
        for name in kind.listed_subresources
    ]
    return entry | ({"subresources": subresources} if subresources else {})
