"""Every mesh does what its vector file says."""

from __future__ import annotations

import pytest
from mesh_vectors import Case, File, files, play

from gradatim.providers import registry

_PLAYS = [
    pytest.param(provider, file, case, id=f"{provider}: {case.name}")
    for file in files().values()
    for case in file.cases
    for provider in (case.providers or file.providers)
]


@pytest.mark.parametrize(("provider", "file", "case"), _PLAYS)
def test_a_mesh_does_what_its_vectors_say(provider: str, file: File, case: Case) -> None:
    """The case's own sentence says what."""
    play(provider, file, case)


def test_every_mesh_has_vectors() -> None:
    """A mesh without a vector file would be untested."""
    told = {provider for file in files().values() for provider in file.providers}
    assert {mesh.name for mesh in registry.meshes()} <= told


def test_every_case_says_something() -> None:
    """A case without a step or an expected problem could not fail."""
    for name, file in files().items():
        for case in file.cases:
            assert case.steps or case.problems is not None, f"{name}: {case.name}"
