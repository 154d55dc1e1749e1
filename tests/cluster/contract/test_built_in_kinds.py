"""Contract: what the server makes of the built-in kinds that the operator reads and writes."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from cluster.client import MERGE
from cluster.contract.servers import Server
from gradatim.ports.objects import (
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    INGRESS,
    SECRET,
    SERVICE,
    Manifest,
    Resource,
)

LABELS = {"app": "shop"}


def workload(**spec: Any) -> Manifest:
    pod = {"containers": [{"name": "c", "image": "shop:1", "ports": [{"containerPort": 80}]}], **spec.pop("pod", {})}
    template = {"metadata": {"labels": LABELS}, "spec": pod}
    return {"selector": {"matchLabels": LABELS}, "template": template, **spec}


async def complaint(server: Server, resource: Resource, name: str, **fields: Any) -> str:
    answer = await server.refusal(resource, name, **fields)
    assert (answer.status, answer.reason) == (422, "Invalid")
    return answer.message


@pytest.mark.asyncio
async def test_a_deployment_is_completed(server: Server) -> None:
    created = await server.create(DEPLOYMENT, "d", spec=workload(replicas=0))
    spec = created["spec"]
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["dnsPolicy"], pod["schedulerName"]) == (
        "Always",
        "ClusterFirst",
        "default-scheduler",
    )
    assert pod["terminationGracePeriodSeconds"] == 30
    assert pod["securityContext"] == {}
    container = pod["containers"][0]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert container["terminationMessagePolicy"] == "File"
    assert container["resources"] == {}
    assert created["metadata"]["generation"] == 1
    assert created["status"] == {}


@pytest.mark.asyncio
async def test_an_unset_number_of_replicas_is_one(server: Server) -> None:
    nowhere = {"nodeSelector": {"no-such": "node"}}
    created = await server.create(DEPLOYMENT, "d", spec=workload(pod=nowhere))
    assert created["spec"]["replicas"] == 1


@pytest.mark.asyncio
async def test_images_without_a_tag_are_pulled_always(server: Server) -> None:
    pod = {"containers": [{"name": "c", "image": "shop"}, {"name": "l", "image": "shop:latest"}]}
    created = await server.create(DEPLOYMENT, "d", spec=workload(replicas=0, pod=pod))
    assert [one["imagePullPolicy"] for one in created["spec"]["template"]["spec"]["containers"]] == [
        "Always",
        "Always",
    ]


@pytest.mark.asyncio
async def test_probes_volumes_and_variables_are_completed(server: Server) -> None:
    container = {
        "name": "c",
        "image": "shop:1",
        "readinessProbe": {"httpGet": {"port": 80}},
        "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    }
    volumes = [
        {"name": "s", "secret": {"secretName": "x"}},
        {"name": "c", "configMap": {"name": "y"}},
        {"name": "p", "projected": {"sources": [{"secret": {"name": "z"}}]}},
    ]
    pod = {"containers": [container], "volumes": volumes}
    created = await server.create(DEPLOYMENT, "d", spec=workload(replicas=0, pod=pod))
    spec = created["spec"]["template"]["spec"]
    assert spec["containers"][0]["readinessProbe"] == {
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert spec["containers"][0]["env"][0]["valueFrom"]["fieldRef"] == {
        "apiVersion": "v1",
        "fieldPath": "metadata.name",
    }
    assert spec["volumes"][0]["secret"]["defaultMode"] == 420
    assert spec["volumes"][1]["configMap"]["defaultMode"] == 420
    assert spec["volumes"][2]["projected"]["defaultMode"] == 420


@pytest.mark.asyncio
async def test_wrong_deployments_are_refused_with_reasons(server: Server) -> None:
    other = {"matchLabels": {"app": "other"}}
    assert await complaint(server, DEPLOYMENT, "d", spec=workload(selector=other)) == (
        'Deployment.apps "d" is invalid: spec.template.metadata.labels: Invalid value: {"app":"shop"}: '
        "`selector` does not match template `labels`"
    )
    assert "spec.template.spec.containers: Required value" in await complaint(
        server, DEPLOYMENT, "d", spec=workload(pod={"containers": []})
    )
    assert "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in await complaint(
        server, DEPLOYMENT, "d", spec=workload(replicas=-1)
    )
    twice = {"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]}
    assert 'spec.template.spec.containers[1].name: Duplicate value: "c"' in await complaint(
        server, DEPLOYMENT, "d", spec=workload(pod=twice)
    )
    assert "spec.template.spec.containers[0].image: Required value" in await complaint(
        server, DEPLOYMENT, "d", spec=workload(pod={"containers": [{"name": "c"}]})
    )


@pytest.mark.asyncio
async def test_a_deployments_selector_cannot_be_changed(server: Server) -> None:
    await server.create(DEPLOYMENT, "d", spec=workload(replicas=0))
    patch = {"spec": {"selector": {"matchLabels": {"tier": "web"}}}}
    answer = await server.client.ask("PATCH", server.path(DEPLOYMENT, "d"), patch, content_type=MERGE)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "spec.selector: Invalid value:" in answer.message
    assert "field is immutable" in answer.message


@pytest.mark.asyncio
async def test_a_daemon_set_is_completed(server: Server) -> None:
    nowhere = {"nodeSelector": {"no-such": "node"}}
    spec = (await server.create(DAEMON_SET, "d", spec=workload(pod=nowhere)))["spec"]
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    assert spec["revisionHistoryLimit"] == 10


@pytest.mark.asyncio
async def test_a_service_gets_an_address_and_keeps_it(server: Server) -> None:
    created = await server.create(SERVICE, "s", spec={"selector": LABELS, "ports": [{"port": 80}]})
    spec = created["spec"]
    address = spec["clusterIP"]
    assert address.startswith("10.96.")
    assert spec["clusterIPs"] == [address]
    assert spec["ports"] == [{"protocol": "TCP", "port": 80, "targetPort": 80}]
    assert (spec["type"], spec["sessionAffinity"], spec["internalTrafficPolicy"]) == ("ClusterIP", "None", "Cluster")
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    assert created["status"] == {"loadBalancer": {}}
    # A replacement that says nothing of the address keeps it.
    wish = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 81}]}}
    answer = await server.client.ask("PUT", server.path(SERVICE, "s"), wish)
    assert answer.body["spec"]["clusterIP"] == address
    assert "selector" not in answer.body["spec"]
    patch = {"spec": {"clusterIP": "10.96.77.77"}}
    answer = await server.client.ask("PATCH", server.path(SERVICE, "s"), patch, content_type=MERGE)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "spec.clusterIPs[0]: Invalid value:" in answer.message
    assert "may not change once set" in answer.message


@pytest.mark.asyncio
async def test_a_headless_service_has_none(server: Server) -> None:
    created = await server.create(SERVICE, "s", spec={"clusterIP": "None", "ports": [{"port": 80}]})
    assert created["spec"]["clusterIPs"] == ["None"]


@pytest.mark.asyncio
async def test_wrong_services_are_refused_with_reasons(server: Server) -> None:
    assert "spec.ports: Required value" in await complaint(server, SERVICE, "s", spec={})
    two = [{"port": 80}, {"port": 81}]
    assert "spec.ports[0].name: Required value" in await complaint(server, SERVICE, "s", spec={"ports": two})
    assert "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive" in await complaint(
        server, SERVICE, "s", spec={"ports": [{"port": 0}]}
    )
    same = [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]
    assert "spec.ports[1]: Duplicate value:" in await complaint(server, SERVICE, "s", spec={"ports": same})


@pytest.mark.asyncio
async def test_secrets_are_written_in_clear_and_kept_in_base64(server: Server) -> None:
    created = await server.create(SECRET, "s", stringData={"token": "abc"})
    assert created["data"] == {"token": base64.b64encode(b"abc").decode()}
    assert "stringData" not in created
    assert created["type"] == "Opaque"
    answer = await server.refusal(SECRET, "bad", data={"token": "not base64!"})
    assert answer.status == 400


@pytest.mark.asyncio
async def test_immutable_configs_stay(server: Server) -> None:
    await server.create(CONFIG_MAP, "c", data={"a": "b"}, immutable=True)
    answer = await server.client.ask("PATCH", server.path(CONFIG_MAP, "c"), {"data": {"a": "c"}}, content_type=MERGE)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "data: Forbidden: field is immutable when `immutable` is set" in answer.message


@pytest.mark.asyncio
async def test_config_maps_hold_text_and_bytes(server: Server) -> None:
    created = await server.create(CONFIG_MAP, "c", data={"a": "b"}, binaryData={"logo": "AAEC"})
    assert (created["data"], created["binaryData"]) == ({"a": "b"}, {"logo": "AAEC"})
    assert (await server.refusal(CONFIG_MAP, "n", data={"a": 1})).status == 400
    message = await complaint(server, CONFIG_MAP, "k", data={"a/b": "c"})
    assert "data[a/b]: Invalid value:" in message


@pytest.mark.asyncio
async def test_an_autoscaler_is_completed(server: Server) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
    }
    spec = {
        "scaleTargetRef": target,
        "maxReplicas": 4,
        "metrics": [metric],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    }
    created = await server.create(HORIZONTAL_POD_AUTOSCALER, "h", spec=spec)
    assert created["spec"]["minReplicas"] == 1
    assert created["spec"]["behavior"] == {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Pods", "value": 4, "periodSeconds": 15},
                {"type": "Percent", "value": 100, "periodSeconds": 15},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 60,
            "selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
        },
    }
    message = await complaint(
        server, HORIZONTAL_POD_AUTOSCALER, "bad", spec={**spec, "minReplicas": 5, "maxReplicas": 4}
    )
    assert "spec.maxReplicas: Invalid value: 4: must be greater than or equal to `minReplicas`" in message


@pytest.mark.asyncio
async def test_an_ingress_is_kept_and_checked(server: Server) -> None:
    backend = {"service": {"name": "shop", "port": {"number": 80}}}
    rule = {"host": "shop.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    created = await server.create(INGRESS, "i", spec={"ingressClassName": "nginx", "rules": [rule]})
    assert created["spec"] == {"ingressClassName": "nginx", "rules": [rule]}
    assert created["metadata"]["generation"] == 1
    assert created["status"] == {"loadBalancer": {}}
    bare = {"host": "a.b", "http": {"paths": [{"path": "/", "backend": backend}]}}
    assert "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified" in await complaint(
        server, INGRESS, "bad", spec={"rules": [bare]}
    )
    assert "either `defaultBackend` or `rules` must be specified" in await complaint(server, INGRESS, "none", spec={})


@pytest.mark.asyncio
async def test_labels_and_annotations_are_checked(server: Server) -> None:
    message = await complaint(server, CONFIG_MAP, "a", metadata={"labels": {"a": "not ok!"}})
    assert 'metadata.labels: Invalid value: "not ok!": a valid label must be' in message
    message = await complaint(server, CONFIG_MAP, "a", metadata={"labels": {"/a": "b"}})
    assert 'metadata.labels: Invalid value: "/a": prefix part must be non-empty' in message
    message = await complaint(server, CONFIG_MAP, "a", metadata={"annotations": {"a b": "x"}})
    assert 'metadata.annotations: Invalid value: "a b": name part must consist of' in message
    answer = await server.refusal(CONFIG_MAP, "a", metadata={"labels": {"a": 1}})
    assert answer.status == 400


@pytest.mark.asyncio
async def test_an_owner_reference_must_be_complete(server: Server) -> None:
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}
    message = await complaint(server, CONFIG_MAP, "a", metadata={"ownerReferences": [reference]})
    assert "metadata.ownerReferences[0].uid: Required value: must not be empty" in message
