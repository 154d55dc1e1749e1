"""Traefik's series become ingress-nginx's, whatever the names of Ingresses and Services look like."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cluster_in_time import cluster, deployment

from gradatim.ports.objects import DEPLOYMENT, SERVICE, Manifest
from gradatim.sim.exposition import PageReader
from gradatim.sim.proxy_metrics import ingress_nginx_rules, pod_targets


def ingress(name: str, service: str, port: Any = 80, host: str = "shop.example.com", canary: bool = False) -> Manifest:
    """An Ingress in namespace `test` with one path."""
    number = {"number": port} if isinstance(port, int) else {"name": port}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": number}}}
    annotations = {"nginx.ingress.kubernetes.io/canary": "true"} if canary else {}
    return {
        "metadata": {"name": name, "namespace": "test", "annotations": annotations},
        "spec": {"rules": [{"host": host, "http": {"paths": [path]}}]},
    }


def translated(page: str, *ingresses: Manifest) -> list[dict[str, str]]:
    """The labels of what remains of a page."""
    return [dict(labels) for labels, _, _ in PageReader((), ingress_nginx_rules(ingresses)).read(page)]


def requests(service: str, code: str = "200") -> str:
    return f'traefik_service_requests_total{{code="{code}",method="GET",protocol="http",service="{service}"}} 1'


def test_requests_to_a_canary_count_under_the_main_ingress_and_service() -> None:
    """As real ingress-nginx does it; `canary` names the upstream that was taken."""
    main, canary = (
        ingress("prod-ingress", "hello-v1", 5000),
        ingress("prod-ingress-canary", "hello-v1-canary", 5000, canary=True),
    )
    page = "\n".join(
        [
            requests("test-prod-ingress-hello-v1-5000@kubernetesingressnginx"),
            requests("test-prod-ingress-hello-v1-5000-canary@kubernetesingressnginx", "503"),
        ]
    )
    labels = {
        "__name__": "nginx_ingress_controller_requests",
        "namespace": "test",
        "ingress": "prod-ingress",
        "service": "hello-v1",
        "method": "GET",
    }
    assert translated(page, main, canary) == [
        {**labels, "status": "200"},
        {**labels, "status": "503", "canary": "test-hello-v1-canary-5000"},
    ]


def test_durations_keep_their_buckets_under_the_other_name() -> None:
    service = 'code="200",method="GET",protocol="http",service="test-shop-shop-80@kubernetesingressnginx"'
    page = "\n".join(
        f"traefik_service_request_duration_seconds_{kind} 1"
        for kind in (f'bucket{{{service},le="0.1"}}', f"sum{{{service}}}", f"count{{{service}}}")
    )
    found = translated(page, ingress("shop", "shop"))
    assert [each["__name__"] for each in found] == [
        f"nginx_ingress_controller_response_duration_seconds_{kind}" for kind in ("bucket", "sum", "count")
    ]
    assert found[0]["le"] == "0.1"
    assert {each["ingress"] for each in found} == {"shop"}


def test_names_that_could_be_split_in_two_ways_are_told_apart_by_the_known_ingresses() -> None:
    page = requests("test-a-b-c-80@kubernetesingressnginx")
    [found] = translated(page, ingress("a-b", "c"))
    assert (found["ingress"], found["service"]) == ("a-b", "c")
    [found] = translated(page, ingress("a", "b-c"))
    assert (found["ingress"], found["service"]) == ("a", "b-c")


def test_a_port_may_have_a_name_and_regular_expressions_in_names_do_no_harm() -> None:
    page = requests("test-web.v1-web-http@kubernetesingressnginx")
    assert translated(page, ingress("web.v1", "web", "http"))[0]["ingress"] == "web.v1"
    assert translated(requests("test-webxv1-web-http@kubernetesingressnginx"), ingress("web.v1", "web", "http")) == []


def test_what_belongs_to_no_known_ingress_or_is_no_service_is_left_out() -> None:
    page = "\n".join(
        [
            requests("default-backend@kubernetesingressnginx"),
            requests("test-shop-canary-80@kubernetescrd"),
            'traefik_entrypoint_requests_total{code="200",entrypoint="web"} 9',
            "go_goroutines 12",
        ]
    )
    assert translated(page, ingress("shop", "shop")) == []


def test_websockets_stay_apart_from_plain_requests() -> None:
    plain = requests("test-shop-shop-80@kubernetesingressnginx")
    found = translated(f"{plain}\n{plain.replace('http', 'websocket')}", ingress("shop", "shop"))
    assert [each.get("protocol") for each in found] == [None, "websocket"]


@pytest.mark.asyncio
@pytest.mark.usefixtures("virtual_time")
async def test_ready_pods_are_scraped_where_their_annotations_or_ports_say() -> None:
    async with cluster(ready_after=1.0) as world:
        plain, told, shy = (
            deployment("plain", replicas=1),
            deployment("told", replicas=1),
            deployment("shy", replicas=1),
        )
        told["spec"]["template"]["metadata"]["annotations"] = {
            "prometheus.io/scrape": "true", "prometheus.io/port": "9797", "prometheus.io/path": "/m",
        }  # fmt: skip
        shy["spec"]["template"]["metadata"]["annotations"] = {"prometheus.io/scrape": "false"}
        for made in (plain, told, shy):
            world.apply(DEPLOYMENT, made)
        world.apply(
            SERVICE,
            {
                "metadata": {"name": "plain"},
                "spec": {"selector": {"app": "plain"}, "ports": [{"port": 80, "targetPort": 5000}]},
            },
        )
        await asyncio.sleep(0.5)
        assert list(pod_targets(world.store)) == []
        await asyncio.sleep(1)
        targets = {dict(target.labels)["app"]: target for target in pod_targets(world.store)}
        assert targets.keys() == {"plain", "told"}
        [pod] = world.pods(app="plain")
        assert targets["plain"].url == f"http://{pod['status']['podIP']}:5000/metrics"
        labels = dict(targets["plain"].labels)
        assert labels["kubernetes_pod_name"] == pod["metadata"]["name"]
        assert labels["kubernetes_namespace"] == "test"
        assert labels["pod_template_hash"] == pod["metadata"]["labels"]["pod-template-hash"]
        assert targets["told"].url.endswith(":9797/m")
