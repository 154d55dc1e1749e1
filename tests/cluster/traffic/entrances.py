"""How users reach the application, for each way of moving traffic that Traefik follows; and the Canary for it.

In all of them the application is reached before there is a Canary, through a Service and a route of the user's own,
which the operator takes over and has to give back.
"""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from cluster.traffic.edge import NAMESPACE as EDGE
from cluster.traffic.pods import PORT
from gradatim.ports.objects import Manifest

_APPLICATION = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  strategy: {type: STRATEGY}
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: "shop:v1", ports: [{containerPort: PORT}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: PORT}]}
---
"""
_INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ingressClassName: nginx
  rules:
  - host: HOST
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}
"""
_TRAEFIK_SERVICE = """
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: shop}
spec: {weighted: {services: [{name: shop, port: 80}]}}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: shop}
spec:
  entryPoints: [web]
  routes: [{match: Host(`HOST`), kind: Rule, services: [{name: shop, kind: TraefikService}]}]
"""
_HTTP_ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: edge, namespace: EDGE}]
  hostnames: [HOST]
  rules: [{backendRefs: [{name: shop, port: 80}]}]
"""
_CANARY = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: shop}
spec:
  provider: MESH
  revertOnDeletion: true
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  ingressRef: {apiVersion: networking.k8s.io/v1, kind: Ingress, name: shop}
  service:
    port: 80
    targetPort: PORT
    hosts: [HOST]
    gatewayRefs: [{name: edge, namespace: EDGE}]
  analysis:
    interval: 1s
    threshold: 1
    stepWeights: STEPS
    metrics: [{name: request-success-rate, thresholdRange: {min: 99}, interval: 1m}]
    webhooks: [{name: gate, type: confirm-traffic-increase, url: HOOKS/gate}]
"""


@dataclass(frozen=True)
class Entrance:
    """One way in."""

    mesh: str
    namespace: str
    route: str
    """The user's routing objects."""
    steps: tuple[int, ...] = (10, 50, 90)
    strategy: str = "RollingUpdate"
    """How the Deployments change their pods."""
    needless: tuple[str, ...] = ()
    """Fields of the Canary that this mesh does not know."""

    @property
    def host(self) -> str:
        """The name that users call."""
        return f"{self.namespace}.example.com"

    def objects(self) -> list[Manifest]:
        """Everything that is there before the Canary."""
        return list(yaml.safe_load_all(self._filled(_APPLICATION + self.route)))

    def canary(self, hooks: str) -> Manifest:
        """The Canary, with its hooks at this address."""
        made: Manifest = yaml.safe_load(self._filled(_CANARY).replace("HOOKS", hooks))
        for field in self.needless:
            made["spec"].pop(field, None)
            made["spec"]["service"].pop(field, None)
        return made

    def _filled(self, text: str) -> str:
        words = {"MESH": self.mesh, "HOST": self.host, "EDGE": EDGE, "PORT": PORT, "STRATEGY": self.strategy}
        for word, value in {**words, "STEPS": list(self.steps)}.items():
            text = text.replace(word, str(value))
        return text


ENTRANCES = (
    Entrance("nginx", "shop-nginx", _INGRESS, needless=("hosts", "gatewayRefs")),
    Entrance("traefik", "shop-traefik", _TRAEFIK_SERVICE, needless=("ingressRef", "hosts", "gatewayRefs")),
    # A primary that has no pods while it is made anew serves nobody then, and gets everybody afterwards.
    Entrance(
        "gatewayapi:v1", "shop-gateway", _HTTP_ROUTE, (10, 50, 100), strategy="Recreate", needless=("ingressRef",)
    ),
)
