"""What happens to the dependents of what is deleted, and to the contents of namespaces."""

from __future__ import annotations

import pytest
from talk import CONFIG_MAPS, LAMPS, NAMESPACES, ask, config_map, done, lamp, patched, refused, server, with_lamps

from gradatim.ports.objects import Manifest
from gradatim.sim.api import Api

pytestmark = pytest.mark.asyncio


async def made(api: Api, name: str, *owners: Manifest, block: bool = True) -> Manifest:
    """A ConfigMap that others own."""
    references = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": block,
        }
        for owner in owners
    ]
    body = config_map(name)
    body["metadata"]["ownerReferences"] = references
    return await done(api, "POST", CONFIG_MAPS, body)


async def names(api: Api, url: str = CONFIG_MAPS) -> set[str]:
    return {one["metadata"]["name"] for one in (await done(api, "GET", url))["items"]}


async def delete(api: Api, name: str, policy: str) -> None:
    await done(api, "DELETE", f"{CONFIG_MAPS}/{name}?propagationPolicy={policy}")


async def hold(api: Api, name: str, *finalizers: str) -> None:
    await patched(api, f"{CONFIG_MAPS}/{name}", {"metadata": {"finalizers": list(finalizers)}})


async def test_dependents_follow_their_owner_to_the_last() -> None:
    api = server()
    owner = await made(api, "owner")
    child = await made(api, "child", owner)
    await made(api, "grandchild", child)
    await delete(api, "owner", "Background")
    assert await names(api) == set()


async def test_in_the_foreground_an_owner_waits_for_its_dependents() -> None:
    api = server()
    child = await made(api, "child", await made(api, "owner"))
    await hold(api, child["metadata"]["name"], "example.com/hold")
    await delete(api, "owner", "Foreground")
    waiting = await done(api, "GET", f"{CONFIG_MAPS}/owner")
    assert waiting["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert "deletionTimestamp" in (await done(api, "GET", f"{CONFIG_MAPS}/child"))["metadata"]
    await hold(api, "child")
    assert await names(api) == set()


async def test_an_owner_does_not_wait_for_dependents_that_do_not_block_it() -> None:
    api = server()
    await made(api, "child", await made(api, "owner"), block=False)
    await hold(api, "child", "example.com/hold")
    await delete(api, "owner", "Foreground")
    assert await names(api) == {"child"}


async def test_orphans_stay_and_forget_their_owner() -> None:
    api = server()
    await made(api, "child", await made(api, "owner"))
    await delete(api, "owner", "Orphan")
    assert await names(api) == {"child"}
    assert "ownerReferences" not in (await done(api, "GET", f"{CONFIG_MAPS}/child"))["metadata"]


async def test_who_has_another_owner_stays() -> None:
    api = server()
    one, two = await made(api, "one"), await made(api, "two")
    await made(api, "child", one, two)
    await delete(api, "one", "Background")
    references = (await done(api, "GET", f"{CONFIG_MAPS}/child"))["metadata"]["ownerReferences"]
    assert [owner["name"] for owner in references] == ["two"]
    await delete(api, "two", "Background")
    assert await names(api) == set()


async def test_an_owner_that_was_never_there_is_as_good_as_gone() -> None:
    api = server()
    ghost = {"metadata": {"name": "ghost", "uid": "nobody"}}
    await made(api, "child", ghost)
    assert await names(api) == set()


async def test_a_namespace_takes_everything_in_it_along() -> None:
    api = with_lamps(server())
    await done(api, "POST", NAMESPACES, {"metadata": {"name": "house"}})
    inside = LAMPS.replace("/default/", "/house/")
    await done(api, "POST", inside, lamp())
    await done(api, "POST", LAMPS, lamp())
    await done(api, "DELETE", f"{NAMESPACES}/house")
    assert (await ask(api, "GET", f"{NAMESPACES}/house")).status == 404
    assert await names(api, inside) == set()
    assert await names(api, LAMPS) == {"desk"}


async def test_a_namespace_that_is_ending_takes_nothing_new_and_waits_for_what_is_held() -> None:
    api = server()
    await done(api, "POST", NAMESPACES, {"metadata": {"name": "house"}})
    inside = CONFIG_MAPS.replace("/default/", "/house/")
    await done(api, "POST", inside, {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}})
    ending = await done(api, "DELETE", f"{NAMESPACES}/house")
    assert ending["status"] == {"phase": "Terminating"}
    status = await refused(api, "POST", inside, config_map("new"))
    assert status["message"] == (
        'configmaps "new" is forbidden: unable to create new content in namespace house because it is being terminated'
    )
    await patched(api, f"{inside}/held", {"metadata": {"finalizers": None}})
    assert (await ask(api, "GET", f"{NAMESPACES}/house")).status == 404


async def test_nothing_is_created_in_a_namespace_that_is_not_there() -> None:
    status = await refused(server(), "POST", CONFIG_MAPS.replace("default", "nowhere"), config_map("a"))
    assert status["message"] == 'namespaces "nowhere" not found'


async def test_some_namespaces_are_for_ever() -> None:
    status = await refused(server(), "DELETE", f"{NAMESPACES}/default")
    assert status["message"] == 'namespaces "default" is forbidden: this namespace may not be deleted'


async def test_a_new_namespace_is_active_and_furnished() -> None:
    api = server()
    made = await done(api, "POST", NAMESPACES, {"metadata": {"name": "house"}})
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["status"] == {"phase": "Active"}
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "house"}
    assert await names(api, f"{NAMESPACES}/house/serviceaccounts") == {"default"}
