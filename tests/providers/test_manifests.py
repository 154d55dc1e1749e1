"""Reading and changing nested objects."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from worlds import canary

from gradatim.ports.errors import UnexpectedObject
from gradatim.ports.objects import CANARY, INGRESS, Ref, Resource
from gradatim.providers import manifests
from gradatim.providers.tracking import untracked

CART = {"kind": "Ingress", "metadata": {"name": "cart", "namespace": "shop"}, "spec": {"a": {"b": 1}, "c": None}}


def test_an_absent_place_is_empty() -> None:
    """So is `null`, which Go programs write for it."""
    assert manifests.at(CART, "spec", "a", "b") == 1
    assert manifests.at(CART, "spec", "c", "d") is None
    assert manifests.mapping(CART, "spec", "c") == {}
    assert manifests.items(CART, "spec", "x") == []
    assert manifests.text(CART, "status", "phase") == ""
    assert manifests.number(CART, "spec", "x", default=7) == 7
    assert manifests.labels_of(CART) == manifests.annotations_of(CART) == {}


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: manifests.mapping(CART, "spec", "a", "b"), "Ingress cart.shop: spec.a.b is not a mapping"),
        (lambda: manifests.at(CART, "spec", "a", "b", "c"), "Ingress cart.shop: spec.a.b is not a mapping"),
        (lambda: manifests.items(CART, "spec", "a"), "Ingress cart.shop: spec.a is not a list"),
        (lambda: manifests.text(CART, "spec", "a"), "Ingress cart.shop: spec.a is not a text"),
        (lambda: manifests.number(CART, "spec", "a"), "Ingress cart.shop: spec.a is not a whole number"),
        (lambda: manifests.number({"a": True}, "a"), "object: a is not a whole number"),
        (lambda: manifests.number({"a": 1.5}, "a"), "object: a is not a whole number"),
        (lambda: manifests.put(manifests.copy_of(CART), 1, "spec", "a", "b", "c"), "spec.a.b is not a mapping"),
    ],
)
def test_a_wrong_shape_is_named(read: Callable[[], object], message: str) -> None:
    """With the object and the place."""
    with pytest.raises(UnexpectedObject) as refused:
        read()
    assert message in str(refused.value)


def test_a_whole_number_may_come_as_a_float() -> None:
    """JSON does not tell 7.0 from 7."""
    assert manifests.number({"a": 7.0}, "a") == 7


def test_values_are_put_and_taken_away_in_place() -> None:
    """Mappings on the way are made, also in the place of `null`; taking away what is not there is no error."""
    wanted = manifests.copy_of(CART)
    manifests.put(wanted, 2, "spec", "c", "d", "e")
    manifests.put(wanted, None, "spec", "a", "b")
    manifests.put(wanted, None, "status", "phase")
    assert wanted["spec"] == {"a": {}, "c": {"d": {"e": 2}}}
    assert CART["spec"] == {"a": {"b": 1}, "c": None}


def test_names_of_objects() -> None:
    """Cluster-scoped kinds have no namespace."""
    assert manifests.ref_of(INGRESS, CART) == Ref(INGRESS, "shop", "cart")
    wide = Resource("kuma.io", "v1alpha1", "trafficroutes", "TrafficRoute", namespaced=False)
    assert manifests.ref_of(wide, CART) == Ref(wide, "", "cart")


def test_a_new_object_goes_with_the_canary() -> None:
    """Its owner is the Canary; empty metadata is left out."""
    cart = canary()
    made = manifests.new_object(INGRESS, "shop", "web", cart, labels={"a": "b"}, annotations={})
    assert made == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "labels": {"a": "b"},
            "ownerReferences": [
                {
                    "apiVersion": "flagger.app/v1beta1",
                    "kind": "Canary",
                    "name": "cart",
                    "uid": "uid-of-cart",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
    }
    assert manifests.controlled_by(made, cart)
    assert manifests.controlled_by_any_canary(made)


@pytest.mark.parametrize(
    ("owner", "ours", "any_canary"),
    [
        ({"kind": "Canary", "name": "cart", "uid": "restored from a backup", "controller": True}, True, True),
        ({"kind": "Canary", "name": "cart"}, False, False),
        ({"kind": "Canary", "name": "other", "controller": True}, False, True),
        ({"kind": "Deployment", "name": "cart", "controller": True}, False, False),
    ],
)
def test_the_controller_decides_whose_an_object_is(owner: dict[str, object], ours: bool, any_canary: bool) -> None:
    """By kind and name, as with Flagger."""
    manifest = {"metadata": {"ownerReferences": [owner]}}
    assert manifests.controlled_by(manifest, canary()) is ours
    assert manifests.controlled_by_any_canary(manifest) is any_canary


@pytest.mark.parametrize(
    ("prefixes", "kept"),
    [
        ((), set()),
        (("",), set()),
        (("app.kubernetes.io",), {"app.kubernetes.io/name"}),
        (("app.", "te"), {"app.kubernetes.io/name", "team"}),
        (("*",), {"app.kubernetes.io/name", "team", "x"}),
        (("kustomize",), set()),
    ],
)
def test_labels_are_included_by_prefix(prefixes: tuple[str, ...], kept: set[str]) -> None:
    """Nothing by default, everything with `*`, and Flux's own never."""
    meta = dict.fromkeys(("app.kubernetes.io/name", "team", "x", "kustomize.toolkit.fluxcd.io/name"), "v")
    assert set(manifests.included(meta, prefixes)) == kept


def test_the_marks_of_deployment_tools_are_left_behind() -> None:
    """A copy with them would be adopted and pruned (E-57)."""
    marks = (
        "app.kubernetes.io/instance",
        "app.kubernetes.io/managed-by",
        "argocd.argoproj.io/tracking-id",
        "helm.sh/chart",
        "meta.helm.sh/release-name",
        "kustomize.toolkit.fluxcd.io/name",
        "kubectl.kubernetes.io/last-applied-configuration",
        "config.k8s.io/owning-inventory",
        "configmanagement.gke.io/managed",
        "configsync.gke.io/declared-version",
        "kapp.k14s.io/app",
        "objectset.rio.cattle.io/id",
    )
    assert untracked(dict.fromkeys((*marks, "app", "app.kubernetes.io/name"), "v")) == {
        "app": "v",
        "app.kubernetes.io/name": "v",
    }


def test_the_guard_is_of_flux() -> None:
    """Both controllers of Flux have one."""
    assert set(manifests.flux_guard().values()) == {"disabled"}
    assert manifests.without_toolkit(manifests.flux_guard()) == {}
    assert CANARY.api_version == manifests.owner_reference(canary())["apiVersion"]
