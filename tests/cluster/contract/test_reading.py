"""Contract: getting and listing, selectors, pages, tables, discovery."""

from __future__ import annotations

import asyncio

import pytest

from cluster.client import CRD, METADATA_ONLY, NAMESPACE, TABLE, Answer, path
from cluster.contract.servers import WIDGET, Server
from gradatim.ports.objects import CONFIG_MAP, DEPLOYMENT, EVENT, SECRET, Resource


async def config_maps(server: Server, *names: str, **labels: str) -> None:
    for name in names:
        await server.create(CONFIG_MAP, name, metadata={"labels": {**labels, "name": name}}, data={"a": name})


async def listed(server: Server, resource: Resource = CONFIG_MAP, **params: str | int) -> Answer:
    answer = await server.client.ask("GET", server.path(resource), params=params)
    assert answer.ok, answer.message
    return answer


def names(answer: Answer) -> list[str]:
    return [item["metadata"]["name"] for item in answer.items]


@pytest.mark.asyncio
async def test_an_object_comes_back_with_what_the_server_added(server: Server) -> None:
    created = await server.create(CONFIG_MAP, "one", data={"a": "b"})
    meta = created["metadata"]
    assert created["apiVersion"] == "v1"
    assert created["kind"] == "ConfigMap"
    assert meta["namespace"] == server.namespace
    assert meta["uid"]
    assert meta["creationTimestamp"].endswith("Z")
    assert int(meta["resourceVersion"]) > 0
    assert "generation" not in meta
    assert await server.get(CONFIG_MAP, "one") == created


@pytest.mark.asyncio
async def test_a_missing_object_is_a_status_that_names_it(server: Server) -> None:
    answer = await server.client.ask("GET", server.path(DEPLOYMENT, "none"))
    assert answer.status == 404
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'deployments.apps "none" not found',
        "reason": "NotFound",
        "details": {"name": "none", "group": "apps", "kind": "deployments"},
        "code": 404,
    }


@pytest.mark.asyncio
async def test_an_unknown_resource_is_not_found_either(server: Server) -> None:
    answer = await server.client.ask("GET", "/apis/nobody.test/v1/things")
    assert (answer.status, answer.message.strip()) == (404, "404 page not found")
    for where in ("/apis/apps/v1/things", "/api/v1/things", "/apis/apps/v9/deployments"):
        answer = await server.client.ask("GET", where)
        assert (answer.status, answer.reason) == (404, "NotFound")
        assert answer.message == "the server could not find the requested resource"


@pytest.mark.asyncio
async def test_an_object_needs_its_namespace(server: Server) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    answer = await server.client.ask("POST", path(CONFIG_MAP, "no-such-namespace"), manifest)
    assert (answer.status, answer.message) == (404, 'namespaces "no-such-namespace" not found')
    assert await server.client.items(CONFIG_MAP, "no-such-namespace") == []


@pytest.mark.asyncio
async def test_a_list_is_sorted_by_name_and_carries_a_resource_version(server: Server) -> None:
    await config_maps(server, "c", "a", "b")
    answer = await listed(server)
    assert names(answer) == ["a", "b", "c"]
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("ConfigMapList", "v1")
    newest = max(int(item["metadata"]["resourceVersion"]) for item in answer.items)
    assert int(answer.body["metadata"]["resourceVersion"]) >= newest
    assert "continue" not in answer.body["metadata"]
    # Items of built-in kinds do not repeat what the list says, those of custom kinds do.
    assert "kind" not in answer.items[0]
    await server.create(WIDGET, "w", spec={"weight": 1})
    assert (await listed(server, WIDGET)).items[0]["kind"] == "Widget"


@pytest.mark.asyncio
async def test_all_namespaces_are_listed_together(server: Server) -> None:
    await config_maps(server, "everywhere")
    answer = await server.client.ask("GET", path(CONFIG_MAP), params={"fieldSelector": "metadata.name=everywhere"})
    assert (server.namespace, "everywhere") in {
        (item["metadata"]["namespace"], item["metadata"]["name"]) for item in answer.items
    }


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("tier=web", ["a", "b"]),
        ("tier==web,name=a", ["a"]),
        ("tier!=web", ["c", "d"]),
        ("tier", ["a", "b", "c"]),
        ("!tier", ["d"]),
        ("tier in (web, db)", ["a", "b", "c"]),
        ("tier notin (web)", ["c", "d"]),
        ("tier in (web),name notin (a)", ["b"]),
    ],
)
@pytest.mark.asyncio
async def test_label_selectors(server: Server, selector: str, expected: list[str]) -> None:
    await config_maps(server, "a", "b", tier="web")
    await config_maps(server, "c", tier="db")
    await config_maps(server, "d")
    assert names(await listed(server, labelSelector=selector)) == expected


@pytest.mark.asyncio
async def test_field_selectors(server: Server) -> None:
    await config_maps(server, "a", "b")
    assert names(await listed(server, fieldSelector="metadata.name=a")) == ["a"]
    assert names(await listed(server, fieldSelector="metadata.name!=a")) == ["b"]
    assert names(await listed(server, fieldSelector=f"metadata.namespace={server.namespace},metadata.name=b")) == ["b"]
    await server.create(SECRET, "t", type="example.com/t")
    await server.create(SECRET, "o")
    assert names(await listed(server, SECRET, fieldSelector="type=example.com/t")) == ["t"]


@pytest.mark.asyncio
async def test_unusable_selectors_are_bad_requests(server: Server) -> None:
    for resource in (CONFIG_MAP, WIDGET):
        for params in ({"fieldSelector": "data.a=b"}, {"labelSelector": "a in b"}):
            answer = await server.client.ask("GET", server.path(resource), params=params)
            assert (answer.status, answer.reason) == (400, "BadRequest")


@pytest.mark.asyncio
async def test_pages_show_one_moment(server: Server) -> None:
    await config_maps(server, "a", "b", "c", "d", "e")
    first = await listed(server, limit=2)
    meta = first.body["metadata"]
    assert names(first) == ["a", "b"]
    assert meta["remainingItemCount"] == 3
    await server.client.delete(CONFIG_MAP, server.namespace, "c")
    second = await listed(server, limit=2, **{"continue": meta["continue"]})
    assert names(second) == ["c", "d"]
    assert second.body["metadata"]["resourceVersion"] == meta["resourceVersion"]
    last = await listed(server, limit=2, **{"continue": second.body["metadata"]["continue"]})
    assert names(last) == ["e"]
    assert "continue" not in last.body["metadata"]
    assert "remainingItemCount" not in last.body["metadata"]


@pytest.mark.asyncio
async def test_a_page_of_a_forgotten_moment_is_gone(server: Server) -> None:
    # Events, because the real server keeps earlier moments of most other kinds in memory for a while.
    about = {"kind": "ConfigMap", "namespace": server.namespace, "name": "x"}
    for name in ("a", "b", "c"):
        await server.create(EVENT, name, involvedObject=about)
    meta = (await listed(server, EVENT, limit=1)).body["metadata"]
    await server.create(EVENT, "d", involvedObject=about)
    await server.forget_history()
    gone = await server.client.ask("GET", server.path(EVENT), params={"limit": 1, "continue": meta["continue"]})
    assert (gone.status, gone.reason) == (410, "Expired")
    # The answer has a token that goes on from there in the present.
    onwards = await listed(server, EVENT, limit=5, **{"continue": gone.body["metadata"]["continue"]})
    assert names(onwards) == ["b", "c", "d"]


@pytest.mark.asyncio
async def test_pages_of_a_selection_count_what_is_selected(server: Server) -> None:
    await config_maps(server, "a", "c", "e", tier="web")
    await config_maps(server, "b", "d", tier="db")
    first = await listed(server, limit=2, labelSelector="tier=web")
    assert names(first) == ["a", "c"]
    # How many are left is not told, since the rest has not been looked through.
    assert "remainingItemCount" not in first.body["metadata"]
    token = first.body["metadata"]["continue"]
    assert names(await listed(server, limit=2, labelSelector="tier=web", **{"continue": token})) == ["e"]


@pytest.mark.asyncio
async def test_an_exact_moment_that_is_forgotten_is_gone(server: Server) -> None:
    about = {"kind": "ConfigMap", "namespace": server.namespace, "name": "x"}
    version = (await server.create(EVENT, "a", involvedObject=about))["metadata"]["resourceVersion"]
    await server.create(EVENT, "b", involvedObject=about)
    params = {"resourceVersion": version, "resourceVersionMatch": "Exact"}
    assert names(await listed(server, EVENT, **params)) == ["a"]
    await server.forget_history()
    gone = await server.client.ask("GET", server.path(EVENT), params=params)
    assert (gone.status, gone.reason) == (410, "Expired")


@pytest.mark.asyncio
async def test_a_moment_that_has_not_come_is_waited_for_and_then_given_up(server: Server) -> None:
    """How a client notices that the server it asks is behind the one that it asked before."""
    await server.create(CONFIG_MAP, "a")
    future = str(int((await listed(server)).body["metadata"]["resourceVersion"]) + 1_000_000)
    for name, params in (("", {"resourceVersionMatch": "NotOlderThan"}), ("a", {})):
        where = server.path(CONFIG_MAP, name)
        late = await server.client.ask("GET", where, params={"resourceVersion": future, **params})
        assert (late.status, late.reason) == (504, "Timeout")
        assert late.message.startswith(f"Timeout: Too large resource version: {future}, current: ")
        assert late.body["details"]["causes"] == [
            {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        ]


@pytest.mark.parametrize(
    "params",
    [
        {"resourceVersionMatch": "Exact"},
        {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
        {"resourceVersion": "5", "resourceVersionMatch": "Younger"},
        {"resourceVersion": "abc"},
        {"limit": "many"},
    ],
    ids=str,
)
@pytest.mark.asyncio
async def test_a_list_must_be_asked_for_properly(server: Server, params: dict[str, str]) -> None:
    answer = await server.client.ask("GET", server.path(CONFIG_MAP), params=params)
    assert answer.status in {400, 422}
    assert answer.reason in {"BadRequest", "Invalid"}


@pytest.mark.asyncio
async def test_schemas_are_published_for_those_who_check_before_they_send(server: Server) -> None:
    groups = (await server.client.must("GET", "/openapi/v3"))["paths"]
    where = groups["apis/contract.test/v1"]["serverRelativeURL"]
    schemas = (await server.client.must("GET", where))["components"]["schemas"]
    (widget,) = [one for name, one in schemas.items() if name.endswith(".v1.Widget")]
    kind = {"group": "contract.test", "kind": "Widget", "version": "v1"}
    assert widget["x-kubernetes-group-version-kind"] == [kind]
    spec = widget["properties"]["spec"]
    assert spec["required"] == ["weight"]
    assert spec["properties"]["weight"] == {"type": "integer", "minimum": 0, "maximum": 100}
    assert spec["properties"]["hooks"]["x-kubernetes-list-map-keys"] == ["name"]


@pytest.mark.asyncio
async def test_a_broken_continue_token_is_a_bad_request(server: Server) -> None:
    answer = await server.client.ask("GET", server.path(CONFIG_MAP), params={"limit": 1, "continue": "rubbish"})
    assert (answer.status, answer.reason) == (400, "BadRequest")


@pytest.mark.asyncio
async def test_a_table_has_the_columns_that_kubectl_shows(server: Server) -> None:
    await server.create(WIDGET, "w", spec={"weight": 7})
    await server.client.merge(WIDGET, server.namespace, "w", {"status": {"phase": "Ready"}}, "status")
    answer = await server.client.ask("GET", server.path(WIDGET), accept=TABLE)
    body = answer.body
    assert (body["kind"], body["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    columns = [(one["name"], one["type"], one["format"], one["priority"]) for one in body["columnDefinitions"]]
    assert columns == [
        ("Name", "string", "name", 0),
        ("Phase", "string", "", 0),
        ("Weight", "integer", "", 0),
        ("Changed", "date", "", 0),
        ("Mode", "string", "", 1),
    ]
    (row,) = body["rows"]
    assert row["cells"] == ["w", "Ready", 7, None, "slow"]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert row["object"]["metadata"]["name"] == "w"
    assert "spec" not in row["object"]


@pytest.mark.asyncio
async def test_a_table_of_one_object_and_with_the_whole_object(server: Server) -> None:
    await server.create(WIDGET, "w", spec={"weight": 7})
    one = await server.client.ask("GET", server.path(WIDGET, "w"), accept=TABLE, params={"includeObject": "Object"})
    assert one.body["rows"][0]["object"]["spec"]["weight"] == 7
    none = await server.client.ask("GET", server.path(WIDGET), accept=TABLE, params={"includeObject": "None"})
    assert none.body["rows"][0]["object"] is None


@pytest.mark.asyncio
async def test_a_table_of_deployments(server: Server) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    await server.create(DEPLOYMENT, "d", spec=spec)
    body = (await server.client.ask("GET", server.path(DEPLOYMENT), accept=TABLE)).body
    assert [one["name"] for one in body["columnDefinitions"]] == [
        "Name",
        "Ready",
        "Up-to-date",
        "Available",
        "Age",
        "Containers",
        "Images",
        "Selector",
    ]
    cells = body["rows"][0]["cells"]
    assert cells[:4] == ["d", "0/0", 0, 0]
    assert cells[5:] == ["c", "i:1", "a=b"]


@pytest.mark.asyncio
async def test_metadata_only(server: Server) -> None:
    await config_maps(server, "a")
    one = await server.client.ask("GET", server.path(CONFIG_MAP, "a"), accept=METADATA_ONLY)
    assert (one.body["kind"], one.body["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert "data" not in one.body
    many = await server.client.ask(
        "GET", server.path(CONFIG_MAP), accept=METADATA_ONLY.replace("Metadata;", "MetadataList;")
    )
    assert many.body["kind"] == "PartialObjectMetadataList"
    assert "data" not in many.items[0]


@pytest.mark.asyncio
async def test_discovery_lists_resources_and_their_verbs(server: Server) -> None:
    groups = {group["name"]: group for group in (await server.client.must("GET", "/apis"))["groups"]}
    assert groups["contract.test"]["preferredVersion"] == {"groupVersion": "contract.test/v1", "version": "v1"}
    body = await server.client.must("GET", "/apis/contract.test/v1")
    resources = {one["name"]: one for one in body["resources"]}
    assert set(resources) == {"widgets", "widgets/status", "widgets/scale"}
    widgets = resources["widgets"]
    assert set(widgets["verbs"]) == {
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    }
    assert (widgets["kind"], widgets["singularName"], widgets["shortNames"]) == ("Widget", "widget", ["wd"])
    assert widgets["categories"] == ["all"]
    assert set(resources["widgets/status"]["verbs"]) == {"get", "patch", "update"}
    assert resources["widgets/scale"]["kind"] == "Scale"
    core = {one["name"] for one in (await server.client.must("GET", "/api/v1"))["resources"]}
    assert {"configmaps", "secrets", "services", "events", "namespaces", "pods"} <= core


@pytest.mark.asyncio
async def test_aggregated_discovery_answers_in_one_request(server: Server) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    body = (await server.client.ask("GET", "/apis", accept=accept)).body
    assert body["kind"] == "APIGroupDiscoveryList"
    (ours,) = [group for group in body["items"] if group["metadata"]["name"] == "contract.test"]
    (version,) = ours["versions"]
    (widgets,) = version["resources"]
    assert widgets["resource"] == "widgets"
    assert widgets["responseKind"] == {"group": "contract.test", "version": "v1", "kind": "Widget"}
    assert widgets["scope"] == "Namespaced"
    assert {one["subresource"] for one in widgets["subresources"]} == {"status", "scale"}


@pytest.mark.asyncio
async def test_a_definition_says_when_it_is_served(server: Server) -> None:
    definition = await server.client.get(CRD, "", "widgets.contract.test")
    conditions = {one["type"]: one["status"] for one in definition["status"]["conditions"]}
    assert conditions["NamesAccepted"] == "True"
    assert conditions["Established"] == "True"
    assert definition["status"]["acceptedNames"]["kind"] == "Widget"
    assert definition["status"]["storedVersions"] == ["v1"]


@pytest.mark.asyncio
async def test_a_read_not_older_than_a_version_sees_that_write(server: Server) -> None:
    created = await server.create(CONFIG_MAP, "a")
    version = created["metadata"]["resourceVersion"]
    for params in ({"resourceVersion": version, "resourceVersionMatch": "NotOlderThan"}, {"resourceVersion": "0"}):
        await asyncio.sleep(0.1 if params["resourceVersion"] == "0" else 0)
        assert names(await listed(server, **params)) == ["a"]
    exact = await listed(server, limit=10, resourceVersion=version, resourceVersionMatch="Exact")
    assert exact.body["metadata"]["resourceVersion"] == version


@pytest.mark.asyncio
async def test_a_namespace_is_an_object_that_says_it_is_active(server: Server) -> None:
    namespace = await server.client.get(NAMESPACE, "", server.namespace)
    assert namespace["status"]["phase"] == "Active"
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": server.namespace}
    assert namespace["spec"]["finalizers"] == ["kubernetes"]


@pytest.mark.asyncio
async def test_the_server_says_its_health_and_version(server: Server) -> None:
    for where in ("/healthz", "/readyz", "/livez"):
        answer = await server.client.ask("GET", where)
        assert (answer.status, answer.message) == (200, "ok")
    version = await server.client.must("GET", "/version")
    assert version["major"] == "1"
    assert version["gitVersion"].startswith("v1.")
