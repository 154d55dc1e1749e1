"""Traefik as on a cluster: one program for all meshes, with an account of its own that may read what it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import yaml

from cluster.client import Client, path
from cluster.namespaces import SERVICE_ACCOUNT, make_namespace
from gradatim.sim.traefik import Traefik

NAMESPACE = "edge"
"""Where Traefik's account is, and the Gateway `edge`."""

_ACCESS = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: traefik, namespace: edge}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: traefik}
rules:
- {apiGroups: [""], resources: [namespaces, nodes, services, configmaps, secrets], verbs: [get, list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch]}
- {apiGroups: [networking.k8s.io], resources: [ingresses, ingressclasses], verbs: [get, list, watch]}
- {apiGroups: [traefik.io, gateway.networking.k8s.io], resources: ["*"], verbs: [get, list, watch]}
- apiGroups: [gateway.networking.k8s.io]
  resources: [gatewayclasses/status, gateways/status, httproutes/status]
  verbs: [update, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: traefik}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: traefik}
subjects: [{kind: ServiceAccount, name: traefik, namespace: edge}]
"""
_OBJECTS = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: traefik}
spec: {controllerName: traefik.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: edge}
spec:
  gatewayClassName: traefik
  listeners: [{name: web, port: PORT, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
"""


class Edge(Traefik):
    """Traefik with an API server behind TLS, and with its own page about what it does."""

    def __init__(self, api: str, authority: Path, token: str) -> None:
        super().__init__(api, ("kubernetesingressnginx", "kubernetescrd", "kubernetesgateway"), token=token)
        self._authority = authority

    def arguments(self, dynamic: Path) -> list[str]:
        """The command line."""
        trusted = [f"--providers.{provider}.certauthfilepath={self._authority}" for provider in self.providers]
        return [*super().arguments(dynamic), "--api.insecure=true", *trusted]

    async def share(self, namespace: str) -> int:
        """How many of a hundred requests for a namespace's application go to the canary, as Traefik itself says."""
        url = f"http://{self.address}:{self.admin_port}/api/http/services?per_page=1000"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            listed = await answer.json()
        weights = {
            member["name"]: member["weight"]
            for service in listed
            if namespace in service["name"]
            for member in service.get("weighted", {}).get("services", ())
        }
        on_canary = sum(weight for name, weight in weights.items() if "-canary" in name)
        return round(100 * on_canary / (sum(weights.values()) or 1))


@asynccontextmanager
async def edge(admin: Client, authority: Path) -> AsyncIterator[Edge]:
    """Install it and run it for as long as the block lasts."""
    await make_namespace(admin, NAMESPACE)
    for manifest in yaml.safe_load_all(_ACCESS):
        await admin.apply(manifest)
    asked = {"spec": {"expirationSeconds": 86400}}
    answer = await admin.must("POST", path(SERVICE_ACCOUNT, NAMESPACE, "traefik", "token"), asked)
    async with AsyncExitStack() as stack:
        traefik = await stack.enter_async_context(Edge(admin.url, authority, answer["status"]["token"]))
        for manifest in yaml.safe_load_all(_OBJECTS.replace("PORT", str(traefik.web_port))):
            await admin.apply(manifest)
        yield traefik
