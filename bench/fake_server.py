"""A small API server for the benchmarks, in a process of its own so that its work is not counted as ours.

    python bench/fake_server.py DEPLOYMENTS

It prints its port, serves that many Deployments of about 6 KB (managedFields and last-applied included), and on a GET
of `/burst/N` writes N MODIFIED events to the watch, as fast as they are taken. GET and PATCH of one object answer at
once.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from typing import Any

from aiohttp import web

BATCH = 64
"""Events written at once: a real server's writes coalesce like this when a client is behind."""


def deployment(number: int) -> dict[str, Any]:
    """One Deployment as kubectl apply leaves it behind."""
    name = f"podinfo-{number}"
    container = {
        "name": "podinfod",
        "image": "ghcr.io/stefanprodan/podinfo:6.0.0",
        "ports": [{"containerPort": port, "name": f"port-{port}", "protocol": "TCP"} for port in (9898, 9797, 9999)],
        "env": [{"name": f"SETTING_{index}", "value": f"value of setting {index}"} for index in range(20)],
        "resources": {"limits": {"cpu": "2", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}},
        "livenessProbe": {"exec": {"command": ["podcli", "check", "http", "localhost:9898/healthz"]}},
    }
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
    }
    managed = {f"f:{field}": {f"k:{{{index}}}": {} for index in range(6)} for index, field in enumerate("abcdefghij")}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": f"team-{number % 20}",
            "uid": f"{number:08x}-0000-4000-8000-000000000000",
            "resourceVersion": str(1000 + number),
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(spec)},
            "managedFields": [
                {"manager": manager, "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": managed}
                for manager in ("kubectl", "kube-controller-manager")
            ],
        },
        "spec": spec,
        "status": {"replicas": 2, "readyReplicas": 2, "conditions": [{"type": "Available", "status": "True"}] * 2},
    }


class Server:
    """Objects encoded once; a new version is a new number in the same bytes."""

    def __init__(self, count: int) -> None:
        self.objects = [deployment(number) for number in range(count)]
        self.bodies = [json.dumps(each, separators=(",", ":")).encode() for each in self.objects]
        self.version = 10_000_000

    def changed(self, number: int) -> bytes:
        """The object at a new version."""
        self.version += 1
        return self.bodies[number].replace(
            b'"resourceVersion":"%d"' % (1000 + number), b'"resourceVersion":"%d"' % self.version
        )

    async def list_or_watch(self, request: web.Request) -> web.StreamResponse:
        """The collection."""
        if "watch" in request.query:
            return await self.watch(request)
        start = int(request.query.get("continue", 0))
        end = start + int(request.query.get("limit", 500))
        token = b',"continue":"%d"' % end if end < len(self.bodies) else b""
        head = b'{"kind":"DeploymentList","metadata":{"resourceVersion":"%d"%s},"items":[' % (self.version, token)
        return web.Response(body=head + b",".join(self.bodies[start:end]) + b"]}", content_type="application/json")

    async def watch(self, request: web.Request) -> web.StreamResponse:
        """Wait for a burst to be asked for on another connection, and write it."""
        response = web.StreamResponse()
        await response.prepare(request)
        self.watching = response
        await asyncio.Event().wait()
        return response

    async def burst(self, request: web.Request) -> web.Response:
        """Write many events; the last one is of the first object, so that the client can tell."""
        chance, left = random.Random(1), int(request.match_info["count"])
        while left > 0:
            numbers = [chance.randrange(1, len(self.bodies)) for _ in range(min(BATCH, left))]
            left -= len(numbers)
            if not left:
                numbers[-1] = 0
            lines = [b'{"type":"MODIFIED","object":' + self.changed(number) + b"}\n" for number in numbers]
            await self.watching.write(b"".join(lines))
        return web.Response()

    async def one(self, request: web.Request) -> web.Response:
        """GET answers the object; PATCH reads the patch and answers the object at a new version."""
        number = int(request.match_info["name"].removeprefix("podinfo-"))
        if request.method == "GET":
            return web.Response(body=self.bodies[number], content_type="application/json")
        await request.read()
        return web.Response(body=self.changed(number), content_type="application/json")


async def main(count: int) -> None:
    """Serve until killed."""
    server = Server(count)
    app = web.Application()
    app.router.add_get("/apis/apps/v1/deployments", server.list_or_watch)
    app.router.add_get("/burst/{count}", server.burst)
    for path in (
        "/apis/apps/v1/namespaces/{ns}/deployments/{name}",
        "/apis/apps/v1/namespaces/{ns}/deployments/{name}/status",
    ):
        app.router.add_get(path, server.one)
        app.router.add_patch(path, server.one)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    size = sum(map(len, server.bodies)) // len(server.bodies)
    print(json.dumps({"port": runner.addresses[0][1], "object_bytes": size}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
