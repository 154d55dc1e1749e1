"""Contract: what people see and do through kubectl is the same on both servers, word by word."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.client import POD, TABLE
from cluster.contract.servers import WIDGET, Server
from cluster.kubectl import Kubectl
from cluster.namespaces import until
from gradatim.ports.objects import CANARY, CONFIG_MAP, DEPLOYMENT, Manifest

CANARY_SHOP: Manifest = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "metadata": {"name": "shop"},
    "spec": {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "service": {"port": 80},
        "analysis": {"interval": "10s", "threshold": 2, "stepWeight": 20, "maxWeight": 60},
    },
}
LABELS = {"app": "shop"}
TEMPLATE: Manifest = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "shop", "image": "shop:1"}]}}
DEPLOYMENT_SHOP: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop"},
    "spec": {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": TEMPLATE},
}


def written(*manifests: Any) -> str:
    """Manifests as YAML."""
    return yaml.safe_dump_all(manifests)


def widget(**spec: Any) -> Manifest:
    return {"apiVersion": WIDGET.api_version, "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}


def ageless(printed: str) -> str:
    """The same with every age and moment replaced."""
    moments = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", printed)
    return re.sub(r"\b\d+(s|m|m\d+s)( |$)", "AGE ", moments, flags=re.MULTILINE)


def cells(printed: str) -> list[list[str]]:
    """A table, cell by cell."""
    return [line.split() for line in printed.splitlines()]


@pytest.mark.asyncio
async def test_applying_creates_leaves_alone_and_configures(kubectl: Kubectl) -> None:
    apply = ("apply", "-f", "-")
    assert await kubectl(*apply, given=written(widget(weight=1))) == "widget.contract.test/w created\n"
    assert await kubectl(*apply, given=written(widget(weight=1))) == "widget.contract.test/w unchanged\n"
    assert (
        await kubectl(*apply, given=written(widget(weight=2, interval="5s"))) == "widget.contract.test/w configured\n"
    )
    # What is no longer written is taken away, by what the annotation says of last time.
    assert await kubectl(*apply, given=written(widget(weight=2))) == "widget.contract.test/w configured\n"
    assert await kubectl("get", "widget", "w", "-o", "jsonpath={.spec.interval}/{.spec.weight}") == "/2"


@pytest.mark.asyncio
async def test_a_built_in_kind_is_applied_by_strategic_rules(kubectl: Kubectl, server: Server) -> None:
    await kubectl("apply", "-f", "-", given=written(DEPLOYMENT_SHOP))
    side = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}}
    await kubectl("patch", "deployment", "shop", f"--patch={yaml.safe_dump(side)}")
    assert await kubectl("set", "image", "deployment/shop", "shop=shop:2") == "deployment.apps/shop image updated\n"
    containers = (await server.get(DEPLOYMENT, "shop"))["spec"]["template"]["spec"]["containers"]
    assert {one["name"]: one["image"] for one in containers} == {"shop": "shop:2", "side": "side:1"}


@pytest.mark.asyncio
async def test_a_server_side_apply_names_its_conflicts(kubectl: Kubectl) -> None:
    apply = ("apply", "--server-side", "-f", "-")
    one = await kubectl(*apply, "--field-manager=one", given=written(widget(weight=1)))
    assert one == "widget.contract.test/w serverside-applied\n"
    two = await kubectl.ask(*apply, "--field-manager=two", given=written(widget(weight=2)))
    assert two.code == 1
    assert two.error.startswith('error: Apply failed with 1 conflict: conflict with "one": .spec.weight\n')
    forced = await kubectl(*apply, "--field-manager=two", "--force-conflicts", given=written(widget(weight=2)))
    assert forced == "widget.contract.test/w serverside-applied\n"


@pytest.mark.asyncio
async def test_a_dry_run_on_the_server_and_a_diff_change_nothing(kubectl: Kubectl, server: Server) -> None:
    created = await server.create(WIDGET, "w", spec={"weight": 1})
    dry = await kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", given=written(widget(owner="a")))
    assert dry == "widget.contract.test/w serverside-applied (server dry run)\n"
    diff = await kubectl.ask("diff", "--server-side", "-f", "-", given=written(widget(owner="a")))
    assert diff.code == 1, diff.error  # there is a difference
    assert "+  owner: a" in diff.out
    assert await server.get(WIDGET, "w") == created


@pytest.mark.asyncio
async def test_what_the_server_refuses_is_shown_with_its_reasons(kubectl: Kubectl) -> None:
    refused = await kubectl.ask("apply", "-f", "-", given=written(widget(weight=9, ceiling=5)))
    assert refused.code == 1
    assert refused.error == 'The Widget "w" is invalid: spec: Invalid value: weight must not exceed ceiling\n'
    unknown = await kubectl.ask("apply", "-f", "-", given=written(widget(weight=1, wight=2)))
    assert unknown.code == 1
    assert 'strict decoding error: unknown field "spec.wight"' in unknown.error
    missing = await kubectl.ask("get", "widget", "none")
    assert missing.error == 'Error from server (NotFound): widgets.contract.test "none" not found\n'


@pytest.mark.asyncio
async def test_canaries_in_a_table_and_in_a_wide_one(own: Server, kubectl: Kubectl) -> None:
    await own.client.create(CANARY, own.namespace, CANARY_SHOP)
    status = {"phase": "Progressing", "canaryWeight": 20, "failedChecks": 1, "iterations": 0}
    moment = {"lastTransitionTime": "2026-01-02T03:04:05Z"}
    await own.client.merge(CANARY, own.namespace, "shop", {"status": {**status, **moment}}, "status")
    assert await kubectl("get", "canaries") == (
        "NAME   STATUS        WEIGHT   LASTTRANSITIONTIME\nshop   Progressing   20       2026-01-02T03:04:05Z\n"
    )
    wide = cells(await kubectl("get", "canary", "shop", "-o", "wide"))
    names = (
        "NAME STATUS WEIGHT SUSPENDED FAILEDCHECKS INTERVAL MIRROR STEPWEIGHT STEPWEIGHTS MAXWEIGHT LASTTRANSITIONTIME"
    )
    assert wide == [
        names.split(),
        ["shop", "Progressing", "20", "1", "10s", "20", "60", "2026-01-02T03:04:05Z"],
    ]
    labelled = await kubectl("get", "canaries", "--show-labels", "--show-kind", "--no-headers")
    assert labelled.split() == ["canary.flagger.app/shop", "Progressing", "20", "2026-01-02T03:04:05Z", "<none>"]
    assert await kubectl("get", "canaries", "-o", "name") == "canary.flagger.app/shop\n"


@pytest.mark.asyncio
async def test_built_in_kinds_in_tables(server: Server, kubectl: Kubectl) -> None:
    await server.client.create(DEPLOYMENT, server.namespace, DEPLOYMENT_SHOP)
    assert await kubectl("rollout", "status", "deployment/shop", "--timeout=60s")
    await kubectl("create", "configmap", "a", "--from-literal=x=y")
    await kubectl("create", "service", "clusterip", "shop", "--tcp=80:8080")
    assert ageless(await kubectl("get", "deployments")) == (
        "NAME   READY   UP-TO-DATE   AVAILABLE   AGE\nshop   2/2     2            2           AGE \n"
    )
    (service,) = cells(await kubectl("get", "services", "--no-headers"))
    assert [service[0], service[1], service[3], service[4]] == ["shop", "ClusterIP", "<none>", "80/TCP"]
    pods = cells(await kubectl("get", "pods", "--no-headers", "-l", "app=shop"))
    assert [row[1:4] for row in pods] == [["1/1", "Running", "0"]] * 2
    table = (await server.client.ask("GET", server.path(POD), accept=TABLE)).body
    assert table["rows"][0]["cells"][1:4] == ["1/1", "Running", "0"]
    wide = cells(await kubectl("get", "replicasets", "-o", "wide"))
    assert wide[0] == ["NAME", "DESIRED", "CURRENT", "READY", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert wide[1][1:4] == ["2", "2", "2"]


@pytest.mark.asyncio
async def test_events_are_described_in_the_order_in_which_they_were_told(own: Server, kubectl: Kubectl) -> None:
    canary = await own.client.create(CANARY, own.namespace, CANARY_SHOP)
    about = {"apiVersion": CANARY.api_version, "kind": "Canary", "namespace": own.namespace, "name": "shop"}
    moment = canary["metadata"]["creationTimestamp"]
    for number, kind in enumerate(("Normal", "Warning", "Normal")):
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"shop.{number}"},
            "involvedObject": {**about, "uid": canary["metadata"]["uid"]},
            "type": kind,
            "reason": "Synced",
            "message": f"step {number}",
            "source": {"component": "flagger"},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
        await kubectl("create", "-f", "-", given=written(event))
    described = await kubectl("describe", "canary", "shop")
    told = [line.split() for line in described.partition("Events:\n")[2].splitlines()[2:]]
    assert [(line[0], line[1], line[3], line[-1]) for line in told] == [
        ("Normal", "Synced", "flagger", "0"),
        ("Warning", "Synced", "flagger", "1"),
        ("Normal", "Synced", "flagger", "2"),
    ]
    assert re.search(r"^ +Step Weight: +20$", described, re.MULTILINE)
    found = await kubectl("events", "--for=canary/shop", "--no-headers")
    assert [line.split()[-1] for line in found.splitlines()] == ["0", "1", "2"]


@pytest.mark.asyncio
async def test_fields_are_explained_from_the_schema(own: Server, kubectl: Kubectl) -> None:
    explained = await kubectl("explain", "canary.spec.analysis.stepWeight")
    assert explained.startswith("GROUP:      flagger.app\nKIND:       Canary\nVERSION:    v1beta1\n")
    assert "FIELD: stepWeight <number>" in explained
    assert re.search(r"^ +weight\t<integer> -required-$", await kubectl("explain", "widget.spec"), re.MULTILINE)


@pytest.mark.asyncio
async def test_things_are_waited_for(server: Server, kubectl: Kubectl) -> None:
    await server.client.create(DEPLOYMENT, server.namespace, DEPLOYMENT_SHOP)
    assert await kubectl("wait", "deployment/shop", "--for=condition=Available", "--timeout=60s") == (
        "deployment.apps/shop condition met\n"
    )
    await server.create(WIDGET, "w", spec={"weight": 1})
    await server.client.merge(WIDGET, server.namespace, "w", {"status": {"phase": "Ready"}}, "status")
    met = "widget.contract.test/w condition met\n"
    assert await kubectl("wait", "widget/w", "--for=jsonpath={.status.phase}=Ready", "--timeout=60s") == met
    await kubectl("delete", "widget", "w", "--wait=false")
    await kubectl("wait", "widget/w", "--for=delete", "--timeout=60s")


@pytest.mark.asyncio
async def test_scaling_labelling_editing(server: Server, kubectl: Kubectl, tmp_path: Path) -> None:
    await server.create(WIDGET, "w", spec={"weight": 1})
    assert await kubectl("scale", "widget/w", "--replicas=3") == "widget.contract.test/w scaled\n"
    wrong = await kubectl.ask("scale", "widget/w", "--current-replicas=1", "--replicas=4")
    assert wrong.error == "error: Expected replicas to be 1, was 3\n"
    assert await kubectl("label", "widget", "w", "tier=web") == "widget.contract.test/w labeled\n"
    assert await kubectl("annotate", "widget", "w", "a=b") == "widget.contract.test/w annotated\n"
    assert await kubectl("get", "widgets", "-l", "tier=web", "-o", "jsonpath={.items[*].spec.replicas}") == "3"
    operations = '[{"op": "test", "path": "/spec/weight", "value": 7}]'
    refused = await kubectl.ask("patch", "widget", "w", "--type=json", f"--patch={operations}")
    assert refused.code == 1
    assert "The request is invalid: the server rejected our request due to an error in our request" in refused.error


@pytest.mark.asyncio
async def test_a_deletion_takes_along_or_leaves_behind_as_asked(server: Server, kubectl: Kubectl) -> None:
    for cascade, left in (("foreground", False), ("background", False), ("orphan", True)):
        owner = await server.create(WIDGET, f"owner-{cascade}", spec={"weight": 1})
        reference = {"apiVersion": WIDGET.api_version, "kind": "Widget", "name": owner["metadata"]["name"]}
        reference |= {"uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
        await server.create(CONFIG_MAP, f"of-{cascade}", metadata={"ownerReferences": [reference]})
        deleted = await kubectl("delete", "widget", f"owner-{cascade}", f"--cascade={cascade}", "--timeout=60s")
        assert deleted == f'widget.contract.test "owner-{cascade}" deleted from {server.namespace} namespace\n'

        async def settled(name: str = f"of-{cascade}", left: bool = left) -> bool:
            found = await server.client.find(CONFIG_MAP, server.namespace, name)
            return found is not None and "ownerReferences" not in found["metadata"] if left else found is None

        await until(settled, f"what {cascade} leaves", 60.0)


@pytest.mark.asyncio
async def test_kinds_are_listed_with_their_short_names(kubectl: Kubectl) -> None:
    listed = cells(await kubectl("api-resources", "--api-group=contract.test", "--no-headers", "-o", "wide"))
    assert [row[:5] for row in listed] == [["widgets", "wd", "contract.test/v1", "true", "Widget"]]
    assert await kubectl("get", "wd") == ""
