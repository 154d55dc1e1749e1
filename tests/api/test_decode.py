"""Manifests become our types whatever programs write into them, and what is really wrong is named by its path."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradatim.api.canary import ObjectRef, ThresholdRange
from gradatim.api.decode import decode_alert_provider, decode_canary, decode_metric_template, decode_status
from gradatim.api.errors import InvalidField
from gradatim.api.status import CanaryStatus, Phase

CANARY: dict[str, Any] = {
    "metadata": {"name": "shop", "namespace": "test", "uid": "u", "generation": 3, "annotations": {"a": "b"}},
    "spec": {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
        "service": {"port": 80},
        "analysis": {
            "interval": "1m",
            "threshold": 5,
            "stepWeight": 10,
            "metrics": [{"name": "errors", "thresholdRange": {"max": 1}, "templateRef": {"name": "errors"}}],
            "webhooks": [{"name": "load", "url": "http://x", "disableTLS": True, "metadata": {"a": "b"}}],
        },
    },
    "status": {
        "phase": "Progressing",
        "failedChecks": 1,
        "conditions": [{"type": "Promoted", "status": "Unknown", "reason": "x"}],
    },
}
TEMPLATE: dict[str, Any] = {
    "metadata": {"name": "e", "namespace": "n"},
    "spec": {"provider": {"type": "prometheus"}, "query": "up"},
}
PROVIDER: dict[str, Any] = {
    "metadata": {"name": "c", "namespace": "n"},
    "spec": {"type": "slack", "address": "http://x"},
}


def but(manifest: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """A copy with one place changed; numbers in the path are positions in lists."""
    changed = copy.deepcopy(manifest)
    *parents, last = place.split(".")
    target: Any = changed
    for parent in parents:
        target = target[int(parent) if parent.isdecimal() else parent]
    target[int(last) if last.isdecimal() else last] = value
    return changed


def test_a_canary_is_read() -> None:
    canary = decode_canary(CANARY)
    assert (canary.name, canary.namespace, canary.uid, canary.generation) == ("shop", "test", "u", 3)
    assert canary.annotations == {"a": "b"}
    assert not canary.deleted
    assert canary.spec.target_ref == ObjectRef("shop", "apps/v1", "Deployment")
    assert canary.spec.analysis.metrics[0].threshold_range == ThresholdRange(max=1)
    assert canary.spec.analysis.webhooks[0].disable_tls
    assert canary.status.phase is Phase.PROGRESSING
    assert canary.apex == "shop"


def test_a_deleted_canary_says_so() -> None:
    manifest = but(CANARY, "metadata.deletionTimestamp", "2026-11-23T12:00:00Z")
    assert decode_canary(but(manifest, "metadata.finalizers", ["a"])).deleted


def test_templates_and_providers_are_read() -> None:
    template = decode_metric_template(but(TEMPLATE, "spec.provider.headers", {"X-A": ["1", "2"]}))
    assert (template.name, template.namespace, template.spec.query) == ("e", "n", "up")
    assert template.spec.provider.headers == {"X-A": ("1", "2")}
    provider = decode_alert_provider(but(PROVIDER, "spec.secretRef", {"name": "s"}))
    assert (provider.name, provider.spec.address, provider.spec.secret_ref) == ("c", "http://x", ObjectRef("s"))


@pytest.mark.parametrize(
    "place",
    [
        "metadata.annotations",
        "metadata.finalizers",
        "metadata.deletionTimestamp",
        "metadata.uid",
        "metadata.generation",
        "spec.service",
        "spec.service.name",
        "spec.analysis.metrics",
        "spec.analysis.metrics.0.thresholdRange",
        "spec.analysis.metrics.0.thresholdRange.max",
        "spec.analysis.webhooks.0",
        "spec.analysis.webhooks.0.metadata",
        "spec.analysis.sessionAffinity",
        "spec.autoscalerRef",
        "spec.progressDeadlineSeconds",
        "status",
        "status.conditions",
        "status.trackedConfigs",
    ],
)
def test_null_means_that_there_is_nothing(place: str) -> None:
    """Go programs write it for empty lists and missing objects."""
    assert decode_canary(but(CANARY, place, None)).name == "shop"


def test_numbers_without_a_fraction_are_whole() -> None:
    """The schema's type is `number`; JSON does not tell 10 from 10.0."""
    canary = decode_canary(but(but(CANARY, "spec.analysis.stepWeight", 10.0), "spec.analysis.stepWeights", [1.0, 2]))
    assert (canary.spec.analysis.step_weight, canary.spec.analysis.step_weights) == (10, (1, 2))
    assert isinstance(canary.spec.analysis.step_weight, int)


def test_whole_numbers_do_where_fractions_may_be() -> None:
    metric = decode_canary(but(CANARY, "spec.analysis.metrics.0.threshold", 1)).spec.analysis.metrics[0]
    assert metric.threshold == 1.0


@pytest.mark.parametrize("value", [8080, "http", None])
def test_a_port_has_a_number_or_a_name(value: object) -> None:
    assert decode_canary(but(CANARY, "spec.service.targetPort", value)).spec.service.target_port == value


@pytest.mark.parametrize(
    "place", ["more", "spec.more", "spec.analysis.more", "spec.analysis.metrics.0.more", "status.more"]
)
def test_fields_of_a_newer_server_are_passed_over(place: str) -> None:
    assert decode_canary(but(CANARY, place, {"a": [1]})) == decode_canary(CANARY)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("spec", "nonsense", "spec: must be a mapping, not a text"),
        ("spec", {}, "spec.targetRef: is required; add it"),
        ("spec.targetRef", {}, "spec.targetRef.name: is required; add it"),
        ("spec.analysis", None, "spec.analysis: is required; add it"),
        ("spec.analysis", [], "spec.analysis: must be a mapping, not a list"),
        (
            "spec.analysis.threshold",
            1.5,
            "spec.analysis.threshold: must be a whole number, not a number with a fraction",
        ),
        ("spec.analysis.threshold", "5", "spec.analysis.threshold: must be a whole number, not a text"),
        ("spec.analysis.interval", 60, "spec.analysis.interval: must be a text, not a whole number"),
        ("spec.analysis.mirror", "yes", "spec.analysis.mirror: must be true or false, not a text"),
        ("spec.analysis.stepWeights", [1, "two"], "spec.analysis.stepWeights[1]: must be a whole number, not a text"),
        ("spec.analysis.metrics", {"a": 1}, "spec.analysis.metrics: must be a list, not a mapping"),
        ("spec.analysis.metrics", [{}], "spec.analysis.metrics[0].name: is required; add it"),
        (
            "spec.analysis.metrics.0.thresholdRange.max",
            "1",
            "spec.analysis.metrics[0].thresholdRange.max: must be a number, not a text",
        ),
        (
            "spec.analysis.webhooks.0.metadata.a",
            1,
            "spec.analysis.webhooks[0].metadata: each of its values must be a text, not a whole number",
        ),
        (
            "spec.analysis.webhooks.0.metadata",
            {1: "a"},
            "spec.analysis.webhooks[0].metadata: each of its keys must be a text, not a whole number",
        ),
        (
            "spec.analysis.webhooks.0.disableTLS",
            1,
            "spec.analysis.webhooks[0].disableTLS: must be true or false, not a whole number",
        ),
        (
            "spec.service.targetPort",
            True,
            "spec.service.targetPort: must be a whole number or a text, not true or false",
        ),
        ("spec.service.port", 2.5, "spec.service.port: must be a whole number, not a number with a fraction"),
        ("spec.autoscalerRef", {"name": "a"}, "spec.autoscalerRef.kind: is required; add it"),
        ("metadata", [1], "metadata: must be a mapping, not a list"),
        ("metadata.name", 1, "metadata.name: must be a text, not a whole number"),
        ("metadata.generation", "1", "metadata.generation: must be a whole number, not a text"),
        (
            "metadata.annotations",
            {"a": 1},
            "metadata.annotations: each of its values must be a text, not a whole number",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_path_with_what_belongs_there(place: str, value: object, message: str) -> None:
    with pytest.raises(InvalidField) as caught:
        decode_canary(but(CANARY, place, value))
    assert caught.value.message == message
    assert caught.value.path == message.partition(":")[0]


@pytest.mark.parametrize(
    ("decode", "manifest", "message"),
    [
        (decode_metric_template, {}, "spec.provider: is required; add it"),
        (decode_metric_template, but(TEMPLATE, "spec.provider", {}), "spec.provider.type: is required; add it"),
        (
            decode_metric_template,
            but(TEMPLATE, "spec.provider.headers", {"X": "1"}),
            "spec.provider.headers: each of its values must be a list, not a text",
        ),
        (decode_alert_provider, {}, "spec.type: is required; add it"),
        (decode_alert_provider, but(PROVIDER, "spec.channel", 5), "spec.channel: must be a text, not a whole number"),
    ],
)
def test_templates_and_providers_name_it_too(
    decode: Callable[[dict[str, Any]], object], manifest: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        decode(manifest)
    assert caught.value.message == message


@pytest.mark.parametrize("status", ["nonsense", {"phase": "Dancing"}, {"failedChecks": "many"}, {"conditions": [{}]}])
def test_a_status_nobody_can_read_was_never_written(status: object) -> None:
    assert decode_status(but(CANARY, "status", status)) == CanaryStatus()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def places(value: object, prefix: str = "") -> list[str]:
    """Every place in a manifest."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in items for place in (f"{prefix}{key}", *places(inner, f"{prefix}{key}."))]


@pytest.mark.parametrize(
    ("decode", "manifest"),
    [(decode_canary, CANARY), (decode_metric_template, TEMPLATE), (decode_alert_provider, PROVIDER)],
)
@given(data=st.data())
def test_nonsense_anywhere_is_refused_by_path_and_never_crashes(
    decode: Callable[[dict[str, Any]], object], manifest: dict[str, Any], data: st.DataObject
) -> None:
    place = data.draw(st.sampled_from(places(manifest)))
    changed = but(manifest, place, data.draw(JSON))
    try:
        decode(changed)
        path = "spec"
    except InvalidField as error:
        path = error.path
    assert path.split(".")[0] in ("spec", "metadata")
    assert "`" not in path


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status", "kind"]), JSON))
def test_any_manifest_is_read_or_refused(manifest: dict[str, Any]) -> None:
    for decode in (decode_canary, decode_metric_template, decode_alert_provider):
        with pytest.raises(InvalidField, match=r"^(spec|metadata)"):
            decode(manifest)
