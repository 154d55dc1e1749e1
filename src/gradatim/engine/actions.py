"""Carrying out a plan's actions, in order, each safe to repeat."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gradatim.api.canary import FINALIZER
from gradatim.core.readiness import Waiting
from gradatim.core.revision import is_ours
from gradatim.core.verdict import (
    Action,
    AddFinalizer,
    Ensure,
    Introduce,
    Part,
    Plan,
    Promote,
    RemoveFinalizer,
    ResumeScaler,
    RevertApex,
    RevertRoutes,
    RevertTarget,
    Settle,
    Shift,
    StartCanary,
    StopCanary,
)
from gradatim.core.weights import Routes
from gradatim.engine import forms, refusals
from gradatim.engine.differences import fields_of
from gradatim.engine.refusals import Step
from gradatim.engine.site import Site
from gradatim.engine.waiting import Sleep
from gradatim.engine.writing import Writer
from gradatim.kube.errors import Conflict, NotFound
from gradatim.ports.errors import ProviderError
from gradatim.ports.objects import Manifest, Ref
from gradatim.ports.workload import Patch
from gradatim.providers import services

ARRIVAL = 0.4
"""Share of the settle time that proxies get to learn of new pods: nothing has to end for that."""
PATIENCE = 10.0
"""Seconds that `Settle` waits for objects that say that a proxy has not followed yet; then it goes on."""


class Hands:
    """Carries out actions on the objects of one Canary."""

    def __init__(self, writer: Writer, sleep: Sleep) -> None:
        self._writer = writer
        self._sleep = sleep

    async def perform(self, site: Site, plan: Plan, action: Action) -> None:
        """Carry out one action; the site sees the outcome."""
        match action:
            case Ensure(part, update):
                if part is Part.PRIMARY and not site.canary.status.last_promoted_spec:
                    await self._keep(site)  # first: once there is a primary nothing calls for this any more
                for ref, patch in await self._write(site, part, forms.wanted(site, part, update=update)):
                    site.repairs.note(ref, fields_of(patch))
            case Shift(to):
                await self._shift(site, plan, to)
            case Introduce(canary):
                await self._introduce(site, canary=canary)
            case Settle():
                await self._settle(site)
            case Promote(revision):
                await self._promote(site, revision)
            case StartCanary():
                await self._start(site)
            case StopCanary():
                await self._stop(site)
            case ResumeScaler():
                await self._patch(site, ResumeScaler, self._resumed(site))
            case RevertTarget():
                await self._revert(site)
            case RevertApex():
                if site.providers.kind.generates_services:
                    await self._write(site, RevertApex, services.restore_apex(site.scene, site.seen))
            case RevertRoutes():
                await self._write(site, RevertRoutes, site.providers.mesh.router.restore(site.scene, site.seen))
            case AddFinalizer():
                await self._finalizer(site, present=True)
            case RemoveFinalizer():
                await self._finalizer(site, present=False)
            case _:
                raise TypeError(f"nobody carries out {action!r}")
        site.refresh()

    async def _shift(self, site: Site, plan: Plan, to: Routes) -> None:
        """Session cookies are those that the plan records."""
        scene = site.scene
        if plan.status is not None:
            scene = msgspec.structs.replace(scene, canary=msgspec.structs.replace(scene.canary, status=plan.status))
        await self._write(site, Shift, site.providers.mesh.router.shift(scene, site.seen, to))

    async def _introduce(self, site: Site, *, canary: bool) -> None:
        """A Deployment that was scaled to zero a moment ago may have told of pods that were on their way out."""
        await self._sleep(site.settings.settle * ARRIVAL)
        site.refresh()
        if canary and not site.serves(site.providers.kind.workload.target(site.canary)):
            raise Conflict("the pods that were to be introduced are gone", status=409, about=site.key)

    async def _settle(self, site: Site) -> None:
        """The settle time always; longer while a route object says that it has not been taken over."""
        await self._sleep(site.settings.settle)
        waited = 0.0
        while waited < PATIENCE:
            site.refresh()
            try:
                state = site.providers.mesh.router.settled(site.scene, site.seen)
            except ProviderError:
                return
            if not isinstance(state, Waiting):
                return
            await self._sleep(0.5)
            waited += 0.5

    async def _promote(self, site: Site, revision: str) -> None:
        if site.facts is None or site.facts.revision != revision:
            raise Conflict("the target has changed since it was analysed", status=409, about=site.key)
        await self._write(site, Promote, site.providers.kind.workload.promote(site.scene, site.seen, forms.token(site)))
        await self._keep(site)

    async def _keep(self, site: Site) -> None:
        """Keep the revision that the primary was made from now, and no longer the one before."""
        workload, status = site.providers.kind.workload, site.canary.status
        manifest = workload.keeping(site.canary, site.seen)
        if manifest is None or site.facts is None:
            return
        now, before = site.facts.revision, status.last_promoted_spec or status.last_applied_spec
        if (ref := workload.kept(site.canary, now)) is not None:
            await self._writer.keep(ref, manifest)
        if before != now and is_ours(before) and (old := workload.kept(site.canary, before)) is not None:
            await self._writer.forget(old)

    async def _start(self, site: Site) -> None:
        await self._patch(site, StartCanary, self._resumed(site))
        least = self._least(site)
        await self._patch(site, StartCanary, site.providers.kind.workload.start(site.scene, site.seen, least))

    async def _stop(self, site: Site) -> None:
        scaler = site.providers.scaler
        if scaler is not None:
            await self._patch(site, StopCanary, scaler.scaler.pause(site.scene, site.seen))
        await self._patch(site, StopCanary, site.providers.kind.workload.stop(site.scene, site.seen))

    async def _revert(self, site: Site) -> None:
        """A target or a scaler that is gone has nothing to be given back."""
        try:
            await self._patch(site, RevertTarget, self._resumed(site))
            revert = site.providers.kind.workload.revert(site.scene, site.seen, self._least(site))
            await self._patch(site, RevertTarget, revert)
        except (NotFound, ProviderError):
            return

    def _least(self, site: Site) -> int | None:
        scaler = site.providers.scaler
        return None if scaler is None else scaler.scaler.least(site.scene, site.seen)

    def _resumed(self, site: Site) -> Patch | None:
        scaler = site.providers.scaler
        return None if scaler is None else scaler.scaler.resume(site.scene, site.seen)

    async def _write(self, site: Site, step: Step, manifests: Iterable[Manifest]) -> list[tuple[Ref, Manifest]]:
        """Write objects in their order; returns in what each differed."""
        differences = []
        for manifest in manifests:
            ref = forms.ref_of(site, manifest)
            with refusals.told(step, ref, site.canary.kind, new=site.seen.get(ref) is None):
                differences.append((ref, await self._writer.write(ref, manifest)))
        return differences

    async def _patch(self, site: Site, step: Step, patch: Patch | None) -> None:
        if patch is not None:
            replicas = (patch.body.get("spec") or {}).get("replicas")
            with refusals.told(step, patch.ref, site.canary.kind, replicas=replicas):
                await self._writer.patch(patch)

    async def _finalizer(self, site: Site, *, present: bool) -> None:
        """Only the list of finalizers is sent: the user's spec is not touched."""
        others = [name for name in site.canary.finalizers if name != FINALIZER]
        body = {"metadata": {"finalizers": [*others, FINALIZER] if present else others}}
        await self._writer.patch_guarded(site.key, body)
