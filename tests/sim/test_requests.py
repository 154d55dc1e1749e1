"""What the server answers to plain requests, in the words of a real one."""

from __future__ import annotations

import pytest
from talk import (
    APPLY,
    CONFIG_MAPS,
    DEPLOYMENTS,
    MERGE,
    NAMESPACES,
    SECRETS,
    ask,
    config_map,
    deployment,
    done,
    refused,
    server,
)

from gradatim.sim.api import Fault, Request
from gradatim.sim.refusals import unavailable
from gradatim.sim.rest.faults import Broken

pytestmark = pytest.mark.asyncio


async def test_an_object_is_created_read_replaced_and_deleted() -> None:
    api = server()
    made = await done(api, "POST", CONFIG_MAPS, config_map("a", x="1"))
    assert await done(api, "GET", f"{CONFIG_MAPS}/a") == made
    changed = await done(api, "PUT", f"{CONFIG_MAPS}/a", made | {"data": {"x": "2"}})
    assert changed["data"] == {"x": "2"}
    gone = await done(api, "DELETE", f"{CONFIG_MAPS}/a")
    assert gone["status"] == "Success"
    assert gone["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}


async def test_what_is_not_there_is_not_found() -> None:
    status = await refused(server(), "GET", f"{DEPLOYMENTS}/x")
    assert status["message"] == 'deployments.apps "x" not found'
    assert status["details"] == {"name": "x", "group": "apps", "kind": "deployments"}


@pytest.mark.parametrize(
    ("path", "is_status"),
    [("/api/v1/lamps", True), ("/apis/apps/v2", True), ("/apis/nobody.example/v1/x", False), ("/nothing", False)],
)
async def test_unknown_paths_are_a_status_below_known_groups_and_plain_text_elsewhere(
    path: str, is_status: bool
) -> None:
    answer = await ask(server(), "GET", path)
    assert answer.status == 404
    if is_status:
        assert answer.json()["message"] == "the server could not find the requested resource"
    else:
        assert answer.body == b"404 page not found\n"


async def test_a_stale_version_is_a_conflict() -> None:
    api = server()
    stale = await done(api, "POST", DEPLOYMENTS, deployment())
    await done(api, "PATCH", f"{DEPLOYMENTS}/shop", {"spec": {"replicas": 2}}, content_type=MERGE)
    status = await refused(api, "PUT", f"{DEPLOYMENTS}/shop", stale)
    assert status["reason"] == "Conflict"
    assert status["message"] == (
        'Operation cannot be fulfilled on deployments.apps "shop": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_a_name_can_be_made_by_the_server() -> None:
    made = await done(server(), "POST", CONFIG_MAPS, {"metadata": {"generateName": "a-"}})
    assert made["metadata"]["name"].startswith("a-")


async def test_what_is_wrong_with_a_request_is_said() -> None:
    api = server()
    await done(api, "POST", CONFIG_MAPS, config_map("a"))
    cases = [
        ("POST", CONFIG_MAPS, config_map("a"), 409, 'configmaps "a" already exists'),
        ("POST", f"{NAMESPACES}/none/configmaps", config_map("a"), 404, 'namespaces "none" not found'),
        (
            "PUT",
            f"{CONFIG_MAPS}/a",
            config_map("b"),
            400,
            "the name of the object (b) does not match the name on the URL (a)",
        ),
        ("PUT", f"{CONFIG_MAPS}/b", config_map("b"), 404, 'configmaps "b" not found'),
        (
            "POST",
            CONFIG_MAPS,
            {"metadata": {"name": "b", "namespace": "x"}},
            400,
            "the namespace of the provided object",
        ),
        (
            "POST",
            CONFIG_MAPS,
            {"metadata": {"name": "b", "resourceVersion": "1"}},
            500,
            "resourceVersion should not be set",
        ),
        ("POST", f"{CONFIG_MAPS}/a", config_map("a"), 405, "the server does not allow this method"),
        ("POST", CONFIG_MAPS, b"nonsense", 400, "the object provided is unrecognized (must be of type ConfigMap)"),
        ("POST", CONFIG_MAPS, {"kind": "Pod", "apiVersion": "v1"}, 400, "cannot be handled as a ConfigMap"),
        ("POST", CONFIG_MAPS, {"apiVersion": "v2"}, 400, "the API version in the data (v2) does not match"),
        ("POST", f"{CONFIG_MAPS}?dryRun=Some", config_map("b"), 422, 'dryRun: Unsupported value: ["Some"]'),
        ("POST", f"{CONFIG_MAPS}?fieldValidation=Some", config_map("b"), 422, "fieldValidation: Unsupported value"),
        ("DELETE", f"{CONFIG_MAPS}/a?propagationPolicy=Some", None, 422, "propagationPolicy: Unsupported value"),
    ]
    for method, url, body, code, message in cases:
        status = await refused(api, method, url, body)
        assert status["code"] == code, (url, status)
        assert message in status["message"]


async def test_media_types_nobody_reads_are_refused() -> None:
    api = server()
    await done(api, "POST", CONFIG_MAPS, config_map("a"))
    posted = await refused(api, "POST", CONFIG_MAPS, b"x", content_type="text/plain")
    patch = await refused(api, "PATCH", f"{CONFIG_MAPS}/a", b"x", content_type="text/plain")
    assert (posted["code"], patch["code"]) == (415, 415)
    assert (await refused(api, "GET", f"{CONFIG_MAPS}/a", accept="text/html"))["code"] == 406


async def test_a_dry_run_answers_but_leaves_nothing_behind() -> None:
    api = server()
    made = await done(api, "POST", f"{CONFIG_MAPS}?dryRun=All", config_map("a"))
    assert made["metadata"]["uid"]
    await refused(api, "GET", f"{CONFIG_MAPS}/a")
    kept = await done(api, "POST", CONFIG_MAPS, config_map("a", x="1"))
    changed = await done(api, "PATCH", f"{CONFIG_MAPS}/a?dryRun=All", {"data": {"x": "2"}}, content_type=MERGE)
    assert changed["data"] == {"x": "2"}
    await done(api, "DELETE", f"{CONFIG_MAPS}/a?dryRun=All")
    assert await done(api, "GET", f"{CONFIG_MAPS}/a") == kept


async def test_unknown_and_double_fields_are_refused_reported_or_dropped_as_the_client_likes() -> None:
    api = server()
    body = b'{"metadata": {"name": "a"}, "data": {"x": "1", "x": "2"}, "more": 1}'
    strict = await refused(api, "POST", f"{CONFIG_MAPS}?fieldValidation=Strict", body)
    assert strict["message"] == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
        'strict decoding error: duplicate field "data.x", unknown field "more"'
    )
    warned = await ask(api, "POST", f"{CONFIG_MAPS}?dryRun=All", body)
    assert warned.headers["Warning"] == r'299 - "duplicate field \"data.x\"", 299 - "unknown field \"more\""'
    silent = await ask(api, "POST", f"{CONFIG_MAPS}?fieldValidation=Ignore", body)
    assert "Warning" not in silent.headers
    assert silent.json()["data"] == {"x": "2"}
    assert "more" not in silent.json()


async def test_answers_come_in_yaml_or_pretty_if_asked() -> None:
    api = server()
    await done(api, "POST", CONFIG_MAPS, config_map("a", x="1"))
    as_yaml = await ask(api, "GET", f"{CONFIG_MAPS}/a", accept="application/yaml")
    assert b"data:\n  x: '1'\n" in as_yaml.body
    assert (await ask(api, "GET", f"{CONFIG_MAPS}/a?pretty=true")).body.startswith(b'{\n  "')
    assert not (await ask(api, "GET", f"{CONFIG_MAPS}/a")).body.startswith(b'{\n  "')


async def test_yaml_is_read_as_well() -> None:
    body = b"metadata: {name: a}\ndata: {x: '1'}\n"
    made = await done(server(), "POST", CONFIG_MAPS, body, content_type="application/yaml")
    assert made["data"] == {"x": "1"}


async def test_a_deletion_can_insist_on_the_object_it_means() -> None:
    api = server()
    made = await done(api, "POST", CONFIG_MAPS, config_map("a"))
    wrong = await refused(api, "DELETE", f"{CONFIG_MAPS}/a", {"preconditions": {"uid": "another"}})
    assert "the UID in the precondition (another) does not match the UID in record" in wrong["message"]
    await done(api, "DELETE", f"{CONFIG_MAPS}/a", {"preconditions": {"uid": made["metadata"]["uid"]}})


async def test_a_whole_collection_goes_by_selector() -> None:
    api = server()
    for name, team in (("a", "x"), ("b", "x"), ("c", "y")):
        await done(api, "POST", CONFIG_MAPS, {"metadata": {"name": name, "labels": {"team": team}}})
    gone = await done(api, "DELETE", f"{CONFIG_MAPS}?labelSelector=team%3Dx")
    assert [item["metadata"]["name"] for item in gone["items"]] == ["a", "b"]
    left = await done(api, "GET", CONFIG_MAPS)
    assert [item["metadata"]["name"] for item in left["items"]] == ["c"]


async def test_items_of_built_in_lists_do_not_repeat_their_kind() -> None:
    api = server()
    await done(api, "POST", SECRETS, {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    listed = await done(api, "GET", SECRETS)
    assert listed["kind"] == "SecretList"
    (item,) = listed["items"]
    assert item.keys() == {"metadata", "type", "data"}


async def test_faults_refuse_delay_and_swallow() -> None:
    api = server()
    api.faults = [Fault(times=2, refuse=unavailable("not now"))]
    assert [(await ask(api, "GET", CONFIG_MAPS)).status for _ in range(3)] == [503, 503, 200]

    def writes(request: Request) -> bool:
        return request.method == "POST"

    api.faults = [Fault(when=writes, swallow=True)]
    with pytest.raises(Broken):
        await ask(api, "POST", CONFIG_MAPS, config_map("a"))
    assert (await ask(api, "GET", f"{CONFIG_MAPS}/a")).status == 200


async def test_a_delay_takes_its_time(virtual_time) -> None:  # type: ignore[no-untyped-def]
    api = server()
    api.faults = [Fault(delay=7)]
    before = virtual_time()
    await ask(api, "GET", CONFIG_MAPS)
    assert virtual_time() - before == 7


async def test_an_apply_needs_a_manager() -> None:
    status = await refused(server(), "PATCH", f"{CONFIG_MAPS}/a", config_map("a"), content_type=APPLY)
    assert "fieldManager: Required value: is required for apply patch" in status["message"]


async def test_everybody_may_do_everything() -> None:
    api = server()
    asked = {"spec": {"resourceAttributes": {"verb": "delete", "resource": "pods"}}}
    answer = await done(api, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", asked)
    assert answer["status"] == {"allowed": True}
