"""What a Canary says: its spec, who translates for it, and what is wrong with it.

All of that follows from the spec alone, so it is found out once for each generation; the status is read every time.
"""

from __future__ import annotations

import msgspec

from gradatim.api.canary import Analysis, Canary, CanarySpec, ObjectRef
from gradatim.api.decode import decode_canary, decode_status
from gradatim.api.errors import InvalidField, SpecError
from gradatim.core import validation
from gradatim.core.problems import Problem
from gradatim.core.settings import Settings
from gradatim.engine.site import Providers
from gradatim.ports.objects import Manifest, Ref


class Reading(msgspec.Struct, frozen=True):
    """A Canary, its providers, and what is wrong with it; without providers there is nothing to look at."""

    canary: Canary
    providers: Providers | None
    problems: tuple[Problem, ...]


class Reader:
    """Reads Canaries, whatever is wrong with their specs, and remembers the last reading of each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last: dict[Ref, Reading] = {}

    def last(self, key: Ref) -> Canary | None:
        """A Canary as it was read last."""
        reading = self._last.get(key)
        return None if reading is None else reading.canary

    def forget(self, key: Ref) -> None:
        """A Canary is gone."""
        self._last.pop(key, None)

    def read(self, key: Ref, manifest: Manifest) -> Reading:
        """Read a Canary."""
        reading = self._last[key] = self._read(manifest, self._last.get(key))
        return reading

    def _read(self, manifest: Manifest, before: Reading | None) -> Reading:
        usable = before if before is not None and before.providers is not None else None
        try:
            canary = decode_canary(manifest, usable.canary if usable is not None else None)
        except InvalidField as error:
            return Reading(_unreadable(manifest), None, (_problem(error),))
        if usable is not None and canary.spec is usable.canary.spec:
            return Reading(canary, usable.providers, usable.problems)
        try:
            providers = Providers.of(canary, self._settings)
        except SpecError as error:
            return Reading(canary, None, (_problem(error),))
        return Reading(canary, providers, self._problems(canary, providers))

    def _problems(self, canary: Canary, providers: Providers) -> tuple[Problem, ...]:
        return (
            *validation.problems(
                canary,
                self._settings,
                providers.traits,
                generates_services=providers.kind.generates_services,
            ),
            *providers.kind.workload.check(canary, self._settings),
            *providers.mesh.router.check(canary, self._settings),
        )


def _problem(error: SpecError) -> Problem:
    return Problem(error.path, error.message.removeprefix(f"{error.path}: "))


def _unreadable(manifest: Manifest) -> Canary:
    """A Canary whose spec cannot be decoded: its identity and its status are enough to tell its user so."""
    empty = CanarySpec(target_ref=ObjectRef(name=""), analysis=Analysis())
    metadata = manifest.get("metadata") or {}
    return Canary(
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", ""),
        uid=metadata.get("uid", ""),
        generation=metadata.get("generation", 0),
        deleted=bool(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
        spec=empty,
        status=decode_status(manifest),
    )
