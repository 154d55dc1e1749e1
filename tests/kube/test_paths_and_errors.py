"""Where things are, and what an answer means, without any server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradatim.kube import errors
from gradatim.kube.paths import collection_path, object_path
from gradatim.ports.objects import CANARY, CONFIG_MAP, DEPLOYMENT, SERVICE, Ref, Resource

from .world import canary, deployment

PODINFO = deployment("podinfo")


def test_paths_of_the_core_group_of_other_groups_and_of_kinds_without_namespaces() -> None:
    crd = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False)
    assert object_path(Ref(SERVICE, "test", "podinfo")) == "/api/v1/namespaces/test/services/podinfo"
    assert object_path(canary("podinfo"), "status").endswith(
        "/flagger.app/v1beta1/namespaces/test/canaries/podinfo/status"
    )
    assert object_path(Ref(crd, "", "canaries.flagger.app")).endswith(
        "/v1/customresourcedefinitions/canaries.flagger.app"
    )
    assert collection_path(DEPLOYMENT) == "/apis/apps/v1/deployments"
    assert collection_path(CONFIG_MAP, "a/../b") == "/api/v1/namespaces/a%2F..%2Fb/configmaps"


@given(body=st.binary(max_size=60) | st.sampled_from([b'{"kind":"Status","code":"x"}', b'{"kind":"Status"}']))
def test_no_body_whatever_breaks_the_making_of_an_error(body: bytes) -> None:
    error = errors.from_reply("get", PODINFO, 500, {}, body)
    assert isinstance(error, errors.Unavailable)


def test_a_retry_time_comes_from_the_header_or_from_the_status() -> None:
    body = b'{"kind": "Status", "details": {"retryAfterSeconds": 9}}'
    for headers, expected in (({"retry-after": "4"}, 4.0), ({}, 9.0), ({"retry-after": "Tue"}, 9.0)):
        error = errors.from_reply("get", PODINFO, 429, headers, body)
        assert isinstance(error, errors.Unavailable)
        assert (error.retry_after, error.unsent) == (expected, True)


@pytest.mark.parametrize("null", [b"null", b'{"name": null}'])
def test_what_go_writes_as_null_is_nothing(null: bytes) -> None:
    body = b'{"kind": "Status", "message": null, "reason": null, "code": null, "details": ' + null + b"}"
    error = errors.from_reply("get", PODINFO, 404, {}, body)
    assert isinstance(error, errors.NotFound)
    assert not error.served


def test_a_kind_the_cluster_does_not_know_is_named_with_the_way_out() -> None:
    """For an unknown group the API server answers plain text."""
    error = errors.from_reply("list", CANARY, 404, {}, b"404 page not found\n")
    assert error.message == (
        "the cluster does not serve canaries.flagger.app (flagger.app/v1beta1 Canary): "
        "install its CustomResourceDefinition or correct the apiVersion"
    )
