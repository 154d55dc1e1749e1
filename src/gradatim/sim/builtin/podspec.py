"""Pod specs, wherever they occur: the defaults that depend on other fields, and the rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gradatim.ports.objects import Manifest
from gradatim.sim import names
from gradatim.sim.refusals import Cause, duplicate, forbidden_field, invalid, not_there, required
from gradatim.sim.schema.quantity import value

_PORT_NAME = re.compile(r"(?=[-a-z0-9]{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
_ENV_RULE = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def default(spec: Manifest) -> None:
    """Pull policies, volumes without a source, the service account's two names."""
    for key in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(key) or ():
            container.setdefault("imagePullPolicy", pull_policy(container.get("image", "")))
    for volume in spec.get("volumes") or ():
        if volume.keys() <= {"name"}:
            volume["emptyDir"] = {}
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account


def default_pod(spec: Manifest) -> None:
    """What only pods get, not templates."""
    spec.setdefault("enableServiceLinks", True)
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        limits = container["resources"].get("limits")
        if limits:
            container["resources"]["requests"] = limits | container["resources"].get("requests", {})
        if spec.get("hostNetwork"):
            for port in container.get("ports", ()):
                port.setdefault("hostPort", port["containerPort"])


def pull_policy(image: str) -> str:
    """Always for `latest`, said or unsaid; else whatever is there already will do."""
    last = image.rpartition("/")[2]
    if "@" in last:
        return "IfNotPresent"
    _, colon, tag = last.partition(":")
    return "Always" if not colon or tag == "latest" else "IfNotPresent"


def check(spec: Manifest, path: str) -> Iterator[Cause]:
    """What is wrong with a pod spec."""
    volumes: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or ()):
        yield from _check_volume(volume, f"{path}.volumes[{index}]", volumes)
        volumes.add(volume.get("name", ""))
    containers = spec.get("containers") or ()
    if not containers:
        yield required(f"{path}.containers")
    known: set[str] = set()
    for key in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(key) or ()):
            yield from _check_container(container, f"{path}.{key}[{index}]", volumes)
            if container["name"] in known:
                yield duplicate(f"{path}.{key}[{index}].name", container["name"])
            known.add(container["name"])
    yield from check_labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")


def check_labels(labels: dict[str, str], path: str) -> Iterator[Cause]:
    """What is wrong with labels."""
    for key, text in labels.items():
        yield from (invalid(path, key, sentence) for sentence in names.qualified(key))
        yield from (invalid(path, text, sentence) for sentence in names.label_value(text))


def _check_volume(volume: Manifest, path: str, taken: set[str]) -> Iterator[Cause]:
    kinds = [key for key in volume if key != "name"]
    for kind in kinds[1:]:
        yield forbidden_field(f"{path}.{kind}", "may not specify more than 1 volume type")
    source = volume.get("configMap")
    if source is not None and not source.get("name"):
        yield required(f"{path}.configMap.name")
    source = volume.get("secret")
    if source is not None and not source.get("secretName"):
        yield required(f"{path}.secret.secretName")
    if volume.get("name"):
        yield from (invalid(f"{path}.name", volume["name"], sentence) for sentence in names.label(volume["name"]))
        if volume["name"] in taken:
            yield duplicate(f"{path}.name", volume["name"])


def _check_container(container: Manifest, path: str, volumes: set[str]) -> Iterator[Cause]:
    if container["name"]:
        yield from (invalid(f"{path}.name", container["name"], one) for one in names.label(container["name"]))
    yield from _check_ports(container.get("ports") or (), f"{path}.ports")
    for index, variable in enumerate(container.get("env") or ()):
        yield from _check_variable(variable, f"{path}.env[{index}]")
    mounted: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if mount["name"] not in volumes:
            yield not_there(f"{path}.volumeMounts[{index}].name", mount["name"])
        if mount["mountPath"] in mounted:
            yield invalid(f"{path}.volumeMounts[{index}].mountPath", mount["mountPath"], "must be unique")
        mounted.add(mount["mountPath"])
    yield from _check_resources(container["resources"], f"{path}.resources")
    for kind in _PROBES:
        if container.get(kind) is not None:
            yield from _check_probe(container[kind], f"{path}.{kind}", only_one=kind != "readinessProbe")


def _check_ports(ports: Any, path: str) -> Iterator[Cause]:
    taken: set[str] = set()
    for index, port in enumerate(ports):
        name = port.get("name")
        if name and not _PORT_NAME.fullmatch(name):
            yield from (invalid(f"{path}[{index}].name", name, sentence) for sentence in _port_name_faults(name))
        elif name and name in taken:
            yield duplicate(f"{path}[{index}].name", name)
        taken.add(name)
        for key in ("containerPort", "hostPort"):
            if port.get(key) and not 0 < port[key] < 65536:
                yield invalid(f"{path}[{index}].{key}", port[key], "must be between 1 and 65535, inclusive")


def _port_name_faults(name: str) -> Iterator[str]:
    if len(name) > 15:
        yield "must be no more than 15 characters"
    if not re.fullmatch("[-a-z0-9]+", name):
        yield "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not re.search("[a-z]", name):
        yield "must contain at least one letter (a-z)"
    if "--" in name:
        yield "must not contain consecutive hyphens"
    if name.startswith("-") or name.endswith("-"):
        yield "must not begin or end with a hyphen"


def _check_variable(variable: Manifest, path: str) -> Iterator[Cause]:
    if variable["name"] and not re.fullmatch(r"[ -<>-~]+", variable["name"]):
        yield invalid(f"{path}.name", variable["name"], _ENV_RULE)
    source = variable.get("valueFrom")
    if source is None:
        return
    if not source:
        detail = (
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        )
        yield invalid(f"{path}.valueFrom", "", detail)
    elif variable.get("value"):
        yield invalid(f"{path}.valueFrom", "", "may not be specified when `value` is not empty")
    elif len(source) > 1:
        yield invalid(f"{path}.valueFrom", "", "may not have more than one field specified at a time")
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if kind in source and not source[kind].get("name"):
            yield required(f"{path}.valueFrom.{kind}.name")


def _check_resources(resources: Manifest, path: str) -> Iterator[Cause]:
    limits = resources.get("limits") or {}
    for group in ("limits", "requests"):
        for name, amount in (resources.get(group) or {}).items():
            if value(amount) < 0:
                yield invalid(f"{path}.{group}[{name}]", amount, "must be greater than or equal to 0")
    for name, amount in (resources.get("requests") or {}).items():
        if name in limits and value(amount) > value(limits[name]):
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            yield invalid(f"{path}.requests", amount, detail)


def _check_probe(probe: Manifest, path: str, only_one: bool) -> Iterator[Cause]:
    handlers = [kind for kind in ("exec", "httpGet", "tcpSocket", "grpc") if probe.get(kind) is not None]
    if not handlers:
        yield required(path, "must specify a handler type")
    for kind in handlers[1:]:
        yield forbidden_field(f"{path}.{kind}", "may not specify more than 1 handler type")
    for key in _PROBE_NUMBERS:
        if probe.get(key, 0) < 0:
            yield invalid(f"{path}.{key}", probe[key], "must be greater than or equal to 0")
    if only_one and probe.get("successThreshold", 1) != 1:
        yield invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")
