"""`gradatim manifests`: all that an installation needs, as YAML for kubectl, with access rules made from the providers.

A rule stands here because some provider reads or writes that kind; nothing is granted by hand. Restricting the meshes
restricts the rules: an installation for NGINX has no business with Gateway API routes.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib import resources

import yaml

from gradatim.api.errors import UnknownProvider
from gradatim.apps.wiring import VERSION
from gradatim.ports.mesh import Mesh
from gradatim.ports.objects import CONFIG_MAP, ENDPOINT_SLICE, LEASE, SECRET, SERVICE, Manifest, Resource
from gradatim.providers import registry

READ = ("get", "list", "watch")
WRITE = (*READ, "create", "patch")
KEEP = (*READ, "create", "delete")
IMAGE = f"ghcr.io/gradatim/gradatim:{VERSION}"
NAME = "gradatim"


def main(argv: Sequence[str]) -> int:
    """Print the manifests."""
    parser = argparse.ArgumentParser(prog="gradatim manifests", description=__doc__.partition("\n")[0])
    parser.add_argument("--namespace", default="gradatim-system", help="where to install (default gradatim-system)")
    parser.add_argument("--mesh-provider", default="", help="default mesh of Canaries, as -mesh-provider")
    parser.add_argument("--metrics-server", default="http://prometheus:9090", help="as -metrics-server")
    parser.add_argument("--only", action="append", metavar="MESH", help="grant rules for these meshes only")
    parser.add_argument("--image", default=IMAGE, help=f"container image (default {IMAGE})")
    parser.add_argument("--no-crds", action="store_true", help="leave the CRDs out, where Flagger's stay in place")
    found = parser.parse_args(argv)
    try:
        meshes = _chosen(found.only or [], found.mesh_provider)
    except UnknownProvider as error:
        parser.error(error.message.removeprefix(f"{error.path}: "))
    objects = [] if found.no_crds else crds()
    objects += install(found.namespace, meshes, found.image, found.mesh_provider, found.metrics_server)
    sys.stdout.write(yaml.safe_dump_all(objects, sort_keys=False))
    return 0


def _chosen(only: list[str], default: str) -> tuple[Mesh, ...]:
    """The meshes to grant rules for; the default mesh of Canaries is always among them."""
    wanted = [registry.mesh(name) for name in dict.fromkeys((default, *only)) if name]
    return tuple(wanted) if only else registry.meshes()


def crds() -> list[Manifest]:
    """The definitions of our three kinds."""
    folder = resources.files("gradatim.api") / "crds"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def install(
    namespace: str, meshes: Iterable[Mesh], image: str = IMAGE, mesh_provider: str = "", metrics_server: str = ""
) -> list[Manifest]:
    """Namespace, account, access rules and the program itself."""
    account = {"kind": "ServiceAccount", "name": NAME, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME}
    binding = {"roleRef": role, "subjects": [account]}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(namespace)},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": _meta(),
            "rules": rules(meshes),
        },
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": _meta(), **binding},
        _lease_role(namespace),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": _meta(namespace),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME},
            "subjects": [account],
        },
        _deployment(namespace, image, mesh_provider, metrics_server),
    ]


def rules(meshes: Iterable[Mesh]) -> list[Manifest]:
    """What the operator may do in all namespaces, one rule for each group of kinds that are treated alike."""
    granted: dict[Resource, tuple[str, ...]] = {}
    chosen = tuple(meshes)
    names = {mesh.name for mesh in chosen}
    workloads = [kind for kind in registry.workloads() if not kind.routed_by or names & set(kind.routed_by)]
    for reads in (*(mesh.reads for mesh in chosen), *(kind.reads for kind in workloads)):
        granted.update(dict.fromkeys(reads, READ))
    for writes in (
        (SERVICE, CONFIG_MAP, SECRET),
        *(mesh.writes for mesh in chosen),
        *(kind.writes for kind in workloads),
        *(kind.writes for kind in registry.scalers()),
    ):
        granted.update(dict.fromkeys(writes, WRITE))
    for keeps in (kind.keeps for kind in registry.workloads()):
        granted.update(dict.fromkeys(keeps, KEEP))
    together: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for resource, verbs in granted.items():
        together[resource.group, verbs].append(resource.plural)
    return [*_ours(), *(_rule(group, sorted(set(kinds)), verbs) for (group, verbs), kinds in sorted(together.items()))]


def _ours() -> list[Manifest]:
    return [
        _rule("flagger.app", ["canaries"], (*READ, "patch")),
        _rule("flagger.app", ["canaries/status"], ("patch",)),
        # Clusters that check owner references ask for this before an object may be owned by a Canary.
        _rule("flagger.app", ["canaries/finalizers"], ("update",)),
        # Watched as a whole, so that no single one is ever asked for.
        _rule("flagger.app", ["alertproviders", "metrictemplates"], ("list", "watch")),
        _rule("", ["events"], ("create", "patch")),
        # Looked at before pods go, and not watched.
        _rule(ENDPOINT_SLICE.group, [ENDPOINT_SLICE.plural], ("list",)),
    ]


def _rule(group: str, kinds: list[str], verbs: Iterable[str]) -> Manifest:
    return {"apiGroups": [group], "resources": kinds, "verbs": list(verbs)}


def _lease_role(namespace: str) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": _meta(namespace),
        "rules": [_rule(LEASE.group, [LEASE.plural], ("get", "create", "update"))],
    }


def _deployment(namespace: str, image: str, mesh_provider: str, metrics_server: str) -> Manifest:
    arguments = [
        "operator",
        "-log-level=info",
        f"-metrics-server={metrics_server}",
        "-enable-leader-election=true",
        f"-leader-election-namespace={namespace}",
    ]
    if mesh_provider:
        arguments.append(f"-mesh-provider={mesh_provider}")
    container = {
        "name": NAME,
        "image": image,
        "args": arguments,
        "ports": [{"name": "http", "containerPort": 8080}],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "timeoutSeconds": 5},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    labels = {"app.kubernetes.io/name": NAME}
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(namespace),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {
                    "serviceAccountName": NAME,
                    "terminationGracePeriodSeconds": 30,
                    "containers": [container],
                },
            },
        },
    }


def _meta(namespace: str = "") -> Manifest:
    meta: Manifest = {"name": NAME}
    if namespace:
        meta["namespace"] = namespace
    return {**meta, "labels": {"app.kubernetes.io/name": NAME}}
