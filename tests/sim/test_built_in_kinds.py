"""Built-in kinds: what the server adds to them, keeps of them and refuses.

Whole objects and the texts of most refusals are compared with a real server's in `test_recorded_answers.py`.
"""

from __future__ import annotations

from typing import Any

import pytest
from talk import (
    AUTOSCALERS,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    EVENTS,
    INGRESSES,
    MERGE,
    PODS,
    SECRETS,
    SERVICES,
    STRATEGIC,
    ask,
    causes,
    deployment,
    done,
    patched,
    refused,
    server,
)

from gradatim.ports.objects import Manifest
from gradatim.sim.api import Api, Request

pytestmark = pytest.mark.asyncio

SHOP = f"{DEPLOYMENTS}/shop"
NEW_EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"


def service(name: str = "web", **spec: Any) -> Manifest:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], "selector": {"app": name}, **spec}}


def pod(name: str = "p", **spec: Any) -> Manifest:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "c:1"}], **spec}}


async def test_a_deployment_is_completed() -> None:
    made = (await done(server(), "POST", DEPLOYMENTS, deployment()))["spec"]
    template = made.pop("template")
    assert made == {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "shop"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }
    (container,) = template["spec"].pop("containers")
    assert container == {
        "name": "shop",
        "image": "shop:1",
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }
    assert template["spec"] == {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    }


async def test_what_a_client_writes_again_changes_nothing() -> None:
    api = server()
    made = await done(api, "POST", DEPLOYMENTS, deployment())
    assert await done(api, "PUT", SHOP, deployment()) == made
    assert await patched(api, SHOP, {"spec": {"replicas": 1}}) == made


async def test_the_generation_of_a_deployment_counts_changes_of_spec_and_annotations() -> None:
    api = server()
    await done(api, "POST", DEPLOYMENTS, deployment())
    for patch, url, generation in (
        ({"spec": {"replicas": 3}}, SHOP, 2),
        ({"metadata": {"labels": {"a": "b"}}}, SHOP, 2),
        ({"status": {"observedGeneration": 2}}, f"{SHOP}/status", 2),
        ({"spec": {"paused": True}}, SHOP, 3),
        ({"metadata": {"annotations": {"a": "b"}}}, SHOP, 4),
    ):
        assert (await patched(api, url, patch))["metadata"]["generation"] == generation


async def test_a_selector_fits_its_template_and_stays() -> None:
    api = server()
    wrong = deployment(selector={"matchLabels": {"app": "other"}})
    assert causes(await refused(api, "POST", DEPLOYMENTS, wrong)) == {
        "spec.template.metadata.labels": ('Invalid value: {"app":"shop"}: `selector` does not match template `labels`')
    }
    await done(api, "POST", DEPLOYMENTS, deployment())
    labels = {"app": "shop", "tier": "web"}
    change = {"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}}
    status = await refused(api, "PATCH", SHOP, change, content_type=MERGE)
    assert "field is immutable" in causes(status)["spec.selector"]


async def test_a_daemon_set_counts_the_generations_of_its_template() -> None:
    api = server()
    spec = {key: value for key, value in deployment()["spec"].items() if key != "replicas"}
    made = await done(api, "POST", DAEMON_SETS, {"metadata": {"name": "agent"}, "spec": spec})
    assert made["metadata"]["annotations"] == {"deprecated.daemonset.template.generation": "1"}
    change = {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}
    changed = await patched(api, f"{DAEMON_SETS}/agent", change)
    assert changed["metadata"]["annotations"] == {"deprecated.daemonset.template.generation": "2"}


async def test_services_get_addresses_of_their_own() -> None:
    api = server()
    made = [await done(api, "POST", SERVICES, service(f"s{number}")) for number in range(20)]
    addresses = {one["spec"]["clusterIP"] for one in made}
    assert len(addresses) == 20
    assert all(address.startswith("10.96.") for address in addresses)
    assert made[0]["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert made[0]["spec"]["internalTrafficPolicy"] == "Cluster"


async def test_an_address_cannot_be_given_twice_nor_be_changed() -> None:
    api = server()
    await done(api, "POST", SERVICES, service(clusterIP="10.96.0.10"))
    status = await refused(api, "POST", SERVICES, service("other", clusterIP="10.96.0.10"))
    assert "provided IP is already allocated" in status["message"]
    status = await refused(api, "POST", SERVICES, service("other", clusterIP="10.1.0.10"))
    assert "not in the valid range" in status["message"]
    change = {"spec": {"clusterIP": "10.96.0.11"}}
    status = await refused(api, "PATCH", f"{SERVICES}/web", change, content_type=MERGE)
    assert "may not change once set" in status["message"]


async def test_a_headless_service_has_no_address() -> None:
    spec = (await done(server(), "POST", SERVICES, service(clusterIP="None")))["spec"]
    assert (spec["clusterIP"], spec["clusterIPs"], spec["ipFamilyPolicy"]) == ("None", ["None"], "SingleStack")


async def test_node_ports_come_and_go_with_the_type() -> None:
    api = server()
    made = await done(api, "POST", SERVICES, service(type="NodePort"))
    (port,) = made["spec"]["ports"]
    assert 30000 <= port["nodePort"] < 32768
    again = await patched(api, f"{SERVICES}/web", {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}})
    assert again["spec"]["ports"][0]["nodePort"] == port["nodePort"]
    inner = await patched(api, f"{SERVICES}/web", {"spec": {"type": "ClusterIP"}})
    assert "nodePort" not in inner["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in inner["spec"]


async def test_text_for_a_secret_is_encoded() -> None:
    api = server()
    made = await done(
        api, "POST", SECRETS, {"metadata": {"name": "s"}, "stringData": {"a": "x"}, "data": {"a": "", "b": "eQ=="}}
    )
    assert (made["data"], made["type"], "stringData" in made) == ({"a": "eA==", "b": "eQ=="}, "Opaque", False)
    status = await refused(api, "PATCH", f"{SECRETS}/s", {"type": "other"}, content_type=MERGE)
    assert causes(status) == {"type": 'Invalid value: "other": field is immutable'}


async def test_an_immutable_config_map_stays_as_it_is() -> None:
    api = server()
    await done(api, "POST", CONFIG_MAPS, {"metadata": {"name": "c"}, "data": {"a": "1"}, "immutable": True})
    status = await refused(api, "PATCH", f"{CONFIG_MAPS}/c", {"data": {"a": "2"}}, content_type=MERGE)
    assert causes(status) == {"data": "Forbidden: field is immutable when `immutable` is set"}
    assert (await patched(api, f"{CONFIG_MAPS}/c", {"metadata": {"labels": {"a": "b"}}}))["data"] == {"a": "1"}


async def test_a_path_of_an_ingress_has_a_type() -> None:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    spec = {"rules": [{"http": {"paths": [{"path": "/", "backend": backend}]}}]}
    status = await refused(server(), "POST", INGRESSES, {"metadata": {"name": "i"}, "spec": spec})
    assert causes(status) == {"spec.rules[0].http.paths[0].pathType": "Required value: pathType must be specified"}


async def test_an_autoscaler_without_metrics_looks_at_the_processor() -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    made = await done(
        server(), "POST", AUTOSCALERS, {"metadata": {"name": "h"}, "spec": {"scaleTargetRef": target, "maxReplicas": 3}}
    )
    assert made["spec"]["minReplicas"] == 1
    assert made["spec"]["metrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    ]


async def test_pods_of_a_simulated_cluster_may_live_on_loopback() -> None:
    made = await done(
        server(),
        "POST",
        ENDPOINT_SLICES,
        {
            "metadata": {"name": "e"},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["127.0.0.1"]}],
            "ports": [{"port": 80}],
        },
    )
    assert made["ports"] == [{"name": "", "protocol": "TCP", "port": 80}]


async def test_an_event_is_the_same_in_both_of_its_groups() -> None:
    api = server()
    about = {"kind": "Pod", "name": "p", "namespace": "default"}
    told = {"metadata": {"name": "e"}, "involvedObject": about, "reason": "Started", "message": "m", "type": "Normal"}
    await done(api, "POST", EVENTS, told | {"count": 2, "source": {"component": "kubelet"}})
    seen = await done(api, "GET", f"{NEW_EVENTS}/e")
    assert (seen["apiVersion"], seen["regarding"], seen["note"]) == ("events.k8s.io/v1", about, "m")
    assert (seen["deprecatedCount"], seen["deprecatedSource"]) == (2, {"component": "kubelet"})
    found = await done(api, "GET", f"{EVENTS}?fieldSelector=involvedObject.name%3Dp,reason%3DStarted")
    assert [one["metadata"]["name"] for one in found["items"]] == ["e"]
    watched = await done(api, "GET", f"{EVENTS}?fieldSelector=involvedObject.name%3Dq")
    assert watched["items"] == []


async def deleted(api: Api, query: str) -> Manifest | None:
    """What is left of a pod after a deletion; None if nothing is."""
    await done(api, "DELETE", f"{PODS}/p{query}")
    answer = await ask(api, "GET", f"{PODS}/p")
    return answer.json() if answer.status == 200 else None


async def test_a_pod_on_a_node_ends_when_its_node_says_so() -> None:
    api = server()
    await done(api, "POST", PODS, pod(nodeName="n"))
    left = await deleted(api, "")
    assert left is not None
    assert left["metadata"]["deletionGracePeriodSeconds"] == 30
    assert await deleted(api, "?gracePeriodSeconds=0") is None


async def test_a_pod_that_nobody_runs_ends_at_once() -> None:
    api = server()
    await done(api, "POST", PODS, pod())
    assert await deleted(api, "") is None


async def test_only_the_image_of_a_running_pod_changes() -> None:
    api = server()
    await done(api, "POST", PODS, pod())
    image = {"spec": {"containers": [{"name": "c", "image": "c:2"}]}}
    assert (await patched(api, f"{PODS}/p", image, STRATEGIC))["spec"]["containers"][0]["image"] == "c:2"
    status = await refused(api, "PATCH", f"{PODS}/p", {"spec": {"hostname": "x"}}, content_type=MERGE)
    assert "pod updates may not change fields other than" in causes(status)["spec"]


async def test_the_log_of_a_pod_is_what_the_cluster_says_it_is() -> None:
    def logs(namespace: str, name: str, request: Request) -> str:
        return f"{request.first('container')} of {name} in {namespace}\n"

    api = server(logs=logs)
    await done(api, "POST", PODS, pod())
    answer = await ask(api, "GET", f"{PODS}/p/log?container=c")
    assert (answer.status, answer.body) == (200, b"c of p in default\n")


@pytest.mark.parametrize(
    ("url", "name", "why"),
    [
        (CONFIG_MAPS, "A", "a lowercase RFC 1123 subdomain must consist of"),
        (SERVICES, "a.b", "must not contain dots"),
        (DEPLOYMENTS, "a_b", "a lowercase RFC 1123 subdomain must consist of"),
        (CONFIG_MAPS, "a" * 254, "must be no more than 253 characters"),
    ],
)
async def test_a_name_is_a_dns_name(url: str, name: str, why: str) -> None:
    bodies = {SERVICES: service(name), DEPLOYMENTS: deployment(name)}
    status = await refused(server(), "POST", url, bodies.get(url, {"metadata": {"name": name}}))
    assert why in causes(status)["metadata.name"]
