"""The store by itself: versions, conflicts, deletion, events. No kind has rules of its own here."""

from __future__ import annotations

import random

import pytest

from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.sim.history import Event
from gradatim.sim.refusals import AlreadyExists, Conflict, Invalid, NotFound, Refused
from gradatim.sim.store import Store

GADGETS = Resource("example.com", "v1", "gadgets", "Gadget")
LAMP = Ref(GADGETS, "test", "lamp")
START = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.seconds = START

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    made = Store(clock, chance=random.Random(1))
    made.register(GADGETS)
    return made


def gadget(**spec: object) -> Manifest:
    return {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "lamp"}, "spec": spec}


def test_a_new_object_gets_what_only_the_server_can_give(store: Store) -> None:
    made = store.create(LAMP, gadget(on=True))
    meta = made["metadata"]
    assert meta["namespace"] == "test"
    assert meta["creationTimestamp"] == "2023-11-14T22:13:20Z"
    assert meta["generation"] == 1
    assert len(meta["uid"]) == 36
    assert int(meta["resourceVersion"]) > START * 1000
    assert store.get(LAMP) == made


def test_a_name_is_made_from_generate_name(store: Store) -> None:
    made = store.create(Ref(GADGETS, "test", ""), {"metadata": {"generateName": "lamp-"}})
    assert made["metadata"]["name"].startswith("lamp-")
    assert len(made["metadata"]["name"]) == len("lamp-") + 5


def test_a_second_object_of_the_same_name_is_refused(store: Store) -> None:
    store.create(LAMP, gadget())
    with pytest.raises(AlreadyExists, match=r'gadgets\.example\.com "lamp" already exists'):
        store.create(LAMP, gadget())


def test_what_is_handed_out_can_be_changed_without_harm(store: Store) -> None:
    made = store.create(LAMP, gadget(colours=["red"]))
    made["spec"]["colours"].append("blue")
    store.get(LAMP)["spec"]["colours"].append("green")
    assert store.get(LAMP)["spec"] == {"colours": ["red"]}


def test_a_stale_version_is_a_conflict(store: Store) -> None:
    stale = store.create(LAMP, gadget(on=True))
    store.update(LAMP, stale | {"spec": {"on": False}})
    with pytest.raises(Conflict, match="the object has been modified; please apply your changes to the latest version"):
        store.update(LAMP, stale | {"spec": {"on": True}})


def test_an_update_without_a_version_wins_when_a_controller_writes(store: Store) -> None:
    store.create(LAMP, gadget(on=True))
    store.update(LAMP, gadget(on=False))
    assert store.get(LAMP)["spec"] == {"on": False}


def test_generation_counts_changes_of_the_spec_only(store: Store) -> None:
    store.create(LAMP, gadget(on=True))
    store.mutate(LAMP, lambda obj: obj["metadata"].update(labels={"a": "b"}))
    store.mutate(LAMP, lambda obj: obj.update(status={"lit": True}))
    assert store.get(LAMP)["metadata"]["generation"] == 1
    store.mutate(LAMP, lambda obj: obj["spec"].update(on=False))
    assert store.get(LAMP)["metadata"]["generation"] == 2


def test_a_write_that_changes_nothing_is_no_write(store: Store) -> None:
    made = store.create(LAMP, gadget(on=True))
    seen: list[Event] = []
    store.subscribe(seen.append)
    assert store.update(LAMP, made) == made
    assert seen == []


def test_versions_grow_also_over_a_restart(store: Store, clock: Clock) -> None:
    before = int(store.create(LAMP, gadget())["metadata"]["resourceVersion"])
    clock.seconds += 1
    again = Store(clock)
    assert again.version > before
    assert again.history.floor == again.version


def test_subscribers_hear_of_every_change_in_order_also_of_those_they_make(store: Store) -> None:
    heard: list[tuple[str, str]] = []

    def react(event: Event) -> None:
        if event.type == "ADDED":
            store.mutate(event.ref, lambda obj: obj.update(status={"seen": True}))

    store.subscribe(react)
    store.subscribe(lambda event: heard.append((event.type, event.ref.name)))
    store.create(LAMP, gadget())
    store.delete(LAMP)
    assert heard == [("ADDED", "lamp"), ("MODIFIED", "lamp"), ("DELETED", "lamp")]


def test_a_subscription_ends(store: Store) -> None:
    heard: list[Event] = []
    end = store.subscribe(heard.append)
    end()
    store.create(LAMP, gadget())
    assert heard == []


def test_an_event_carries_the_state_before_and_after(store: Store) -> None:
    store.create(LAMP, gadget(on=True))
    heard: list[Event] = []
    store.subscribe(heard.append)
    store.update(LAMP, gadget(on=False))
    store.delete(LAMP)
    changed, deleted = heard
    assert changed.previous is not None
    assert (changed.previous["spec"], changed.object["spec"]) == ({"on": True}, {"on": False})
    assert deleted.object["metadata"]["resourceVersion"] == str(deleted.resource_version)
    assert deleted.resource_version > changed.resource_version


def test_a_finalizer_holds_an_object_until_it_is_taken_away(store: Store) -> None:
    store.create(LAMP, gadget() | {"metadata": {"name": "lamp", "finalizers": ["example.com/hold"]}})
    assert not store.delete(LAMP).gone
    held = store.get(LAMP)["metadata"]
    assert held["deletionTimestamp"] == "2023-11-14T22:13:20Z"
    assert held["deletionGracePeriodSeconds"] == 0
    assert held["generation"] == 2
    store.mutate(LAMP, lambda obj: obj["metadata"].pop("finalizers"))
    assert store.find(LAMP) is None


def test_no_finalizer_may_join_while_an_object_is_being_deleted(store: Store) -> None:
    store.create(LAMP, gadget() | {"metadata": {"name": "lamp", "finalizers": ["example.com/hold"]}})
    store.delete(LAMP)
    with pytest.raises(Invalid, match="no new finalizers can be added if the object is being deleted"):
        store.mutate(LAMP, lambda obj: obj["metadata"]["finalizers"].append("example.com/more"))


def test_deleting_twice_changes_nothing_more(store: Store, clock: Clock) -> None:
    store.create(LAMP, gadget() | {"metadata": {"name": "lamp", "finalizers": ["example.com/hold"]}})
    store.delete(LAMP)
    first = store.get(LAMP)
    clock.seconds += 5
    store.delete(LAMP)
    assert store.get(LAMP) == first


def test_a_deletion_can_insist_on_the_object_it_means(store: Store) -> None:
    store.create(LAMP, gadget())
    with pytest.raises(Conflict, match="does not match the UID in record"):
        store.delete(LAMP, uid="another")
    assert store.find(LAMP) is not None


def test_what_is_not_there_is_not_found(store: Store) -> None:
    for attempt in (store.get, store.delete):
        with pytest.raises(NotFound, match=r'gadgets\.example\.com "lamp" not found'):
            attempt(LAMP)
    assert store.find(LAMP) is None


def test_a_list_is_in_the_order_of_names_and_can_be_narrowed(store: Store) -> None:
    for namespace, name in (("b", "one"), ("a", "two"), ("a", "one")):
        store.create(Ref(GADGETS, namespace, name), {"metadata": {"name": name}})
    listed = [(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in store.list(GADGETS)]
    assert listed == [("a", "one"), ("a", "two"), ("b", "one")]
    assert [obj["metadata"]["name"] for obj in store.list(GADGETS, "a")] == ["one", "two"]


def test_the_past_can_be_listed(store: Store) -> None:
    store.create(LAMP, gadget(on=True))
    then = store.version
    store.update(LAMP, gadget(on=False))
    store.create(Ref(GADGETS, "test", "new"), {})
    store.delete(LAMP)
    (past,) = store.snapshots(GADGETS, version=then)
    assert past.manifest["spec"] == {"on": True}


def test_the_history_is_bounded_and_says_so(clock: Clock) -> None:
    store = Store(clock, history=2)
    store.register(GADGETS)
    store.create(LAMP, gadget(step=0))
    first = store.version
    for step in (1, 2):
        store.update(LAMP, gadget(step=step))
    assert store.history.floor == first
    assert [event.object["spec"]["step"] for event in store.history.since(first)] == [1, 2]


def test_a_new_object_must_not_bring_a_version(store: Store) -> None:
    with pytest.raises(Refused, match="resourceVersion should not be set on objects to be created"):
        store.create(LAMP, {"metadata": {"name": "lamp", "resourceVersion": "1"}})


def test_another_version_of_a_resource_shows_the_same_objects(clock: Clock) -> None:
    """Only `apiVersion` differs, as for CRDs without conversion."""
    from gradatim.sim.kind import Kind

    beta = Resource("example.com", "v1beta1", "gadgets", "Gadget")
    store = Store(clock)
    store.register(Kind(GADGETS, served=(GADGETS, beta)))
    store.create(Ref(beta, "test", "lamp"), gadget() | {"apiVersion": "example.com/v1beta1"})
    assert store.get(LAMP)["apiVersion"] == "example.com/v1"
    assert store.get(Ref(beta, "test", "lamp"))["apiVersion"] == "example.com/v1beta1"


def test_labels_and_names_of_owners_are_checked(store: Store) -> None:
    with pytest.raises(Invalid) as refused:
        store.create(
            LAMP, {"metadata": {"labels": {"a": "not valid"}, "ownerReferences": [{"kind": "X", "name": "x"}]}}
        )
    fields = [cause["field"] for cause in refused.value.details["causes"]]
    assert fields == ["metadata.labels", "metadata.ownerReferences[0].apiVersion", "metadata.ownerReferences[0].uid"]
