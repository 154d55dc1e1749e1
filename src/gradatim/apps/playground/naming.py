"""Cluster names for processes outside of a cluster: a forward proxy that knows where `service.namespace` is.

The operator asks `http://flagger-prometheus.ingress-nginx:9090` as it would in a cluster; HTTP_PROXY leads it here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from yarl import URL

from gradatim.ports.objects import ENDPOINT_SLICE
from gradatim.sim.store import Store

_HOP_BY_HOP = frozenset({"connection", "proxy-connection", "keep-alive", "transfer-encoding", "content-length", "host"})


class Names:
    """Resolves `name.namespace`, with or without `.svc.cluster.local`: fixed addresses first, then ready endpoints."""

    def __init__(self, store: Store, fixed: Mapping[str, str]) -> None:
        self._store = store
        self._fixed = fixed

    def resolve(self, host: str, port: int) -> str | None:
        """`address:port` behind a name; None when nobody answers there."""
        name, _, rest = host.partition(".")
        namespace = rest.removesuffix(".cluster.local").removesuffix(".svc")
        if f"{name}.{namespace}" in self._fixed:
            return self._fixed[f"{name}.{namespace}"]
        for found in self._store.list(ENDPOINT_SLICE, namespace) if namespace else ():
            if (found["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != name:
                continue
            for endpoint in found.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready"):
                    ports = found.get("ports") or [{"port": port}]
                    return f"{endpoint['addresses'][0]}:{ports[0]['port']}"
        return None


@asynccontextmanager
async def forward_proxy(names: Names) -> AsyncIterator[str]:
    """Serve the proxy; yields its URL."""
    async with aiohttp.ClientSession() as session:

        async def forward(request: web.BaseRequest) -> web.StreamResponse:
            url = URL(request.raw_path) if "://" in request.raw_path else request.url
            place = names.resolve(url.host or "", url.port or 80)
            if place is None:
                return web.Response(status=502, text=f"no endpoints for {url.host}")
            address, _, port = place.rpartition(":")
            headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP_BY_HOP}
            target = url.with_host(address).with_port(int(port))
            body = await request.read()
            try:
                async with session.request(request.method, target, headers=headers, data=body) as answer:
                    kept = {key: value for key, value in answer.headers.items() if key.lower() not in _HOP_BY_HOP}
                    return web.Response(status=answer.status, body=await answer.read(), headers=kept)
            except (aiohttp.ClientError, OSError) as error:
                return web.Response(status=502, text=f"{url.host} at {place} does not answer: {error}")

        runner = web.ServerRunner(web.Server(forward), shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
