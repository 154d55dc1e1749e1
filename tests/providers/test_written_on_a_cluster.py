"""Whatever a mesh, a scaler or Knative's workload writes in any of its vectors is taken by its owner's own schema.

The real server judges each object in a dry run, and refuses those with a field that the schema does not know. Workloads
of built-in kinds are in `test_workloads_on_a_cluster`.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import mesh_vectors
import pytest
import test_scalers
import test_workloads
import vector_objects as vectors

from cluster.client import Client, path
from gradatim.ports.errors import ProviderError
from gradatim.ports.objects import Manifest
from gradatim.providers import registry

SYSTEMS = {
    "gateway.networking.k8s.io": "gatewayapi",
    "keda.sh": "keda",
    "serving.knative.dev": "knative",
    "traefik.io": "traefik",
}
"""Whose definitions a group of objects needs; built-in groups need none."""

EXCUSED: dict[str, tuple[str, ...]] = {
    # Written by others who have the experimental channel, which travels along.
    "gatewayapi:v1": (r"unknown field \"spec\.rules\[\d\]\.retry\"", r"unknown field \"spec\.useDefaultGateways\""),
    "gatewayapi:v1beta1": (
        r"unknown field \"spec\.rules\[\d\]\.retry\"",
        r"unknown field \"spec\.useDefaultGateways\"",
    ),
    # A field that nobody knows yet, which travels along.
    "hpa": (r"unknown field \"spec\.ofTomorrow\"",),
    # KEDA's own finalizer, and a trigger with nothing in it, which is left alone.
    "keda": (
        r"finalizer\.keda\.sh.*: prefer a domain-qualified finalizer name",
        r"spec\.triggers\[1\]\.metadata: Required",
    ),
}
"""What is wrong with objects that vectors invent for others, and no fault of ours."""

_SERVER_MADE = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


def of_mesh(name: str) -> Iterator[Manifest]:
    """Every object that a mesh writes."""
    file = mesh_vectors.file_of(name)
    for case in file.cases:
        if name in (case.providers or file.providers):
            yield from mesh_vectors.play(name, file, case)


def of_scaler(stem: str) -> Iterator[Manifest]:
    """Every object that a kind of scaler writes."""
    for case in test_scalers.FILES[stem].cases:
        stage = test_scalers.Stage(stem, case)
        for update in (False, True):
            with suppress(ProviderError):
                yield from stage.scaler.ensure(stage.scene, stage.seen, update=update)


def of_workload(stem: str) -> Iterator[Manifest]:
    """Every object that a kind of workload writes."""
    for case in test_workloads.FILES[stem].cases:
        stage = test_workloads.staged(stem, case)
        for write in (stage.workload.create, stage.workload.promote):
            with suppress(ProviderError):
                yield from write(stage.scene, stage.seen, vectors.TOKEN)


WRITERS: dict[str, Callable[[], Iterable[Manifest]]] = {
    **{mesh.name: lambda name=mesh.name: of_mesh(name) for mesh in registry.meshes()},  # type: ignore[misc]
    **{stem: lambda stem=stem: of_scaler(stem) for stem in test_scalers.KINDS},  # type: ignore[misc]
    "knative": lambda: of_workload("knative"),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.asyncio
async def test_every_object_is_taken(crds: Callable[..., None], admin: Client, namespace: str, writer: str) -> None:
    """One at a time, as if it were new."""
    written = {json.dumps(_fresh(one, namespace), sort_keys=True) for one in WRITERS[writer]()}
    objects = [json.loads(one) for one in sorted(written)]
    groups = {one["apiVersion"].partition("/")[0] for one in objects}
    crds(*sorted(SYSTEMS[group] for group in groups & SYSTEMS.keys()))
    refused = [word for one in objects if (word := await _refusal(admin, namespace, one))]
    excuses = EXCUSED.get(writer, ())
    unexcused = [word for word in refused if not any(re.search(excuse, word) for excuse in excuses)]
    assert objects or writer == "kubernetes"
    assert [excuse for excuse in excuses if not any(re.search(excuse, word) for word in refused)] == []
    if unexcused:
        pytest.fail("\n".join(unexcused), pytrace=False)


async def _refusal(admin: Client, namespace: str, manifest: Manifest) -> str:
    resource = await admin.kind(manifest["apiVersion"], manifest["kind"])
    params = {"dryRun": "All", "fieldValidation": "Strict"}
    answer = await admin.ask("POST", path(resource, namespace), manifest, params=params)
    if not answer.ok:
        return f"{answer.message}: {json.dumps(manifest)}"
    return answer.headers.get("Warning", "")


def _fresh(manifest: Manifest, namespace: str) -> Manifest:
    made = copy.deepcopy(manifest)
    made["metadata"] = {key: value for key, value in made["metadata"].items() if key not in _SERVER_MADE}
    made["metadata"]["namespace"] = namespace
    return made
