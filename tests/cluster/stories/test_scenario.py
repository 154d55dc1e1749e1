"""The scenario that started the product ends as its document shows, with its manifests as they stand.

Numbers are those of the document's points. Where it was written with an older Flagger than the one that we replace,
the newer one's recordings go first; both places say so.
"""

from __future__ import annotations

import os
import re

import pytest

from cluster.fixtures import not_run
from cluster.stories.stage import Played
from cluster.stories.walkthrough import HERE, IMAGE, MANIFESTS, Walk

SHOWN = """\
NAME                       STATUS        WEIGHT   LASTTRANSITIONTIME
canary.flagger.app/hello   Initialized   0        2022-02-24T23:30:07Z
"""
"""As the document prints it (3)."""

TOLD = (
    # The document has this one after the next: there it is told again at every tick, here once, at the beginning.
    "Normal all the metrics providers are available!",
    "Warning hello-v1-primary.test not ready: waiting for rollout to finish: …",
    "Normal Initialization done! hello.test",
    "Normal New revision detected! Scaling up hello-v1.test",
    "Normal New revision detected! Restarting analysis for hello-v1.test",
    "Normal Starting canary analysis for hello-v1.test",
    "Normal Advance hello.test canary iteration 1/3",
    "Normal Advance hello.test canary iteration 2/3",
    "Normal Advance hello.test canary iteration 3/3",
    "Normal Routing all traffic to canary",
    "Normal Copying hello-v1.test template spec to hello-v1-primary.test",
    "Normal Routing all traffic to primary",
    "Normal Promotion completed! Scaling down hello-v1.test",
)
"""As the document lists them (6), promotion included."""

ROLLED_BACK = (
    "Warning Halt hello.test advancement error-rate 7.25 > 0",
    "Warning Rolling back hello.test failed checks threshold reached 2",
    "Warning Canary failed! Scaling down hello.test",
)


@pytest.fixture
def walk(played: Played) -> Walk:
    """What kubectl printed."""
    assert not played.walked.failure, played.walked.failure
    return played.walked


def timeless(text: str) -> str:
    """The same with every moment replaced."""
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)


def rows(printed: str) -> dict[str, list[str]]:
    """A table of kubectl by its first column."""
    return {line.split()[0]: line.split()[1:] for line in printed.splitlines()[1:]}


def events(printed: str) -> list[str]:
    """Types and messages of what was told; a rollout's warnings after the first are a matter of moments."""
    told: list[str] = []
    for line in printed.splitlines()[1:]:
        kind, reason, source, message = line.split(maxsplit=3)
        assert (reason, source) == ("Synced", "flagger")
        text = re.sub(r"(waiting for rollout to finish: ).*", r"\1…", f"{kind} {message.rstrip()}")
        if "rollout" not in text or (text not in told and "canary deployment" not in text):
            told.append(text)
    return told


def test_the_manifests_are_those_of_the_document() -> None:
    shared = os.environ.get("GRADATIM_SHARED") or HERE.parent / "shared"
    document = HERE.parent / shared / "scenario"
    if not document.is_dir():
        not_run(f"the document's manifests are not at {document}; GRADATIM_SHARED says where they are")
    for name in ("app.yaml", "canary.yaml"):
        assert (MANIFESTS / name).read_bytes() == (document / name).read_bytes()


def test_the_manifests_are_taken_as_they_stand(walk: Walk) -> None:
    """(2)"""
    assert walk.printed["app"].splitlines() == [
        "deployment.apps/hello-v1 created",
        "service/hello-v1 created",
        "ingress.networking.k8s.io/prod-ingress created",
    ]
    assert walk.printed["canary"].splitlines() == [
        "metrictemplate.flagger.app/error-rate created",
        "canary.flagger.app/hello created",
    ]


def test_the_canary_is_shown_as_in_the_document(walk: Walk) -> None:
    """(3)"""
    assert timeless(walk.printed["initialized"]) == timeless(SHOWN)


def test_the_primary_has_the_pods_and_the_target_none(walk: Walk) -> None:
    """(3)"""
    deployments = rows(walk.printed["deployments"])
    assert {name: one[0] for name, one in deployments.items()} == {"hello-v1": "0/0", "hello-v1-primary": "3/3"}
    services = rows(walk.printed["services"])
    assert sorted(services) == ["hello-v1", "hello-v1-canary", "hello-v1-primary"]
    assert {one[3] for one in services.values()} == {"5000/TCP"}


def test_the_canary_ingress_is_a_copy_that_belongs_to_the_canary(walk: Walk) -> None:
    """(4)"""
    original, made, canary = (walk.objects[name] for name in ("original", "ingress", "canary"))
    applied = "kubectl.kubernetes.io/last-applied-configuration"
    copied = {key: value for key, value in original["metadata"]["annotations"].items() if key != applied}
    assert copied == {"kubernetes.io/ingress.class": "nginx"}
    added = {
        "nginx.ingress.kubernetes.io/canary": "true",
        "nginx.ingress.kubernetes.io/canary-weight": "0",
        "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    }
    assert copied.items() | added.items() <= made["metadata"]["annotations"].items()
    assert made["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "name": "hello",
            "uid": canary["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    (rule,), (before,) = made["spec"]["rules"], original["spec"]["rules"]
    (path,), (path_before,) = rule["http"]["paths"], before["http"]["paths"]
    assert (rule["host"], path["path"], path["pathType"]) == (before["host"], "/", path_before["pathType"])
    assert rule["host"] == "test.prod.10.60.200.121.sslip.io"
    assert path["backend"]["service"] == {"name": "hello-v1-canary", "port": {"number": 5000}}


def test_setting_the_image_starts_the_release(walk: Walk) -> None:
    """(5) The document shows one pod of the target; Flagger 1.44 gives it as many as the primary has, as recorded."""
    assert walk.printed["set"] == "deployment.apps/hello-v1 image updated\n"
    assert rows(walk.printed["progressing"])["canary.flagger.app/hello"][:2] == ["Progressing", "0"]
    deployments = rows(walk.printed["analysed"])
    assert {name: one[0] for name, one in deployments.items()} == {"hello-v1": "3/3", "hello-v1-primary": "3/3"}


def test_the_events_come_in_the_documents_order(walk: Walk) -> None:
    """(6)"""
    assert events(walk.printed["events"]) == list(TOLD)


def test_kubectl_describe_tells_them_with_reason_and_source(walk: Walk) -> None:
    """(6) It sorts by whole seconds, so that events of one second may change places there."""
    described = walk.printed["described"].partition("\nEvents:\n")[2].splitlines()
    assert described[0].split() == ["Type", "Reason", "Age", "From", "Message"]
    told = []
    for line in described[2:]:
        found = re.fullmatch(r"  (Normal|Warning) +Synced +\S+( \(x\d+ over \S+\))? +flagger +(.*)", line)
        assert found is not None, line
        told.append(f"{found[1]} {found[3]}")
    far_apart = [
        text for text in TOLD if "…" not in text and not text.endswith(("available!", "Routing all traffic to primary"))
    ]
    far_apart.remove("Normal Starting canary analysis for hello-v1.test")
    assert [text for text in told if text in far_apart] == far_apart


def test_the_release_ends_with_the_promotion(walk: Walk) -> None:
    """(6)"""
    assert rows(walk.printed["succeeded"])["canary.flagger.app/hello"][:2] == ["Succeeded", "0"]
    (container,) = walk.objects["promoted"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{IMAGE}:v2"


def test_a_release_with_errors_is_rolled_back(walk: Walk) -> None:
    """(7)"""
    assert rows(walk.printed["failed"])["canary.flagger.app/hello"][:2] == ["Failed", "0"]
    told = events(walk.printed["later events"])
    assert told[-3:] == list(ROLLED_BACK)
    (kept,) = walk.objects["kept"]["spec"]["template"]["spec"]["containers"]
    assert kept["image"] == f"{IMAGE}:v2"
    assert walk.objects["stopped"]["spec"]["replicas"] == 0


def test_with_a_step_weight_the_same_canary_shifts_by_percentages(walk: Walk) -> None:
    """(7) As `kubectl get canaries --watch` shows it."""
    begun = walk.watched.index("Progressing 0")
    assert walk.watched[begun:] == [
        "Progressing 0",
        "Progressing 25",
        "Progressing 50",
        "Progressing 75",
        "Promoting 75",
        "Finalising 0",
        "Succeeded 0",
    ]


def test_prometheus_is_asked_at_the_address_of_the_template(walk: Walk) -> None:
    """A ratio without errors has no value; then the operator asks for all requests and for errors, and goes on."""
    assert walk.servers == {"flagger-prometheus.ingress-nginx:9090"}
    everything = 'sum(rate(nginx_ingress_controller_requests{namespace="test",service="hello-v1"}[5s]))'
    errors = everything.replace("{", '{status=~"5.*|4.*",')
    folded = {" ".join(query.split()) for query in walk.queries}
    assert folded == {f"{errors} / {everything} * 100", everything, errors}
