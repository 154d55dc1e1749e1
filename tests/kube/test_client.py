"""Verbs, paths, errors, retries and the fence of the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gradatim.kube import errors
from gradatim.kube.client import Client
from gradatim.kube.limiter import Limiter
from gradatim.ports.objects import CANARY, DEPLOYMENT, SERVICE, Ref, Resource

from .fake_api import FakeApi, status
from .world import canary, client, deployment, now

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("virtual_time")]
PODINFO = deployment("podinfo")
PODINFO_TEXT = "deployments.apps podinfo.test"
PATH = "/apis/apps/v1/namespaces/test/deployments"


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    api.serve(DEPLOYMENT, CANARY, SERVICE)
    return api


@pytest.mark.parametrize("ref", [Ref(DEPLOYMENT, "test", ""), Ref(DEPLOYMENT, "", "podinfo")])
async def test_a_name_that_is_missing_never_becomes_the_whole_collection(api: FakeApi, ref: Ref) -> None:
    with pytest.raises(errors.Invalid, match="needs a name"):
        await client(api).delete(ref)
    assert api.log == []


async def test_create_get_replace_patch_and_delete_change_the_world(api: FakeApi) -> None:
    kube = client(api)
    made = await kube.create(PODINFO, {"metadata": {"name": "podinfo"}, "spec": {"replicas": 1}})
    assert made["metadata"]["resourceVersion"] == "101"
    made["spec"]["replicas"] = 2
    await kube.replace(PODINFO, made)
    assert (await kube.get(PODINFO))["spec"] == {"replicas": 2}
    await kube.patch(PODINFO, {"spec": {"replicas": 3}})
    assert (await kube.get(PODINFO))["spec"] == {"replicas": 3}
    await kube.delete(PODINFO)
    with pytest.raises(errors.NotFound) as caught:
        await kube.get(PODINFO)
    assert caught.value.message == 'deployments.apps "podinfo" not found'
    assert (caught.value.status, caught.value.object, caught.value.served) == (
        404,
        "deployments.apps podinfo.test",
        True,
    )
    assert kube.requests == {"create": 1, "get": 3, "update": 1, "patch": 1, "delete": 1}
    assert {asked.headers["User-Agent"] for asked in api.log} == {"gradatim/test"}


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("merge", "application/merge-patch+json"),
        ("json", "application/json-patch+json"),
        ("strategic", "application/strategic-merge-patch+json"),
        ("apply", "application/apply-patch+yaml"),
    ],
)
async def test_each_kind_of_patch_says_what_it_is(api: FakeApi, kind: str, content_type: str) -> None:
    api.put(PODINFO)
    await client(api).patch(PODINFO, {}, kind=kind, subresource="status", force=True)  # type: ignore[arg-type]
    (asked,) = api.asked("PATCH")
    assert asked.headers["Content-Type"] == content_type
    assert asked.path == f"{PATH}/podinfo/status"
    assert asked.query == {"fieldManager": "flagger", **({"force": "true"} if kind == "apply" else {})}


async def test_delete_says_which_one_and_how(api: FakeApi) -> None:
    api.put(PODINFO)
    await client(api).delete(PODINFO, uid="u", resource_version="7", propagation="Foreground", grace=0)
    (asked,) = api.asked("DELETE")
    assert asked.body["preconditions"] == {"uid": "u", "resourceVersion": "7"}
    assert (asked.body["propagationPolicy"], asked.body["gracePeriodSeconds"]) == ("Foreground", 0)


async def test_dry_run_is_passed_on(api: FakeApi) -> None:
    await client(api).create(PODINFO, {"metadata": {"name": "podinfo"}}, dry_run=True)
    assert api.asked("POST")[0].query["dryRun"] == "All"


async def test_lists_are_paged_and_their_items_say_what_they_are(api: FakeApi) -> None:
    for number in range(7):
        api.put(deployment(f"d{number}"))
    found = await client(api).list(DEPLOYMENT, "test", label_selector="a=b", field_selector="c=d", limit=3)
    assert [item["metadata"]["name"] for item in found] == [f"d{number}" for number in range(7)]
    assert {(item["apiVersion"], item["kind"]) for item in found} == {("apps/v1", "Deployment")}
    assert [asked.query.get("continue") for asked in api.asked("GET")] == [None, "107:3", "107:6"]
    assert all(asked.query["labelSelector"] == "a=b" for asked in api.asked("GET"))


async def test_a_list_that_expires_between_pages_is_started_afresh(api: FakeApi) -> None:
    for number in range(4):
        api.put(deployment(f"d{number}"))
    gate = api.gate("GET", PATH, back=True)
    listing = asyncio.create_task(client(api).list(DEPLOYMENT, "test", limit=3))
    await gate.arrived.wait()
    api.forget()
    api.drop(deployment("d0"))
    gate.opened.set()
    assert [item["metadata"]["name"] for item in await listing] == ["d1", "d2", "d3"]


async def test_served_tells_a_missing_kind_from_an_empty_one(api: FakeApi) -> None:
    kube = client(api)
    await kube.served(CANARY)
    with pytest.raises(errors.NotFound) as caught:
        await kube.served(Resource("flagger.app", "v1beta1", "metrictemplates", "MetricTemplate"))
    assert not caught.value.served
    assert [asked.query["limit"] for asked in api.asked("GET")] == ["1", "1"]


async def test_version(api: FakeApi) -> None:
    assert (await client(api).version())["gitVersion"] == "v1.33.1"


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (401, "Unauthorized", errors.Unauthorized),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.NotFound),
        (409, "AlreadyExists", errors.AlreadyExists),
        (409, "Conflict", errors.Conflict),
        (410, "Expired", errors.Gone),
        (400, "BadRequest", errors.Invalid),
        (413, "RequestEntityTooLarge", errors.Invalid),
        (422, "Invalid", errors.Invalid),
        (405, "MethodNotAllowed", errors.KubeError),
        (415, "UnsupportedMediaType", errors.KubeError),
        (500, "InternalError", errors.Unavailable),
        (503, "ServiceUnavailable", errors.Unavailable),
        (504, "Timeout", errors.Unavailable),
    ],
)
async def test_every_refusal_has_its_error_with_the_servers_sentence(
    api: FakeApi, code: int, reason: str, kind: type[errors.KubeError]
) -> None:
    sentence = 'deployments.apps "podinfo": update said no'
    api.refuse("PUT", PATH, code, status(code, reason, "podinfo", sentence))
    with pytest.raises(errors.KubeError) as caught:
        await client(api).replace(PODINFO, {"metadata": {}})
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.status, caught.value.ref) == (sentence, code, PODINFO)


async def test_forbidden_names_verb_and_resource_even_if_the_server_does_not(api: FakeApi) -> None:
    api.refuse("DELETE", PATH, 403, status(403, "Forbidden", "podinfo", "not on a Friday"))
    with pytest.raises(errors.Forbidden, match=r"delete deployments\.apps podinfo\.test: not on a Friday"):
        await client(api).delete(PODINFO)
    rbac = 'deployments.apps is forbidden: User "x" cannot delete resource "deployments" in API group "apps"'
    api.refuse("DELETE", PATH, 403, status(403, "Forbidden", "podinfo", rbac))
    with pytest.raises(errors.Forbidden) as caught:
        await client(api).delete(PODINFO)
    assert caught.value.message == rbac


@pytest.mark.parametrize(
    "body", [b"<html>secret</html>", b'{"secret": 1}', b'{"kind": "Secret"}', b'"secret"', b"\xff"]
)
async def test_a_body_that_is_no_status_is_never_shown(api: FakeApi, body: bytes) -> None:
    api.refuse("PUT", PATH, 502, body)
    with pytest.raises(errors.Unavailable) as caught:
        await client(api).replace(PODINFO, {"metadata": {}})
    assert caught.value.message == "the API server answered 502 to update deployments.apps podinfo.test"


async def test_an_answer_that_is_no_object_is_an_error(api: FakeApi) -> None:
    for code, body in ((200, b"<html>login</html>"), (200, b"[]"), (302, b"")):
        api.refuse("GET", PATH, code, body or b"-")
        with pytest.raises(errors.KubeError):
            await client(api).get(PODINFO)


async def test_reads_are_tried_again_while_there_is_time(api: FakeApi, virtual_time: Callable[[], float]) -> None:
    api.put(PODINFO)
    api.refuse("GET", PATH, 503)
    api.refuse("GET", PATH, 500)
    assert (await client(api).get(PODINFO))["metadata"]["name"] == "podinfo"
    assert len(api.asked("GET")) == 3


async def test_reads_give_up_at_the_deadline_with_the_last_error(
    api: FakeApi, virtual_time: Callable[[], float]
) -> None:
    api.outage, start = True, virtual_time()
    with pytest.raises(errors.Unavailable, match=r"get deployments\.apps podinfo\.test: connection refused"):
        await client(api, timeout=20).get(PODINFO)
    assert virtual_time() - start <= 20
    assert 5 <= len(api.asked("GET")) <= 12


async def test_a_connection_that_hangs_does_not_eat_the_whole_deadline(
    api: FakeApi, virtual_time: Callable[[], float]
) -> None:
    api.put(PODINFO)
    api.gate("GET", PATH)
    start = virtual_time()
    await client(api, timeout=30).get(PODINFO)
    assert virtual_time() - start == pytest.approx(15, abs=1)


async def test_retry_after_is_honoured(api: FakeApi, virtual_time: Callable[[], float]) -> None:
    api.put(PODINFO)
    api.refuse("GET", PATH, 429, **{"retry-after": "7"})
    start = virtual_time()
    await client(api).get(PODINFO)
    assert 7 <= virtual_time() - start < 8


async def test_refusals_that_will_not_get_better_are_not_tried_again(api: FakeApi) -> None:
    for code in (400, 401, 403, 404, 409, 422):
        api.refuse("GET", PATH, code)
        with pytest.raises(errors.KubeError):
            await client(api).get(PODINFO)
    assert len(api.asked("GET")) == 6


async def test_a_write_of_unknown_fate_is_not_repeated(api: FakeApi) -> None:
    kube = client(api, timeout=5)
    for code in (500, 503, 504):
        api.refuse("POST", PATH, code)
        with pytest.raises(errors.Unavailable):
            await kube.create(PODINFO, {"metadata": {"name": "podinfo"}})
    api.gate("POST", PATH, back=True)  # carried out, but the answer never comes
    with pytest.raises(errors.Unavailable, match="no answer in time"):
        await kube.create(PODINFO, {"metadata": {"name": "podinfo"}})
    assert kube.requests == {"create": 4}


async def test_a_write_that_certainly_was_not_carried_out_is_repeated(
    api: FakeApi, virtual_time: Callable[[], float]
) -> None:
    api.refuse("POST", PATH, 429, **{"retry-after": "2"})
    start = virtual_time()
    await client(api).create(PODINFO, {"metadata": {"name": "podinfo"}})
    assert virtual_time() - start >= 2
    api.outage = True
    asyncio.get_running_loop().call_later(3, setattr, api, "outage", False)
    await client(api).patch(PODINFO, {"spec": {}})
    assert len(api.asked("POST")) == 2


async def test_every_write_passes_the_fence_and_no_read_does(api: FakeApi) -> None:
    closed = False

    def fence() -> None:
        if closed:
            raise errors.LeaseLost("somebody else leads")

    kube = client(api, fence=fence)
    await kube.create(PODINFO, {"metadata": {"name": "podinfo"}})
    closed = True
    world = api.find(PODINFO)
    for write in (
        lambda: kube.create(canary("x"), {"metadata": {"name": "x"}}),
        lambda: kube.replace(PODINFO, {"metadata": {}, "spec": {}}),
        lambda: kube.patch(PODINFO, {"spec": {}}),
        lambda: kube.delete(PODINFO),
    ):
        with pytest.raises(errors.LeaseLost):
            await write()
    assert api.find(PODINFO) == world == await kube.get(PODINFO)


async def test_the_fence_is_asked_after_waiting_for_a_turn_and_before_every_repetition(api: FakeApi) -> None:
    open_until = now() + 1.5

    def fence() -> None:
        if now() > open_until:
            raise errors.LeaseLost("too late")

    kube = Client(api, Limiter(qps=1, burst=1), now, "x", fence=fence)
    first = kube.create(PODINFO, {"metadata": {"name": "podinfo"}})
    rest = [kube.create(canary(f"c{number}"), {"metadata": {"name": f"c{number}"}}) for number in range(3)]
    results = await asyncio.gather(first, *rest, return_exceptions=True)
    assert [isinstance(result, errors.LeaseLost) for result in results] == [False, False, True, True]
    open_until = now() + 1.5
    api.refuse("PATCH", PATH, 429, **{"retry-after": "3"})
    with pytest.raises(errors.LeaseLost):
        await kube.patch(PODINFO, {"spec": {"replicas": 9}})
    assert "spec" not in (api.find(PODINFO) or {})
