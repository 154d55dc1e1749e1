"""`gradatim manifests`: what it grants is what providers need, no more and no less, and the program is locked in."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import yaml

from gradatim.apps import cli
from gradatim.apps.flags import parse
from gradatim.apps.manifests import rules
from gradatim.apps.wiring import USER_AGENT
from gradatim.ports.objects import (
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    HTTP_ROUTE,
    INGRESS,
    SECRET,
    SERVICE,
    TRAEFIK_SERVICE,
    Manifest,
    Resource,
)
from gradatim.providers import registry
from gradatim.sim.refusals import Refused
from gradatim.sim.rest.faults import Fault
from gradatim.sim.rest.messages import Request
from simulated import simulated

Grant = tuple[str, str, str]
"""Group, resource (with its subresource) and verb."""

WATCHED = {"list", "watch"}
READ = {"get", *WATCHED}
WRITTEN = {*READ, "create", "patch"}
KEPT = {*READ, "create", "delete"}
OURS = {
    "canaries": {*READ, "patch"},
    "canaries/status": {"patch"},
    "canaries/finalizers": {"update"},
    "metrictemplates": WATCHED,
    "alertproviders": WATCHED,
}


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> list[Manifest]:
    """What the command prints for these arguments."""
    assert cli.main(["manifests", *argv]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return list(yaml.safe_load_all(told.out))


def only(manifests: list[Manifest], kind: str) -> Manifest:
    """The one object of a kind."""
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def granted(made: list[Manifest]) -> set[Grant]:
    """All that some rules allow."""
    return {
        (group, resource, verb)
        for rule in made
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def needed(*meshes: str) -> set[Grant]:
    """What the providers say they read and write, and what the engine does with Canaries and events."""
    chosen = [registry.mesh(name) for name in meshes]
    kinds = [*chosen, *(kind for kind in registry.workloads() if not kind.routed_by or set(kind.routed_by) & {*meshes})]
    reads = {resource for kind in kinds for resource in kind.reads}
    writes = {resource for kind in (*kinds, *registry.scalers()) for resource in kind.writes}
    writes |= {SERVICE, CONFIG_MAP, SECRET}
    keeps = {resource for kind in registry.workloads() for resource in kind.keeps}
    grants = {(resource.group, resource.plural, verb) for resource in keeps for verb in KEPT}
    grants |= {("flagger.app", resource, verb) for resource, verbs in OURS.items() for verb in verbs}
    grants |= {("", "events", "create"), ("", "events", "patch"), ("discovery.k8s.io", "endpointslices", "list")}
    grants |= {(resource.group, resource.plural, verb) for resource in reads for verb in READ}
    return grants | {(resource.group, resource.plural, verb) for resource in writes for verb in WRITTEN}


def test_all_meshes_are_granted_what_they_read_and_write_and_nothing_else() -> None:
    names = [mesh.name for mesh in registry.meshes()]
    assert granted(rules(registry.meshes())) == needed(*names)


@pytest.mark.parametrize(
    ("mesh", "kind"), [("nginx", INGRESS), ("traefik", TRAEFIK_SERVICE), ("gatewayapi:v1", HTTP_ROUTE)]
)
def test_one_mesh_is_granted_its_own_kinds_only(capsys: pytest.CaptureFixture[str], mesh: str, kind: Resource) -> None:
    role = only(printed(capsys, "--only", mesh), "ClusterRole")
    assert granted(role["rules"]) == needed(mesh)
    others = {INGRESS, TRAEFIK_SERVICE, HTTP_ROUTE} - {kind}
    named = {(group, resource) for group, resource, _ in granted(role["rules"])}
    assert (kind.group, kind.plural) in named
    assert not named & {(other.group, other.plural) for other in others}


def test_a_target_that_no_chosen_mesh_can_route_to_is_granted_nothing() -> None:
    """Only Knative's own routing understands Knative Services, so that without it nothing of theirs is ever touched."""
    (knative,) = [kind for kind in registry.workloads() if kind.routed_by]
    assert "serving.knative.dev" in {resource.group for resource in (*knative.reads, *knative.writes)}
    assert "serving.knative.dev" not in {group for group, _, _ in granted(rules([registry.mesh("nginx")]))}
    routing = msgspec.structs.replace(registry.mesh("kubernetes"), name=knative.routed_by[0])
    assert ("serving.knative.dev", "services", "patch") in granted(rules([routing]))


def test_the_default_mesh_is_granted_although_only_others_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    role = only(printed(capsys, "--only", "nginx", "--mesh-provider", "traefik"), "ClusterRole")
    assert granted(role["rules"]) == needed("nginx", "traefik")


def test_no_rule_says_anything_twice_or_grants_everything() -> None:
    made = rules(registry.meshes())
    said = [
        (group, resource, verb)
        for rule in made
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]
    assert len(said) == len(set(said))
    assert not {part for grant in said for part in grant} & {"*", "deletecollection", "pods", "nodes"}
    deleted = [(group, resource) for group, resource, verb in said if verb == "delete"]
    assert deleted == [("apps", "controllerrevisions")], "what users own is never deleted, only what was kept of it"


def test_the_lease_is_granted_in_the_operators_own_namespace_only(capsys: pytest.CaptureFixture[str]) -> None:
    manifests = printed(capsys, "--namespace", "release")
    role = only(manifests, "Role")
    assert role["metadata"]["namespace"] == "release"
    assert granted(role["rules"]) == {("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update")}
    assert "leases" not in {resource for _, resource, _ in granted(only(manifests, "ClusterRole")["rules"])}
    (container,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert "-leader-election-namespace=release" in container["args"]


def test_both_roles_are_bound_to_the_account_that_the_program_runs_under(capsys: pytest.CaptureFixture[str]) -> None:
    manifests = printed(capsys, "--namespace", "release")
    account = only(manifests, "ServiceAccount")["metadata"]
    for binding, role in (("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")):
        bound = only(manifests, binding)
        (subject,) = bound["subjects"]
        assert (subject["kind"], subject["name"], subject["namespace"]) == (
            "ServiceAccount",
            account["name"],
            "release",
        )
        assert (bound["roleRef"]["kind"], bound["roleRef"]["name"]) == (role, only(manifests, role)["metadata"]["name"])
    pod = only(manifests, "Deployment")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["name"]


def test_the_program_may_do_nothing_on_its_machine(capsys: pytest.CaptureFixture[str]) -> None:
    pod = only(printed(capsys), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["resources"]["limits"]["memory"]
    assert not {"hostNetwork", "hostPID", "volumes"} & set(pod)


def test_the_program_is_started_with_flags_that_it_takes_and_probed_where_it_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ("--mesh-provider", "nginx", "--metrics-server", "http://prom:9090", "--image", "registry.test/g:1")
    deployment = only(printed(capsys, *argv), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    command, *flags = container["args"]
    assert command == "operator"
    given = parse(flags, {})
    assert given["mesh-provider"] == "nginx"
    assert given["metrics-server"] == "http://prom:9090"
    assert given["enable-leader-election"] is True
    (port,) = container["ports"]
    assert port["containerPort"] == given["port"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    assert container["image"] == "registry.test/g:1"
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(given["port"])


def test_the_definitions_come_first_and_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    whole, without = printed(capsys), printed(capsys, "--no-crds")
    assert [manifest["metadata"]["name"] for manifest in whole[:3]] == [
        "alertproviders.flagger.app",
        "canaries.flagger.app",
        "metrictemplates.flagger.app",
    ]
    assert whole[3:] == without
    assert {manifest["kind"] for manifest in whole[:3]} == {"CustomResourceDefinition"}


@pytest.mark.parametrize("flag", ["--only", "--mesh-provider"])
def test_an_unknown_mesh_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["manifests", flag, "ngnix"])
    assert end.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "unknown mesh provider ngnix; known are: " in told.err
    assert "nginx" in told.err


class Guard:
    """An API server's authorization: lets the operator do what the rules grant, and notes what it wanted."""

    def __init__(self, made: list[Manifest]) -> None:
        self._granted = granted(made)
        self.refused: set[Grant] = set()
        self.used: set[Grant] = set()

    def fault(self) -> Fault:
        """To be put in front of the simulated server."""
        return Fault(when=self._forbids, times=None, refuse=Refused(403, "Forbidden", "not granted"))

    def _forbids(self, request: Request) -> bool:
        if request.headers.get("user-agent") != USER_AGENT:
            return False
        asked = _asked(request)
        (self.used if asked in self._granted else self.refused).add(asked)
        return asked in self.refused


def _asked(request: Request) -> Grant:
    parts = iter(request.path.strip("/").split("/"))
    group = "" if next(parts) == "api" else next(parts)
    _version, rest = next(parts), list(parts)
    rest = rest[2:] if rest[0] == "namespaces" and len(rest) > 2 else rest
    resource = rest[0] if len(rest) < 3 else f"{rest[0]}/{rest[2]}"
    reading = "watch" if "watch" in request.query else "get" if len(rest) > 1 else "list"
    verbs = {"GET": reading, "POST": "create", "PATCH": "patch", "DELETE": "delete"}
    return group, resource, verbs.get(request.method, request.method)


def _shop(name: str, mesh: str) -> Iterator[Manifest]:
    labels = {"app": name}
    container: dict[str, Any] = {"name": "shop", "image": "shop:1", "ports": [{"containerPort": 80}]}
    container["envFrom"] = [{"configMapRef": {"name": name}}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    head = {"metadata": {"name": name}}
    yield {"apiVersion": "v1", "kind": "ConfigMap", **head, "data": {"a": "b"}}
    spec: Manifest = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    yield {"apiVersion": "apps/v1", "kind": "Deployment", **head, "spec": spec}
    service: Manifest = {"port": 80}
    more: Manifest = {}
    if mesh == "nginx":
        backend = {"service": {"name": name, "port": {"number": 80}}}
        path = {"path": "/", "pathType": "Prefix", "backend": backend}
        rules = [{"host": f"{name}.test", "http": {"paths": [path]}}]
        yield {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", **head, "spec": {"rules": rules}}
        more = {"ingressRef": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": name}}
    if mesh.startswith("gatewayapi"):
        service |= {"gatewayRefs": [{"name": "edge"}]}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    analysis = {"interval": "10s", "threshold": 2, "stepWeight": 50, "maxWeight": 50}
    wanted = {"provider": mesh, "targetRef": target, "service": service, "analysis": analysis, **more}
    yield {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", **head, "spec": {**wanted, "revertOnDeletion": True}}


@pytest.mark.asyncio
@pytest.mark.parametrize("mesh", ["nginx", "traefik", "gatewayapi:v1"])
async def test_releases_need_no_more_than_is_granted(virtual_time: Callable[[], float], mesh: str) -> None:
    """Two Canaries one after the other: the second's objects are asked for one by one, as their kinds are followed."""
    guard = Guard(rules([registry.mesh(mesh)]))
    async with simulated("traefik", "gatewayapi") as cluster:
        cluster.api.faults.append(guard.fault())
        async with cluster.operator():
            space = cluster.space("shop")
            for name in ("one", "two"):
                await space.create(*_shop(name, mesh))
                await space.phase("Initialized", name)
                template = {"metadata": {"annotations": {"release": "2"}}}
                await space.merge("apps/v1", "Deployment", name, {"spec": {"template": template}})
                await space.phase("Succeeded", name)
            await space.delete("flagger.app/v1beta1", "Canary", "one")
            await space.gone("one")
    assert guard.refused == set()
    routes = registry.mesh(mesh).writes
    for kind in (DEPLOYMENT, SERVICE, CONFIG_MAP, *routes):
        unused = {verb for verb in WRITTEN if (kind.group, kind.plural, verb) not in guard.used}
        assert unused <= ({"patch"} if kind in (SERVICE, CONFIG_MAP) else set()), f"{kind.plural}: {shlex.join(unused)}"
    kept = {verb for verb in KEPT if (CONTROLLER_REVISION.group, CONTROLLER_REVISION.plural, verb) not in guard.used}
    assert kept <= READ  # read when a primary is missing
    for resource, verbs in OURS.items():
        unused = {verb for verb in verbs if ("flagger.app", resource, verb) not in guard.used}
        # A Canary is read again after a conflict only; its finalizers are looked at by an admission plug-in only.
        assert unused <= {"canaries": {"get"}, "canaries/finalizers": {"update"}}.get(resource, set())
