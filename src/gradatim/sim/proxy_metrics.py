"""What the simulated cluster's Prometheus scrapes, and how Traefik's series become ingress-nginx's.

Traefik names a service `<namespace>-<ingress>-<service>-<port>@kubernetesingressnginx`, and with `-canary` before the
`@` where requests went to a canary. Dashes make that ambiguous, so every known Ingress gets rules of its own.

The labels are those of the real ingress-nginx: requests to a canary count under the Ingress and Service of the *main*
Ingress, and only `canary` tells them apart: it names the upstream `<namespace>-<service>-<port>` they went to and is
absent otherwise, which to PromQL is the same as the empty value of the real one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from gradatim.ports.objects import INGRESS, Manifest
from gradatim.sim.builtin.catalogue import POD
from gradatim.sim.controllers.belonging import annotations_of, is_true, labels_of
from gradatim.sim.controllers.pod_orders import ports
from gradatim.sim.exposition import Rule
from gradatim.sim.scrape import Target
from gradatim.sim.store import Store
from gradatim.sim.traefik import Traefik

CANARY = "nginx.ingress.kubernetes.io/canary"
SUFFIX = "@kubernetesingressnginx"

_SERIES = "traefik_service_(requests_total|request_duration_seconds_(bucket|sum|count))"
_RENAMED = (
    ("traefik_service_requests_total", "nginx_ingress_controller_requests"),
    ("traefik_service_request_duration_seconds_(.+)", "nginx_ingress_controller_response_duration_seconds_${1}"),
)


class Backend(msgspec.Struct, frozen=True):
    """One Service behind an Ingress, and what a canary Ingress sends some of its requests to."""

    namespace: str
    ingress: str
    service: str
    port: str
    canary: str = ""
    """The canary's upstream name, empty without a canary."""

    @property
    def traefik_name(self) -> str:
        """Traefik's name of the service, without its suffixes."""
        return f"{self.namespace}-{self.ingress}-{self.service}-{self.port}"


def backends(ingresses: Iterable[Manifest]) -> list[Backend]:
    """Every backend of every main Ingress, with the canary that shares its host and path."""
    mains, canaries = [], {}
    for ingress in ingresses:
        namespace, name = ingress["metadata"]["namespace"], ingress["metadata"]["name"]
        is_canary = annotations_of(ingress).get(CANARY) == "true"
        for place, service, port in _paths(ingress):
            if is_canary:
                canaries[namespace, *place] = f"{namespace}-{service}-{port}"
            else:
                mains.append(((namespace, *place), Backend(namespace, name, service, port)))
    found = (msgspec.structs.replace(backend, canary=canaries.get(place, "")) for place, backend in mains)
    best: dict[str, Backend] = {}
    for backend in found:
        if backend.canary or backend.traefik_name not in best:
            best[backend.traefik_name] = backend
    return list(best.values())


def _paths(ingress: Manifest) -> Iterator[tuple[tuple[str, str], str, str]]:
    """Host and path, Service and port of everything an Ingress routes."""
    spec = ingress.get("spec") or {}
    for rule in spec.get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            service = path["backend"].get("service")
            if service:
                yield (rule.get("host") or "", path.get("path") or "/"), service["name"], _port(service)
    service = (spec.get("defaultBackend") or {}).get("service")
    if service:
        yield ("", ""), service["name"], _port(service)


def _port(service: Manifest) -> str:
    port = service.get("port") or {}
    return str(port.get("number") or port.get("name") or "")


def ingress_nginx_rules(ingresses: Iterable[Manifest]) -> tuple[Rule, ...]:
    """Rules that turn a Traefik page into the series ingress-nginx would show for these Ingresses."""
    rules = [Rule(action="keep", source_labels=("__name__",), regex=_SERIES)]
    for backend in backends(ingresses):
        rules += _labels_for(backend)
    rules += [
        Rule(action="keep", source_labels=("ingress",), regex=".+"),
        Rule(source_labels=("code",), target_label="status"),
        Rule(action="labeldrop", regex="code"),
        # Real series have no protocol; websockets keep theirs, so that they stay apart from plain requests.
        Rule(source_labels=("protocol",), regex="http", target_label="protocol", replacement=""),
    ]
    for pattern, name in _RENAMED:
        rules.append(Rule(source_labels=("__name__",), regex=pattern, target_label="__name__", replacement=name))
    return tuple(rules)


def _labels_for(backend: Backend) -> Iterator[Rule]:
    name = re.escape(backend.traefik_name)
    either = f"{name}(-canary)?{SUFFIX}"
    if backend.canary:
        yield _constant(f"{name}-canary{SUFFIX}", "canary", backend.canary)
    yield _constant(either, "namespace", backend.namespace)
    yield _constant(either, "ingress", backend.ingress)
    yield _constant(either, "service", backend.service)  # last: the others look at the old value


def _constant(pattern: str, label: str, value: str) -> Rule:
    return Rule(source_labels=("service",), regex=pattern, target_label=label, replacement=value)


def pod_targets(store: Store) -> Iterator[Target]:
    """Every running pod, unless its annotations say otherwise."""
    for pod in store.scan(POD):
        target = _pod_target(store, pod)
        if target is not None:
            yield target


def _pod_target(store: Store, pod: Manifest) -> Target | None:
    annotations, meta = annotations_of(pod), pod["metadata"]
    listening = ports(store, pod)
    address = (pod.get("status") or {}).get("podIP")
    if not address or not is_true(pod, "Ready") or annotations.get("prometheus.io/scrape") == "false":
        return None
    port = annotations.get("prometheus.io/port") or (str(listening[0]) if listening else "")
    if not port:
        return None
    path = annotations.get("prometheus.io/path", "/metrics")
    labels = {re.sub(r"[^a-zA-Z0-9_]", "_", name): value for name, value in labels_of(pod).items()}
    labels |= {"kubernetes_namespace": meta["namespace"], "kubernetes_pod_name": meta["name"]}
    return Target("kubernetes-pods", f"http://{address}:{port}{path}", f"{address}:{port}", tuple(labels.items()))


def cluster_targets(store: Store, traefik: Traefik | None) -> Callable[[], list[Target]]:
    """Everything to scrape, asked anew before each round: the pods, Traefik, and Traefik as ingress-nginx."""

    def targets() -> list[Target]:
        found = list(pod_targets(store))
        if traefik is not None:
            instance = f"{traefik.address}:{traefik.admin_port}"
            rules = ingress_nginx_rules(store.scan(INGRESS))
            found.append(Target("traefik", traefik.metrics_url, instance))
            found.append(Target("ingress-nginx", traefik.metrics_url, instance, rules=rules))
        return found

    return targets
