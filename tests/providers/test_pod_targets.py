"""What must hold for the primaries of all Deployments and DaemonSets, whatever their pod templates hold."""

from __future__ import annotations

import copy
from typing import Any

import vector_objects as vectors
from hypothesis import given
from hypothesis import strategies as st

from gradatim.core.settings import Settings
from gradatim.ports.objects import Manifest, Ref
from gradatim.ports.scene import Scene
from gradatim.ports.workload import Workload
from gradatim.providers import config_refs, scheduling
from gradatim.providers.workloads.daemonset import KINDS as DAEMON_SETS
from gradatim.providers.workloads.deployment import KINDS as DEPLOYMENTS

CANARY = vectors.canary_with("Deployment", "apps/v1", {})
SCENE = Scene(CANARY, Settings(), "app", "shop")
KINDS = {"Deployment": DEPLOYMENTS[0].workload, "DaemonSet": DAEMON_SETS[0].workload}

NAMES = st.sampled_from(["shop", "other", "shop-config"])
EXTRA = st.dictionaries(
    st.sampled_from(["ofTomorrow", "limits", "mode"]),
    st.recursive(st.integers() | NAMES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner)),
    max_size=2,
)


def holding(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Manifest]:
    """Some of these parts, beside fields that nobody knows."""
    return st.builds(lambda extra, known: extra | known, EXTRA, st.fixed_dictionaries({}, optional=parts))


CONFIG = holding(name=NAMES, optional=st.booleans(), items=st.lists(EXTRA, max_size=1))
SECRET = holding(secretName=NAMES, optional=st.booleans())
SOURCE = holding(configMap=CONFIG, secret=CONFIG, downwardAPI=EXTRA)
VOLUME = holding(configMap=CONFIG, secret=SECRET, projected=holding(sources=st.lists(SOURCE, max_size=2)))
VARIABLE = holding(value=NAMES, valueFrom=holding(configMapKeyRef=CONFIG, secretKeyRef=CONFIG, fieldRef=EXTRA))
CONTAINER = holding(
    image=NAMES,
    env=st.lists(VARIABLE, max_size=2),
    envFrom=st.lists(holding(configMapRef=CONFIG, secretRef=CONFIG), max_size=2),
)
KEYS = st.sampled_from(["app", "name", "tier"])
EXPRESSION = holding(key=KEYS, operator=st.just("In"), values=st.lists(NAMES, max_size=2))
SELECTOR = holding(matchLabels=st.dictionaries(KEYS, NAMES), matchExpressions=st.lists(EXPRESSION, max_size=2))
TERM = holding(labelSelector=SELECTOR, topologyKey=NAMES)
TERMS = st.lists(TERM, max_size=2)
PREFERRED = st.lists(holding(podAffinityTerm=TERM, weight=st.integers()), max_size=2)
AFFINITY = holding(
    preferredDuringSchedulingIgnoredDuringExecution=PREFERRED, requiredDuringSchedulingIgnoredDuringExecution=TERMS
)
POD_SPEC = holding(
    volumes=st.lists(VOLUME, max_size=2),
    containers=st.lists(CONTAINER, min_size=1, max_size=2),
    initContainers=st.lists(CONTAINER, max_size=1),
    affinity=holding(podAffinity=AFFINITY, podAntiAffinity=AFFINITY, nodeAffinity=EXTRA),
    topologySpreadConstraints=TERMS,
    nodeSelector=st.dictionaries(st.sampled_from(["disk", "flagger.app/scale-to-zero"]), st.just("true")),
)


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], Any]:
    """Every value that is no container, and every empty container, by its path."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {key: leaf for name, member in members for key, leaf in leaves(member, (*path, name)).items()}
    return found or {path: value}


def target(kind: str, pod_spec: Manifest) -> Manifest:
    """A workload as an API server would serve it."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "shop", "namespace": "test", "generation": 1, "annotations": {"a": "b"}},
        "spec": {
            **(
                {"replicas": 2, "strategy": {"type": "Recreate"}}
                if kind == "Deployment"
                else {"revisionHistoryLimit": 3}
            ),
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop", "tier": "web"}}, "spec": pod_spec},
        },
    }


def looked(workload: Workload, *there: Manifest) -> dict[Ref, Manifest | None]:
    """What is seen when these objects are there; configs are there whenever they are referred to."""

    def stocked(ref: Ref) -> Manifest | None:
        if ref.resource.kind not in ("ConfigMap", "Secret") or ref.name.endswith("-primary"):
            return None
        metadata = {"name": ref.name, "namespace": ref.namespace}
        return {"apiVersion": "v1", "kind": ref.resource.kind, "metadata": metadata, "data": {"a": "b"}}

    seen: dict[Ref, Manifest | None] = {vectors.ref(manifest): manifest for manifest in there}
    while new := set(workload.reads(CANARY, Settings(), seen)) - seen.keys():
        seen |= {ref: stocked(ref) for ref in new}
    return seen


@given(pod_spec=POD_SPEC)
def test_rewriting_a_pod_spec_changes_names_and_loses_nothing(pod_spec: Manifest) -> None:
    before = copy.deepcopy(pod_spec)
    copied = set(config_refs.references(pod_spec))
    rewritten = scheduling.for_primary(config_refs.with_copies(pod_spec, copied), SCENE, {"app": "shop-primary"})
    assert pod_spec == before
    was, became = leaves(pod_spec), leaves(rewritten)
    assert was.keys() == became.keys()
    for path, value in was.items():
        assert became[path] in (value, f"{value}-primary"), path


@given(pod_spec=POD_SPEC)
def test_a_primary_refers_to_copies_only(pod_spec: Manifest) -> None:
    """When all configs are tracked, none of the target's own is left in use."""
    renamed = config_refs.with_copies(pod_spec, set(config_refs.references(pod_spec)))
    found = config_refs.references(renamed)
    assert all(ref.name.endswith("-primary") for ref in found)
    assert len(found) == len(config_refs.references(pod_spec))


@given(pod_spec=POD_SPEC)
def test_what_is_not_copied_keeps_its_name(pod_spec: Manifest) -> None:
    assert config_refs.with_copies(pod_spec, ()) == pod_spec


@given(kind=st.sampled_from(sorted(KINDS)), pod_spec=POD_SPEC, replicas=st.integers(0, 9), other=EXTRA)
def test_only_the_pod_template_is_a_revision(kind: str, pod_spec: Manifest, replicas: int, other: Manifest) -> None:
    """Replicas, status, metadata and other fields of the spec may change as they like."""
    workload, one = KINDS[kind], target(kind, pod_spec)
    two = copy.deepcopy(one) | {"status": other}
    two["metadata"] |= {"generation": 7, "labels": {"a": "b"}, "annotations": {}, "resourceVersion": "8"}
    two["spec"] |= {"replicas": replicas, "paused": True, "minReadySeconds": 3, **other}
    facts = [workload.facts(CANARY, Settings(), looked(workload, workload_)) for workload_ in (one, two)]
    assert facts[0].revision == facts[1].revision
    two["spec"]["template"]["spec"]["hostname"] = "elsewhere"
    assert workload.facts(CANARY, Settings(), looked(workload, two)).revision != facts[0].revision


@given(kind=st.sampled_from(sorted(KINDS)), pod_spec=POD_SPEC)
def test_promoting_an_unchanged_target_changes_the_rollout_id_only(kind: str, pod_spec: Manifest) -> None:
    """From the creation over what an API server adds to the promotion: one leaf of one object differs."""
    workload, source = KINDS[kind], target(kind, pod_spec)
    created = list(workload.create(SCENE, looked(workload, source), "first"))
    there = [served(manifest) for manifest in created]
    *copies, promoted = workload.promote(SCENE, looked(workload, source, *there), "second")
    assert copies == []
    path = ("spec", "template", "metadata", "annotations", "flagger-id")
    assert leaves(promoted) == {**leaves(there[-1]), path: "second"}
    assert leaves(there[-1])[path] == "first"


@given(kind=st.sampled_from(sorted(KINDS)), pod_spec=POD_SPEC)
def test_a_primary_that_is_there_is_not_written(kind: str, pod_spec: Manifest) -> None:
    workload, source = KINDS[kind], target(kind, pod_spec)
    created = list(workload.create(SCENE, looked(workload, source), "first"))
    assert list(workload.create(SCENE, looked(workload, source, *created), "second")) == []


def served(manifest: Manifest) -> Manifest:
    """A written object as the API server gives it back."""
    found = copy.deepcopy(manifest)
    found["metadata"] |= {
        "uid": "77",
        "resourceVersion": "9",
        "generation": 1,
        "creationTimestamp": "2026-11-23T12:00:00Z",
    }
    if found["kind"] in KINDS:
        found["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/revision"] = "1"
        found["status"] = {"observedGeneration": 1}
    return found
