"""What is told of a write that the API server refuses: what was being done, in Flagger's words, and the server's own.

People match on the beginnings of these sentences.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from gradatim.core.verdict import (
    Action,
    Part,
    Promote,
    ResumeScaler,
    RevertTarget,
    Shift,
    StartCanary,
    StopCanary,
)
from gradatim.kube.errors import Forbidden, Invalid
from gradatim.ports.objects import Ref

Step: TypeAlias = Part | type[Action]

_SERVICE = (
    "reconcileService failed: service {place} create error: {error}",
    "reconcileService failed: service {name} update error: {error}",
)
_PRIMARY = (
    "createPrimary{target} failed: creating {word} {place} failed: {error}",
    "updating {word} {place} failed: {error}",
)
_CONFIG = (
    "CreatePrimaryConfigs failed: creating {word} {place} failed: {error}",
    "CreatePrimaryConfigs failed: updating {word} {place} failed: {error}",
)
_FIRST_CONFIG = (f"createPrimary{{target}} failed: {_CONFIG[0]}", f"createPrimary{{target}} failed: {_CONFIG[1]}")
_TEMPLATE = ("", "updating {word} {place} template spec failed: {error}")
_KEDA = ("creating Keda ScaledObject {place} failed: {error}", "updating ScaledObject {place} failed: {error}")
_INGRESS = "ingress {place} create error: {error}"
_ROUTE = "HTTPRoute {place} create error: {error}"
_TRAEFIK = ("TraefikService {place} create error: {error}", "TraefikService {place} update error: {error}")

_SENTENCES: dict[tuple[Step, str], tuple[str, str]] = {
    (Part.SERVICES, "Service"): _SERVICE,
    (Part.APEX, "Service"): _SERVICE,
    (Part.PRIMARY, "Deployment"): _PRIMARY,
    (Part.PRIMARY, "DaemonSet"): _PRIMARY,
    (Part.PRIMARY, "ConfigMap"): _FIRST_CONFIG,
    (Part.PRIMARY, "Secret"): _FIRST_CONFIG,
    (Part.PRIMARY, "Service"): (
        "reconcile{side}Service failed: creating service {place} query error: {error}",
        "reconcile{side}Service failed: updating service {place} failed: {error}",
    ),
    (Part.SCALER, "HorizontalPodAutoscaler"): (
        "creating HorizontalPodAutoscaler v2 {place} failed: {error}",
        "updating HorizontalPodAutoscaler v2 {place} failed: {error}",
    ),
    (Part.SCALER, "ScaledObject"): _KEDA,
    (Part.ROUTES, "Ingress"): (_INGRESS, "ingress {place} update error: {error}"),
    (Part.ROUTES, "HTTPRoute"): (_ROUTE, "HTTPRoute {place} update error: {error} while reconciling"),
    (Part.ROUTES, "TraefikService"): _TRAEFIK,
    (Shift, "Ingress"): (_INGRESS, "ingress {place} update error {error}"),
    (Shift, "HTTPRoute"): (_ROUTE, "HTTPRoute {place} update error: {error} while setting weights"),
    (Shift, "TraefikService"): _TRAEFIK,
    (Promote, "Deployment"): _TEMPLATE,
    (Promote, "DaemonSet"): _TEMPLATE,
    (Promote, "ConfigMap"): _CONFIG,
    (Promote, "Secret"): _CONFIG,
    (Promote, "Service"): ("", "updating service {place} spec failed: {error}"),
    (StartCanary, "Deployment"): ("", "scaling up {place} to {replicas} failed: {error}"),
    (StartCanary, "DaemonSet"): ("", "scaling up daemonset {place} failed: {error}"),
    (StartCanary, "ScaledObject"): _KEDA,
    (StopCanary, "Deployment"): ("", "deployment {place} patch query error: {error}"),
    (StopCanary, "DaemonSet"): ("", "updating daemonset {place} failed: {error}"),
    (StopCanary, "ScaledObject"): _KEDA,
    (ResumeScaler, "ScaledObject"): _KEDA,
    (RevertTarget, "Deployment"): ("", "scale failed: scaling {place} to {replicas} failed: {error}"),
    (RevertTarget, "DaemonSet"): ("", "ScaleFromZero failed: scaling up daemonset {place} failed: {error}"),
    (RevertTarget, "ScaledObject"): _KEDA,
}
"""For an object that is created, and for one that is changed."""


@contextmanager
def told(step: Step, ref: Ref, target: str, *, new: bool = False, replicas: Any = None) -> Iterator[None]:
    """Let what is refused in a step say which step it was; `target` is the kind of the target."""
    try:
        yield
    except (Invalid, Forbidden) as error:
        create, change = _SENTENCES.get((step, ref.resource.kind), ("", ""))
        sentence = (create if new else change) or "{error}"
        text = sentence.format(
            place=f"{ref.name}.{ref.namespace}",
            name=ref.name,
            word=ref.resource.kind.lower(),
            target=target,
            side="Primary" if ref.name.endswith("-primary") else "Canary",
            replicas=replicas,
            error=error.message,
        )
        raise type(error)(text, status=error.status, about=ref) from error
