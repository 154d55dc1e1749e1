"""What a look sees: everything as it is now, at the price of what has changed."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy

import pytest

from gradatim.api.decode import decode_canary
from gradatim.core.settings import Settings
from gradatim.core.verdict import Introduce, Plan
from gradatim.engine.actions import Hands
from gradatim.engine.site import Learned, Providers, Site
from gradatim.kube.errors import Conflict, Forbidden
from gradatim.ports.objects import CANARY, DEPLOYMENT, SERVICE, Manifest, Ref, Resource

KEY = Ref(CANARY, "test", "shop")
TARGET, PRIMARY = Ref(DEPLOYMENT, "test", "shop"), Ref(DEPLOYMENT, "test", "shop-primary")
SETTINGS = Settings(mesh_provider="kubernetes")


class Cache:
    """Objects with versions; `read` counts how often each was decoded."""

    def __init__(self, *refused: Resource) -> None:
        self.objects: dict[Ref, Manifest] = {}
        self.read: Counter[Ref] = Counter()
        self.refused = refused

    async def want(self, ref: Ref, owner: Ref) -> None:
        assert owner == KEY
        if ref.resource in self.refused:
            raise Forbidden(f"{ref.resource.plural} is forbidden")

    def get(self, ref: Ref) -> Manifest | None:
        self.read[ref] += 1
        return deepcopy(self.objects.get(ref))

    def version(self, ref: Ref) -> str:
        found = self.objects.get(ref)
        return "" if found is None else found["metadata"]["resourceVersion"]

    def put(self, ref: Ref, version: str, image: str = "app:1") -> None:
        template = {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "app", "image": image}]}}
        self.objects[ref] = {
            "metadata": {"name": ref.name, "namespace": ref.namespace, "resourceVersion": version},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "shop"}}, "template": template},
        }


@pytest.fixture
def cache() -> Cache:
    made = Cache()
    made.put(TARGET, "1")
    return made


async def look(cache: Cache, learned: Learned | None = None, generation: int = 1) -> Site:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    spec = {"targetRef": target, "service": {"port": 80}, "analysis": {}}
    meta = {"name": "shop", "namespace": "test", "generation": generation}
    canary = decode_canary({"metadata": meta, "spec": spec})
    site = Site(KEY, canary, Providers.of(canary, SETTINGS), SETTINGS, cache)  # type: ignore[arg-type]
    site.learned = learned
    await site.look()
    return site


@pytest.mark.asyncio
async def test_a_second_look_at_the_same_target_takes_over_what_was_learned(cache: Cache) -> None:
    first = await look(cache)
    second = await look(cache, first.learned)
    assert second.facts is first.facts is not None


@pytest.mark.asyncio
async def test_a_changed_target_is_learned_anew(cache: Cache) -> None:
    first = await look(cache)
    cache.put(TARGET, "2", "app:2")
    second = await look(cache, first.learned)
    assert first.facts is not None
    assert second.facts is not None
    assert second.facts.revision != first.facts.revision


@pytest.mark.asyncio
async def test_an_edited_canary_learns_anew_as_its_ports_may_be_others(cache: Cache) -> None:
    first = await look(cache)
    second = await look(cache, first.learned, generation=2)
    assert second.facts == first.facts
    assert second.facts is not first.facts


@pytest.mark.asyncio
async def test_a_target_that_is_gone_is_not_remembered(cache: Cache) -> None:
    first = await look(cache)
    del cache.objects[TARGET]
    second = await look(cache, first.learned)
    assert second.facts is None
    assert "shop.test" in second.trouble
    cache.put(TARGET, "3")
    third = await look(cache, second.learned)
    assert (third.facts, third.trouble, third.fix) == (first.facts, "", "")


@pytest.mark.asyncio
async def test_refreshing_reads_again_only_what_has_changed(cache: Cache) -> None:
    site = await look(cache)
    cache.read.clear()
    cache.put(PRIMARY, "7")
    site.refresh()
    assert cache.read == {PRIMARY: 1}
    assert site.seen[PRIMARY] == cache.objects[PRIMARY]
    del cache.objects[PRIMARY]
    site.refresh()
    assert site.seen[PRIMARY] is None


@pytest.mark.asyncio
async def test_refreshing_leaves_alone_what_may_not_be_read() -> None:
    cache = Cache(SERVICE)
    cache.put(TARGET, "1")
    site = await look(cache)
    site.refresh()
    services = [ref for ref in site.seen if ref.resource == SERVICE]
    assert len(services) == 3
    assert all(site.seen[ref] is None and not cache.read[ref] for ref in services)
    assert site.unseen == {SERVICE: "services is forbidden"}


@pytest.mark.asyncio
async def test_pods_that_go_while_proxies_learn_of_them_are_not_introduced(cache: Cache) -> None:
    """A Deployment scaled to zero and up again tells for a moment of pods that are already on their way out."""
    cache.objects[TARGET]["status"] = {"availableReplicas": 1}

    async def stay(_: float) -> None: ...

    async def leave(_: float) -> None:
        cache.put(TARGET, "2")

    site = await look(cache)
    await Hands(None, stay).perform(site, Plan(), Introduce(canary=True))  # type: ignore[arg-type]
    with pytest.raises(Conflict, match="are gone"):
        await Hands(None, leave).perform(site, Plan(), Introduce(canary=True))  # type: ignore[arg-type]
