"""The built-in checks are asked in Flagger's words: texts as recorded, or by the tables of the specification."""

from __future__ import annotations

import re

import msgspec
import pytest

from gradatim.ports.mesh import QueryScope
from gradatim.providers import registry

SCOPE = QueryScope(
    name="cart",
    namespace="shop",
    kind="Deployment",
    target="cart-v1",
    service="cart",
    ingress="web",
    route="cart-v1",
    interval="1m",
)
_NGINX = 'namespace="shop", ingress="web", canary!=""'
_TRAEFIK = 'service=~"shop-cart-canary-[0-9a-zA-Z-]+@kubernetescrd"'
_BUCKETS = "traefik_service_request_duration_seconds_bucket"
_PODS = 'kubernetes_namespace="shop", kubernetes_pod_name=~"cart-v1-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"'

SUCCESS_RATES = {
    "nginx": f' sum( rate( nginx_ingress_controller_requests{{ {_NGINX}, status!~"5.*" }}[1m] ) )'
    f" / sum( rate( nginx_ingress_controller_requests{{ {_NGINX} }}[1m] ) ) * 100",
    "traefik": f' sum( rate( {_BUCKETS}{{ {_TRAEFIK}, code!~"5..", le="+Inf" }}[1m] ) )'
    f' / sum( rate( {_BUCKETS}{{ {_TRAEFIK}, le="+Inf" }}[1m] ) ) * 100',
    "kubernetes": f' sum( rate( http_request_duration_seconds_count{{ {_PODS}, status!~"5.*" }}[1m] ) )'
    f" / sum( rate( http_request_duration_seconds_count{{ {_PODS} }}[1m] ) ) * 100",
}
DURATIONS = {
    "nginx": f" sum( rate( nginx_ingress_controller_response_duration_seconds_sum{{ {_NGINX} }}[1m] ) )"
    f" / sum( rate( nginx_ingress_controller_response_duration_seconds_count{{ {_NGINX} }}[1m] ) ) * 1000",
    "traefik": f" histogram_quantile( 0.99, sum( rate( {_BUCKETS}{{ {_TRAEFIK} }}[1m] ) ) by (le) ) * 1000",
    "kubernetes": " histogram_quantile( 0.99, sum( rate( http_request_duration_seconds_bucket"
    f"{{ {_PODS} }}[1m] ) ) by (le) )",
}


REQUESTS = {
    ("nginx", False): f"nginx_ingress_controller_requests{{ {_NGINX} }}",
    ("nginx", True): "",
    ("traefik", False): f'{_BUCKETS}{{ {_TRAEFIK}, le="+Inf" }}',
    ("traefik", True): f'{_BUCKETS}{{ {_TRAEFIK.replace("-canary-", "-primary-")}, le="+Inf" }}',
    ("kubernetes", False): 'http_request_duration_seconds_count{ kubernetes_namespace="shop", '
    'kubernetes_pod_name=~"cart-v1-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)?", kubernetes_pod_name!~"cart-v1-primary-.+" }',
    ("kubernetes", True): 'http_request_duration_seconds_count{ kubernetes_namespace="shop", '
    'kubernetes_pod_name=~"cart-v1-primary-.+" }',
}


@pytest.mark.parametrize(("mesh", "primary"), REQUESTS)
def test_requests_to_one_side_are_counted_by_its_own_counters(mesh: str, primary: bool) -> None:
    """Whatever NGINX counts of the main Ingress may be anybody's, so that nothing is asked there."""
    assert registry.mesh(mesh).queries.requests(SCOPE, primary) == REQUESTS[mesh, primary]


@pytest.mark.parametrize("mesh", SUCCESS_RATES)
def test_success_rates_are_asked_as_recorded(mesh: str) -> None:
    """Percent; recordings nginx-canary, traefik-canary, kubernetes-blue-green."""
    assert registry.mesh(mesh).queries.success_rate(SCOPE) == SUCCESS_RATES[mesh]


@pytest.mark.parametrize("mesh", DURATIONS)
def test_durations_are_asked_by_the_table(mesh: str) -> None:
    """Milliseconds in the query, or seconds where the mesh says so."""
    queries = registry.mesh(mesh).queries
    assert queries.duration(SCOPE) == DURATIONS[mesh]
    assert queries.duration_in_seconds == (mesh == "kubernetes")


@pytest.mark.parametrize("mesh", ["gatewayapi:v1", "gatewayapi:v1beta1"])
def test_gateways_ask_the_applications(mesh: str) -> None:
    """Gateways have no series in common, so the applications' own are used, as without a mesh."""
    assert registry.mesh(mesh).queries is registry.mesh("kubernetes").queries


@pytest.mark.parametrize(
    ("kind", "canary", "primary"),
    [
        ("Deployment", "cart-v1-5d9c7b8f6d-x7k2p", "cart-v1-primary-5d9c7b8f6d-x7k2p"),
        ("DaemonSet", "cart-v1-x7k2p", "cart-v1-primary-x7k2p"),
    ],
)
def test_applications_are_asked_about_the_pods_of_the_canary_and_not_of_the_primary(
    kind: str, canary: str, primary: str
) -> None:
    queries, scope = registry.mesh("kubernetes").queries, msgspec.structs.replace(SCOPE, kind=kind)
    for query in (queries.success_rate(scope), queries.duration(scope)):
        matchers = re.findall(r'kubernetes_pod_name=~"([^"]+)"', query)
        assert matchers
        assert all(re.fullmatch(one, canary) for one in matchers)
        assert not any(re.fullmatch(one, primary) for one in matchers)
