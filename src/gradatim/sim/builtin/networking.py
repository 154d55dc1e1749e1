"""Ingresses, their classes, network policies and EndpointSlices."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from gradatim.ports.objects import Manifest
from gradatim.sim import names
from gradatim.sim.builtin.kind import Counted
from gradatim.sim.refusals import Cause, duplicate, invalid, required

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_WILDCARD = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist "
_WILDCARD += "of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character "
_WILDCARD += rf"(e.g. '*.example.com', regex used for validation is '\*\.{names.SUBDOMAIN}')"


class Ingress(Counted):
    """An Ingress."""

    created_by_update = False

    def default(self, obj: Manifest) -> None:
        """Nothing depends on anything."""

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """A backend somewhere, hosts and paths that can be matched."""
        spec = new["spec"]
        annotated = new["metadata"].get("annotations", {}).get(CLASS_ANNOTATION)
        if old is None and annotated and spec.get("ingressClassName") not in (None, annotated):
            detail = "must match `ingressClassName` when both are specified"
            yield invalid(f"annotations.{CLASS_ANNOTATION}", annotated, detail)
        if not spec.get("rules") and not spec.get("defaultBackend"):
            yield invalid("spec", None, "either `defaultBackend` or `rules` must be specified")
        if spec.get("defaultBackend") is not None:
            yield from _check_backend(spec["defaultBackend"], "spec.defaultBackend")
        for index, rule in enumerate(spec.get("rules", ())):
            yield from _check_rule(rule, f"spec.rules[{index}]")
        for index, tls in enumerate(spec.get("tls", ())):
            name = tls.get("secretName")
            wrong = names.subdomain(name) if name else ()
            yield from (invalid(f"spec.tls[{index}].secretName", name, sentence) for sentence in wrong)
        meant = spec.get("ingressClassName")
        wrong = names.subdomain(meant) if meant is not None else ()
        yield from (invalid("spec.ingressClassName", meant, sentence) for sentence in wrong)

    def remarks(self, new: Manifest, old: Manifest | None) -> Iterator[str]:
        """An annotation that has become a field."""
        if old is None and CLASS_ANNOTATION in new["metadata"].get("annotations", {}):
            yield f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"


def _check_rule(rule: Manifest, path: str) -> Iterator[Cause]:
    host = rule.get("host", "")
    if host.startswith("*"):
        if not re.fullmatch(rf"\*\.{names.SUBDOMAIN}", host):
            yield invalid(f"{path}.host", host, _WILDCARD)
    elif host and _is_address(host):
        yield invalid(f"{path}.host", host, "must be a DNS name, not an IP address")
    elif host:
        yield from (invalid(f"{path}.host", host, sentence) for sentence in names.subdomain(host))
    if rule.get("http") is None:
        return
    paths = rule["http"].get("paths") or ()
    if not paths:
        yield required(f"{path}.http.paths")
    for index, one in enumerate(paths):
        yield from _check_path(one, f"{path}.http.paths[{index}]")


def _check_path(one: Manifest, path: str) -> Iterator[Cause]:
    kind, text = one.get("pathType"), one.get("path", "")
    if not kind:
        yield required(f"{path}.pathType", "pathType must be specified")
    elif kind in ("Exact", "Prefix"):
        if not text.startswith("/"):
            yield invalid(f"{path}.path", text, "must be an absolute path")
        for bad in ("//", "/./", "/../", "%2f", "%2F"):
            if bad in text:
                yield invalid(f"{path}.path", text, f"must not contain '{bad}'")
    elif text and not text.startswith("/"):
        yield invalid(f"{path}.path", text, "must be an absolute path")
    yield from _check_backend(one.get("backend") or {}, f"{path}.backend")


def _check_backend(backend: Manifest, path: str) -> Iterator[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is None and resource is None:
        yield invalid(path, "", "resource or service backend is required")
    elif service is not None and resource is not None:
        yield invalid(path, "", "cannot set both resource and service backends")
    elif service is not None:
        if not service.get("name"):
            yield required(f"{path}.service.name")
        port = service.get("port") or {}
        if port.get("name") and port.get("number"):
            yield invalid(path, "", "cannot set both port name & port number")
        elif not port.get("name") and not port.get("number"):
            yield required(path, "port name or number is required")


class IngressClass(Counted):
    """An IngressClass."""

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """Who is meant by it does not change."""
        controller = new["spec"].get("controller", "")
        if old is not None and controller != old["spec"].get("controller", ""):
            yield invalid("spec.controller", controller, "field is immutable")
        if not controller:
            yield required("spec.controller")
        elif not re.fullmatch(rf"{names.SUBDOMAIN}/\S+", controller):
            yield invalid("spec.controller", controller, 'must be a domain-prefixed path (such as "acme.io/foo")')


class NetworkPolicy(Counted):
    """A NetworkPolicy."""

    def default(self, obj: Manifest) -> None:
        """Ingress always, egress if it is spoken of."""
        spec = obj["spec"]
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


class EndpointSlice(Counted):
    """An EndpointSlice. Loopback addresses are welcome, unlike in a real cluster: pods may live there."""

    def changed(self, new: Manifest, old: Manifest) -> bool:
        """Its generation also counts changes of labels."""
        return new["metadata"].get("labels") != old["metadata"].get("labels") or super().changed(new, old)

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """Addresses of the declared type, ports with names of their own."""
        if old is not None and new["addressType"] != old["addressType"]:
            yield invalid("addressType", None, "field is immutable")
            return
        for index, endpoint in enumerate(new.get("endpoints") or ()):
            if not endpoint.get("addresses"):
                yield required(f"endpoints[{index}].addresses")
            for place, address in enumerate(endpoint.get("addresses") or ()):
                yield from _check_address(new["addressType"], address, f"endpoints[{index}].addresses[{place}]")
        taken: set[str] = set()
        for index, port in enumerate(new.get("ports") or ()):
            if port["name"] in taken:
                yield duplicate(f"ports[{index}].name", port["name"])
            taken.add(port["name"])


def _check_address(kind: str, address: str, path: str) -> Iterator[Cause]:
    if kind == "FQDN":
        yield from (invalid(path, address, sentence) for sentence in names.subdomain(address))
        return
    if not _is_address(address):
        yield invalid(path, address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
    elif ipaddress.ip_address(address).version != (4 if kind == "IPv4" else 6):
        yield invalid(path, address, f"must be an {kind} address")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
