"""The tables of built-in kinds."""

from __future__ import annotations

from collections.abc import Iterable

from gradatim.ports.objects import Manifest
from gradatim.sim.selection import as_text
from gradatim.sim.tables import pods
from gradatim.sim.tables.columns import (
    NONE,
    UNKNOWN,
    Cells,
    Layout,
    age,
    containers,
    heads,
    labels,
    since,
    some,
)

_WORKLOAD = ("Containers", "Images", "Selector")
_ADDRESS_WIDTH = 16


def _name(obj: Manifest) -> str:
    return str(obj["metadata"]["name"])


def _deployment(obj: Manifest, now: float) -> Cells:
    spec, status = obj["spec"], obj.get("status", {})
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    counts = [status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    wide = [*containers(spec["template"]["spec"]), as_text(spec.get("selector"))]
    return [_name(obj), ready, *counts, age(obj, now), *wide]


def _replica_set(obj: Manifest, now: float) -> Cells:
    spec, status = obj["spec"], obj.get("status", {})
    counts = [spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    wide = [*containers(spec["template"]["spec"]), as_text(spec.get("selector")) or NONE]
    return [_name(obj), *counts, age(obj, now), *wide]


def _daemon_set(obj: Manifest, now: float) -> Cells:
    spec, status = obj["spec"], obj.get("status", {})
    keys = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled")
    counts = [status.get(key, 0) for key in (*keys, "numberAvailable")]
    wide = [*containers(spec["template"]["spec"]), as_text(spec.get("selector")) or NONE]
    return [_name(obj), *counts, labels(spec["template"]["spec"].get("nodeSelector")), age(obj, now), *wide]


def _stateful_set(obj: Manifest, now: float) -> Cells:
    ready = f"{obj.get('status', {}).get('readyReplicas', 0)}/{obj['spec'].get('replicas', 0)}"
    return [_name(obj), ready, age(obj, now), *containers(obj["spec"]["template"]["spec"])]


def _service(obj: Manifest, now: float) -> Cells:
    spec = obj["spec"]
    ports = []
    for port in spec.get("ports", ()):
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        ports.append(f"{port['port']}{node}/{port['protocol']}")
    address = next(iter(spec.get("clusterIPs", ())), NONE)
    outside = _outside(spec, obj.get("status", {}))
    return [
        _name(obj),
        spec["type"],
        address,
        outside,
        ",".join(ports) or NONE,
        age(obj, now),
        labels(spec.get("selector")),
    ]


def _outside(spec: Manifest, status: Manifest) -> str:
    external = spec.get("externalIPs", [])
    if spec["type"] == "ExternalName":
        return str(spec.get("externalName", ""))
    if spec["type"] != "LoadBalancer":
        return ",".join(external) or NONE
    return ",".join([*_balancers(status), *external]) or "<pending>"


def _balancers(status: Manifest) -> list[str]:
    found = status.get("loadBalancer", {}).get("ingress") or ()
    return sorted({one.get("ip") or one.get("hostname", "") for one in found} - {""})


def _ingress(obj: Manifest, now: float) -> Cells:
    spec, address = obj["spec"], ",".join(_balancers(obj.get("status", {})))
    rules = spec.get("rules", ())
    hosts = [rule["host"] for rule in rules[:3] if rule.get("host")]
    shown = ",".join(hosts) or "*"
    if hosts and len(rules) > 3:
        shown += f" + {len(rules) - 3} more..."
    ports = "80, 443" if spec.get("tls") else "80"
    return [_name(obj), spec.get("ingressClassName") or NONE, shown, address, ports, age(obj, now)]


def _ingress_class(obj: Manifest, now: float) -> Cells:
    default = obj["metadata"].get("annotations", {}).get("ingressclass.kubernetes.io/is-default-class") == "true"
    parameters = obj["spec"].get("parameters")
    shown = NONE
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
        shown = f"{parameters['kind']}{group}/{parameters['name']}"
    name = f"{_name(obj)} (default)" if default else _name(obj)
    return [name, obj["spec"].get("controller", ""), shown, age(obj, now)]


def _config_map(obj: Manifest, now: float) -> Cells:
    return [_name(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), age(obj, now)]


def _secret(obj: Manifest, now: float) -> Cells:
    return [_name(obj), obj.get("type", ""), len(obj.get("data") or {}), age(obj, now)]


def _event(obj: Manifest, now: float) -> Cells:
    about, source = obj.get("involvedObject", {}), obj.get("source", {})
    first = since(obj.get("firstTimestamp") or obj.get("eventTime"), now)
    last, count = since(obj.get("lastTimestamp"), now), obj.get("count", 0) or 1
    last = first if last == UNKNOWN else last
    series = obj.get("series")
    if series:
        last, count = since(series.get("lastObservedTime"), now), series.get("count", 0)
    target = about.get("kind", "").lower() + (f"/{about['name']}" if about.get("name") else "")
    who = source.get("component") or obj.get("reportingComponent", "")
    where = source.get("host") or obj.get("reportingInstance", "")
    told = [last, obj.get("type", ""), obj.get("reason", ""), target, about.get("fieldPath", "")]
    return [*told, f"{who}, {where}" if where else who, obj.get("message", "").strip(), first, count, _name(obj)]


def _newer_event(obj: Manifest, now: float) -> Cells:
    names = {"regarding": "involvedObject", "note": "message", "reportingController": "reportingComponent"}
    names |= {"deprecatedSource": "source", "deprecatedCount": "count"}
    names |= {"deprecatedFirstTimestamp": "firstTimestamp", "deprecatedLastTimestamp": "lastTimestamp"}
    return _event({names.get(key, key): value for key, value in obj.items()}, now)


def _namespace(obj: Manifest, now: float) -> Cells:
    return [_name(obj), obj.get("status", {}).get("phase", ""), age(obj, now)]


def _node(obj: Manifest, now: float) -> Cells:
    status = obj.get("status", {})
    ready = [one for one in status.get("conditions", ()) if one.get("type") == "Ready"]
    words = ["Unknown"] if not ready else ["Ready" if ready[-1].get("status") == "True" else "NotReady"]
    if obj["spec"].get("unschedulable"):
        words.append("SchedulingDisabled")
    role = "node-role.kubernetes.io/"
    roles = sorted(key.removeprefix(role) for key in obj["metadata"].get("labels", {}) if key.startswith(role))
    info = status.get("nodeInfo", {})
    kernel = info.get("kernelVersion") or UNKNOWN
    if info.get("architecture"):
        kernel += f" ({info['architecture']})"
    addresses = {one["type"]: one["address"] for one in status.get("addresses", ())}
    wide = [addresses.get("InternalIP", NONE), addresses.get("ExternalIP", NONE), info.get("osImage") or UNKNOWN]
    version = info.get("kubeletVersion", "")
    engine = info.get("containerRuntimeVersion") or UNKNOWN
    return [_name(obj), ",".join(words), ",".join(roles) or NONE, age(obj, now), version, *wide, kernel, engine]


def _endpoint_slice(obj: Manifest, now: float) -> Cells:
    ports = [str(port.get("port") or port.get("name", "*")) for port in obj.get("ports") or ()]
    addresses = [one for endpoint in obj.get("endpoints") or () for one in endpoint.get("addresses") or ()]
    shown = [some(ports, 3) or "<unset>", some(addresses, 3) or "<unset>"]
    return [_name(obj), obj.get("addressType", ""), *shown, age(obj, now)]


def _endpoints(obj: Manifest, now: float) -> Cells:
    found: list[str] = []
    for subset in obj.get("subsets") or ():
        addresses = [one["ip"] for one in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        found += [f"{ip}:{port['port']}" for port in ports for ip in addresses] if ports else addresses
    return [_name(obj), some(found, 3) or NONE, age(obj, now)]


def _autoscaler(obj: Manifest, now: float) -> Cells:
    spec, status = obj["spec"], obj.get("status", {})
    target = spec["scaleTargetRef"]
    current = status.get("currentMetrics") or []
    metrics = [
        _metric(one, current[index] if index < len(current) else {}) for index, one in enumerate(spec["metrics"])
    ]
    shown = ", ".join(metrics[:2]) or NONE
    if len(metrics) > 2:
        shown += f" + {len(metrics) - 2} more..."
    bounds = [str(spec.get("minReplicas", "<unset>")), spec["maxReplicas"], status.get("currentReplicas", 0)]
    return [_name(obj), f"{target['kind']}/{target['name']}", shown, *bounds, age(obj, now)]


_SOURCES = {"Resource": "resource", "ContainerResource": "containerResource", "Pods": "pods", "Object": "object"}


def _metric(spec: Manifest, status: Manifest) -> str:
    key = _SOURCES.get(spec["type"], "external")
    wanted, found = spec.get(key, {}), (status.get(key) or {}).get("current", {})
    target = wanted.get("target", {})
    if spec["type"] in ("Resource", "ContainerResource"):
        if target.get("averageValue") is not None:
            return f"{wanted['name']}: {found.get('averageValue', UNKNOWN)}/{target['averageValue']}"
        now = f"{found['averageUtilization']}%" if found.get("averageUtilization") is not None else UNKNOWN
        goal = target.get("averageUtilization")
        return f"{wanted['name']}: {now}/{'<auto>' if goal is None else f'{goal}%'}"
    if target.get("averageValue") is not None:
        average = "" if spec["type"] == "Pods" else " (avg)"
        return f"{found.get('averageValue', UNKNOWN)}/{target['averageValue']}{average}"
    return f"{found.get('value', UNKNOWN)}/{target.get('value', UNKNOWN)}"


def _lease(obj: Manifest, now: float) -> Cells:
    return [_name(obj), obj["spec"].get("holderIdentity") or "", age(obj, now)]


def _budget(obj: Manifest, now: float) -> Cells:
    bounds = [str(obj["spec"].get(key, "N/A")) for key in ("minAvailable", "maxUnavailable")]
    return [_name(obj), *bounds, obj.get("status", {}).get("disruptionsAllowed", 0), age(obj, now)]


def _network_policy(obj: Manifest, now: float) -> Cells:
    return [_name(obj), as_text(obj["spec"].get("podSelector")) or NONE, age(obj, now)]


def _revision(obj: Manifest, now: float) -> Cells:
    owner = next((one for one in obj["metadata"].get("ownerReferences", ()) if one.get("controller")), None)
    shown = NONE
    if owner:
        group = owner["apiVersion"].rpartition("/")[0]
        shown = f"{owner['kind'].lower()}{f'.{group}' if group else ''}/{owner['name']}"
    return [_name(obj), shown, obj.get("revision", 0), age(obj, now)]


def _role(obj: Manifest, _now: float) -> Cells:
    return [_name(obj), obj["metadata"]["creationTimestamp"]]


def _binding(obj: Manifest, now: float) -> Cells:
    subjects = obj.get("subjects") or ()
    people = [_of(subjects, "User"), _of(subjects, "Group")]
    accounts = ", ".join(
        f"{one.get('namespace', '')}/{one['name']}" for one in subjects if one["kind"] == "ServiceAccount"
    )
    return [_name(obj), f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}", age(obj, now), *people, accounts]


def _of(subjects: Iterable[Manifest], kind: str) -> str:
    return ", ".join(one["name"] for one in subjects if one["kind"] == kind)


def _aged(obj: Manifest, now: float) -> Cells:
    return [_name(obj), age(obj, now)]


def _definition(obj: Manifest, _now: float) -> Cells:
    spec, named = obj["spec"], obj["spec"]["names"]
    versions = [
        one["name"] + ("(storage)" if one.get("storage") else "") for one in spec["versions"] if one.get("served")
    ]
    conditions = (obj.get("status") or {}).get("conditions") or ()
    established = any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
    wide = [spec["group"], named["kind"], ",".join(named.get("shortNames") or ()), established]
    return [_name(obj), spec["scope"], ",".join(versions), obj["metadata"]["creationTimestamp"], *wide]


_DEFINITION_WIDE = ("Group", "Kind", "ShortNames", "Established:boolean")


_NODE_WIDE = ("Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime")
_EVENT = (
    *heads("Last Seen", "Type", "Reason", "Object"),
    *heads(wide=("Subobject", "Source")),
    *heads("Message"),
    *heads(wide=("First Seen", "Count", "Name")),
)
_BINDING = heads("Name", "Role", "Age", wide=("Users", "Groups", "ServiceAccounts"))

LAYOUTS: dict[str, Layout] = {
    "pods": pods.LAYOUT,
    "deployments.apps": Layout(heads("Name", "Ready", "Up-to-date", "Available", "Age", wide=_WORKLOAD), _deployment),
    "replicasets.apps": Layout(
        heads("Name", "Desired:integer", "Current:integer", "Ready:integer", "Age", wide=_WORKLOAD), _replica_set
    ),
    "daemonsets.apps": Layout(
        heads(
            "Name",
            "Desired:integer",
            "Current:integer",
            "Ready:integer",
            "Up-to-date:integer",
            "Available:integer",
            "Node Selector",
            "Age",
            wide=_WORKLOAD,
        ),
        _daemon_set,
    ),
    "statefulsets.apps": Layout(heads("Name", "Ready", "Age", wide=("Containers", "Images")), _stateful_set),
    "controllerrevisions.apps": Layout(heads("Name", "Controller", "Revision", "Age"), _revision),
    "services": Layout(
        heads("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", wide=("Selector",)), _service
    ),
    "ingresses.networking.k8s.io": Layout(heads("Name", "Class", "Hosts", "Address", "Ports", "Age"), _ingress),
    "ingressclasses.networking.k8s.io": Layout(heads("Name", "Controller", "Parameters", "Age"), _ingress_class),
    "networkpolicies.networking.k8s.io": Layout(heads("Name", "Pod-Selector", "Age"), _network_policy),
    "configmaps": Layout(heads("Name", "Data", "Age"), _config_map),
    "secrets": Layout(heads("Name", "Type", "Data", "Age"), _secret),
    "serviceaccounts": Layout(heads("Name", "Age"), _aged),
    "events": Layout(_EVENT, _event),
    "events.events.k8s.io": Layout(_EVENT, _newer_event),
    "namespaces": Layout(heads("Name", "Status", "Age"), _namespace),
    "nodes": Layout(heads("Name", "Status", "Roles", "Age", "Version", wide=_NODE_WIDE), _node),
    "endpointslices.discovery.k8s.io": Layout(
        heads("Name", "AddressType", "Ports", "Endpoints", "Age"), _endpoint_slice
    ),
    "endpoints": Layout(heads("Name", "Endpoints", "Age"), _endpoints),
    "horizontalpodautoscalers.autoscaling": Layout(
        heads("Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"), _autoscaler
    ),
    "leases.coordination.k8s.io": Layout(heads("Name", "Holder", "Age"), _lease),
    "poddisruptionbudgets.policy": Layout(
        heads("Name", "Min Available", "Max Unavailable", "Allowed Disruptions:integer", "Age"), _budget
    ),
    "roles.rbac.authorization.k8s.io": Layout(heads("Name", "Created At"), _role),
    "clusterroles.rbac.authorization.k8s.io": Layout(heads("Name", "Created At"), _role),
    "rolebindings.rbac.authorization.k8s.io": Layout(_BINDING, _binding),
    "clusterrolebindings.rbac.authorization.k8s.io": Layout(_BINDING, _binding),
    "customresourcedefinitions.apiextensions.k8s.io": Layout(
        heads("Name", "Scope", "Versions", "Created At:date", wide=_DEFINITION_WIDE), _definition
    ),
}
PLAIN = Layout(heads("Name", "Age"), _aged)
