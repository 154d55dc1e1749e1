"""Everything one look sees of a Canary: its manifest, its providers, and the live objects that they named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import msgspec

from gradatim.api.canary import Canary, CanarySpec
from gradatim.core import names
from gradatim.core.settings import Settings
from gradatim.core.verdict import Traits
from gradatim.engine.repairs import Repairs
from gradatim.kube.cache import Cache
from gradatim.kube.errors import Forbidden, KubeError, NotFound
from gradatim.ports import objects
from gradatim.ports.errors import ProviderError
from gradatim.ports.mesh import Mesh
from gradatim.ports.objects import Manifest, Ref, Resource
from gradatim.ports.scaler import ScalerKind
from gradatim.ports.scene import Scene
from gradatim.ports.workload import Facts, WorkloadKind
from gradatim.providers import registry, services

_ROUNDS = 10
"""How often providers are asked what else they want to see; three is what any of them needs."""


class Providers(msgspec.Struct, frozen=True):
    """Who translates for one Canary. Raises UnknownProvider when made for a name that nobody registered."""

    mesh: Mesh
    kind: WorkloadKind
    scaler: ScalerKind | None

    @classmethod
    def of(cls, canary: Canary, settings: Settings) -> Providers:
        """The providers that a Canary names."""
        target, scaler = canary.spec.target_ref, canary.spec.autoscaler_ref
        return cls(
            registry.mesh(names.provider(canary, settings.mesh_provider)),
            registry.workload(target.kind, target.api_version),
            None if scaler is None else registry.scaler(scaler.kind),
        )

    @property
    def traits(self) -> Traits:
        """What they can do, as far as decisions depend on it."""
        return Traits(
            shifts_traffic=self.mesh.shifts_traffic,
            mirrors=self.mesh.mirrors,
            session_affinity=self.mesh.session_affinity,
            primary_cookie=self.mesh.primary_cookie,
            waits=self.kind.waits,
        )

    def resource(self, manifest: Manifest) -> Resource:
        """The resource of a manifest that one of them wants written."""
        scaler = self.scaler.writes if self.scaler is not None else ()
        known = (objects.SERVICE, *self.mesh.writes, *self.kind.writes, *scaler)
        wanted = (manifest.get("apiVersion"), manifest.get("kind"))
        return next(resource for resource in known if (resource.api_version, resource.kind) == wanted)


Basis: TypeAlias = tuple[int | bool | str, ...]
Subject: TypeAlias = tuple[str, CanarySpec, str, Mapping[str, str] | None]
"""UID and spec of a Canary, revision and configs of its target."""


class Learned(msgspec.Struct, frozen=True):
    """The facts about a target, and everything they depend on: generation and versions."""

    basis: Basis
    facts: Facts


class Site:
    """The objects around one Canary at one moment; `look` fetches what providers name, from the cache."""

    def __init__(self, key: Ref, canary: Canary, providers: Providers, settings: Settings, cache: Cache) -> None:
        self.key = key
        self.canary = canary
        self.providers = providers
        self.settings = settings
        self.seen: dict[Ref, Manifest | None] = {}
        self.unseen: dict[Resource, str] = {}
        """Kinds that could not be looked at, with the reason: not installed, or not allowed."""
        self.learned: Learned | None = None
        """What an earlier look has learned: most find the target unchanged, and hashing it again is a fifth of their
        work."""
        self.repairs = Repairs()
        """What was set right lately."""
        self._cache = cache
        self._versions: dict[Ref, str] = {}
        self._workload: tuple[Ref, ...] = ()
        self.facts: Facts | None = None
        self.trouble = ""
        """Why there are no facts."""
        self.fix = ""
        """What can be done about it, where that does not say so."""

    @property
    def scene(self) -> Scene:
        """What providers are told; without facts, the names alone."""
        facts = self.facts
        if facts is None:
            return Scene(self.canary, self.settings)
        return Scene(self.canary, self.settings, facts.label, facts.value, facts.ports)

    @property
    def subject(self) -> Subject:
        """What hooks and metrics are asked about; what they say about another one is no answer."""
        canary, facts = self.canary, self.facts
        return canary.uid, canary.spec, facts.revision if facts else "", facts.configs if facts else None

    async def look(self) -> None:
        """See everything that any provider wants to see: first the workload, which says how its pods are told apart."""
        await self._see_all(lambda: self.providers.kind.workload.reads(self.canary, self.settings, self.seen))
        self._workload = tuple(self.seen)
        self._learn()
        await self._see_all(self._around)

    def refresh(self) -> None:
        """See everything again as the cache has it now."""
        for ref in self.seen:
            if ref.resource not in self.unseen:
                self._fetch(ref)
        self._learn()

    def serves(self, ref: Ref | None) -> bool:
        """Whether a workload has an available pod; kinds that report none are taken to serve."""
        found: Manifest | None = None if ref is None else self.seen.get(ref)
        if found is None:
            return ref is None
        spec, status = found.get("spec") or {}, found.get("status") or {}
        if "replicas" not in spec and "numberAvailable" not in status and "selector" not in spec:
            return True
        return bool(status.get("availableReplicas") or status.get("numberAvailable"))

    async def _see_all(self, named: Callable[[], Iterable[Ref]]) -> None:
        """Ask what is wanted until nothing new is named, and see it."""
        for _ in range(_ROUNDS):
            fresh = [ref for ref in _named(named()) if ref not in self.seen]
            if not fresh:
                return
            for ref in dict.fromkeys(fresh):
                await self._see(ref)

    async def _see(self, ref: Ref) -> None:
        try:
            await self._cache.want(ref, self.key)
        except (NotFound, Forbidden) as error:
            self.unseen[ref.resource] = error.message
            self.seen[ref] = None
        else:
            self._fetch(ref)

    def _fetch(self, ref: Ref) -> None:
        """See an object, unless this is the version that was seen already."""
        version = self._cache.version(ref)
        if self._versions.get(ref) != version:
            self.seen[ref] = self._cache.get(ref)
            self._versions[ref] = version

    def _learn(self) -> None:
        canary = self.canary
        basis: Basis = (canary.generation, canary.deleted, *(self._versions.get(ref, "") for ref in self._workload))
        if self.learned is None or self.learned.basis != basis:
            self.learned = None
        try:
            if self.learned is None:
                facts = self.providers.kind.workload.facts(canary, self.settings, self.seen)
                self.learned = Learned(basis, facts)
            self.facts, self.trouble, self.fix = self.learned.facts, "", ""
        except (ProviderError, KubeError) as error:
            self.facts, self.trouble = None, error.message
            self.fix = error.fix if isinstance(error, ProviderError) else ""

    def _around(self) -> Iterable[Ref]:
        scene = self.scene
        if self.providers.kind.generates_services:
            yield from services.reads(scene)
        if self.providers.scaler is not None:
            yield from self.providers.scaler.scaler.reads(self.canary)
        yield from _named(self.providers.mesh.router.reads(scene, self.seen))


def _named(refs: Iterable[Ref]) -> Iterable[Ref]:
    """What a provider names before it stumbles over an object that is not as it must be; it will say so later."""
    iterator = iter(refs)
    while True:
        try:
            yield next(iterator)
        except (StopIteration, ProviderError):
            return
