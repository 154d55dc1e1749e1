"""The parts around a target as they must be, and how far the live objects are from that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import NAMESPACE_URL, uuid5

from gradatim.core.verdict import Part, Shape
from gradatim.engine.differences import fields_of, merge_patch
from gradatim.engine.site import Site
from gradatim.ports.errors import ProviderError
from gradatim.ports.objects import Manifest, Ref
from gradatim.providers import services

_LOOK = "install its definition, or let the operator read it"
"""What helps against objects that cannot be looked at."""


def token(site: Site) -> str:
    """The `flagger-id` of the primary for what the target is now.

    Made from the Canary, the revision and the configs, so that a copy that is repeated after a crash is the same copy
    and rolls the primary's pods only once.
    """
    facts = site.facts
    content = "" if facts is None else f"{facts.revision} {sorted((facts.configs or {}).items())}"
    return str(uuid5(NAMESPACE_URL, f"gradatim:{site.canary.uid}:{content}"))


def wanted(site: Site, part: Part, *, update: bool = False) -> list[Manifest]:
    """The objects of a part as they must be, in writing order; raises ProviderError."""
    providers, scene, seen = site.providers, site.scene, site.seen
    made: dict[Part, Callable[[], Iterable[Manifest]]] = {
        Part.SERVICES: lambda: services.branches(scene, seen) if providers.kind.generates_services else (),
        Part.PRIMARY: lambda: providers.kind.workload.create(scene, seen, token(site)),
        Part.SCALER: lambda: (
            () if providers.scaler is None else providers.scaler.scaler.ensure(scene, seen, update=update)
        ),
        Part.APEX: lambda: services.apex(scene, seen) if providers.kind.generates_services else (),
        Part.ROUTES: lambda: providers.mesh.router.ensure(scene, seen),
    }
    return list(made[part]())


def ref_of(site: Site, manifest: Manifest) -> Ref:
    """The name of an object that a provider wants written."""
    resource = site.providers.resource(manifest)
    metadata = manifest["metadata"]
    return Ref(resource, metadata.get("namespace", "") if resource.namespaced else "", metadata["name"])


def shape(site: Site) -> Shape:
    """Which parts lack an object, which have one that differs, and what stops a part."""
    missing, drifted, changed, unkept = set[Part](), set[Part](), list[str](), dict[str, float]()
    trouble, fixes = dict[Part, str](), dict[Part, str]()
    for part in Part:
        try:
            objects = wanted(site, part)
        except ProviderError as error:
            unseen = _unseen(site, part)
            trouble[part], fixes[part] = (unseen, _LOOK) if unseen else (error.message, error.fix)
            continue
        for manifest in objects:
            ref = ref_of(site, manifest)
            if ref.resource in site.unseen:
                trouble[part], fixes[part] = site.unseen[ref.resource], _LOOK
                continue
            live = site.seen.get(ref)
            if live is None:
                missing.add(part)
                continue
            found = site.repairs.sort(ref, fields_of(merge_patch(live, manifest)))
            if found.new or found.again:
                drifted.add(part)
            if found.new:
                changed.append(f"{part.value}:{_named(ref, found.new)}")
            if found.unkept:
                unkept[_named(ref, found.unkept)] = found.retry
    return Shape(
        missing=frozenset(missing),
        drifted=frozenset(drifted),
        changed=tuple(changed),
        unkept=tuple(unkept),
        retry=min(unkept.values(), default=0.0),
        trouble=trouble,
        fixes=fixes,
    )


def _named(ref: Ref, fields: tuple[str, ...]) -> str:
    """An object and some of its fields, for people."""
    return f"{ref.resource.kind} {ref.name} ({', '.join(fields[:3])})"


def _unseen(site: Site, part: Part) -> str:
    """Why a part's objects could not be looked at, if that is the cause of its trouble."""
    mesh = site.providers.mesh
    kinds = (*mesh.writes, *mesh.reads) if part is Part.ROUTES else ()
    return next((site.unseen[kind] for kind in kinds if kind in site.unseen), "")
