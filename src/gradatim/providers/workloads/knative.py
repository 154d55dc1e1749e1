"""Knative Services: revisions of one object play both roles, and an annotation says which one is the primary.

There is no primary workload and nothing to scale; how traffic is split between revisions is the part of the mesh.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradatim.api.canary import Canary
from gradatim.api.status import Phase
from gradatim.core.names import provider
from gradatim.core.problems import Problem
from gradatim.core.readiness import Absent, Readiness, Ready, Stuck, Waiting
from gradatim.core.revision import revision
from gradatim.core.settings import Settings
from gradatim.ports.errors import Missing, UnexpectedObject
from gradatim.ports.objects import KNATIVE_REVISION, KNATIVE_SERVICE, Manifest, Ref
from gradatim.ports.scene import Scene, Seen
from gradatim.ports.workload import Facts, Patch, WorkloadKind
from gradatim.providers.absence import not_found
from gradatim.providers.manifests import annotations_of, copy_of, items, number, put, text

_PRIMARY_REVISION = "flagger.app/primary-revision"
_MESH = "knative"


class KnativeService:
    """See `ports.workload.Workload`."""

    def check(self, canary: Canary, settings: Settings) -> Iterable[Problem]:
        """Only Knative's own routing understands revisions, and only Knative scales them."""
        if canary.spec.provider != _MESH:
            name = provider(canary, settings.mesh_provider)
            yield Problem("spec.provider", f"can't use {name} provider with Knative Service as target")
        if canary.spec.autoscaler_ref:
            yield Problem("spec.autoscalerRef", "can't use autoscaler with Knative Service")

    def target(self, canary: Canary) -> Ref:
        """The Knative Service in `targetRef`."""
        return Ref(KNATIVE_SERVICE, canary.namespace, canary.target)

    def primary(self, canary: Canary) -> Ref | None:
        """None: the primary is a revision of the target."""
        return None

    def reads(self, canary: Canary, settings: Settings, seen: Seen) -> Iterable[Ref]:
        """The Knative Service, then the revisions that play the two roles."""
        yield self.target(canary)
        if service := seen.get(self.target(canary)):
            for name in dict.fromkeys((_primary_revision(service), _latest(service))):
                if name:
                    yield Ref(KNATIVE_REVISION, canary.namespace, name)

    def facts(self, canary: Canary, settings: Settings, seen: Seen) -> Facts:
        """The revision is the hash of the latest created revision's name: Knative names each template once."""
        return Facts(revision=revision(_needed_latest(self._found(canary, seen))))

    def create(self, scene: Scene, seen: Seen, token: str) -> Iterable[Manifest]:
        """The annotation and all traffic on the revision that is there; later only an annotation that was lost."""
        service = self._found(scene.canary, seen)
        if scene.canary.status.phase not in (Phase.UNSET, Phase.INITIALIZING):
            return () if _primary_revision(service) else (_annotated(service, _primary_of_traffic(service)),)
        latest = _needed_latest(service)
        wanted = _annotated(service, latest)
        traffic: list[Manifest] = [{"latestRevision": True, "percent": 0}, {"revisionName": latest, "percent": 100}]
        if _meaning(items(service, "spec", "traffic")) != _meaning(traffic):
            put(wanted, traffic, "spec", "traffic")
        return (wanted,) if wanted != service else ()

    def promote(self, scene: Scene, seen: Seen, token: str) -> Iterable[Manifest]:
        """The latest created revision becomes the primary."""
        service = self._found(scene.canary, seen)
        return (_annotated(service, _needed_latest(service)),)

    def abrupt(self, canary: Canary, seen: Seen) -> bool:
        """Knative keeps a revision until the next one serves."""
        return False

    def keeping(self, canary: Canary, seen: Seen) -> Manifest | None:
        """Knative keeps revisions by itself."""
        return None

    def kept(self, canary: Canary, revision: str) -> Ref | None:
        """See `keeping`."""
        return None

    def ready(self, scene: Scene, seen: Seen, *, primary: bool, now: float, since: float) -> Readiness:
        """Ready when the revision says so. Only a canary has a deadline: a primary serves, ready or not."""
        canary = scene.canary
        service = seen[self.target(canary)]
        if service is None:
            return Absent(self._query_error(canary))
        name = _primary_revision(service) if primary else _latest(service)
        if not name and primary:
            return Absent(f"Knative Service {_named(service)} primary revision annotation not found")
        if not name:
            return Waiting(f"Knative Service {_named(service)} has created no revision")
        ref = Ref(KNATIVE_REVISION, canary.namespace, name)
        if (found := seen[ref]) is None:
            return Waiting(f"Knative Revision {name}.{canary.namespace} get query error: {not_found(ref)}")
        if _is_ready(found):
            return Ready()
        message = f"Knative Revision {name}.{canary.namespace} is not ready"
        until = None if primary else since + canary.spec.progress_deadline
        return Stuck(message) if until is not None and now >= until else Waiting(message, until)

    def stop(self, scene: Scene, seen: Seen) -> Patch | None:
        """Knative takes pods away by itself."""
        return None

    def start(self, scene: Scene, seen: Seen, least: int | None) -> Patch | None:
        """Knative starts pods by itself."""
        return None

    def revert(self, scene: Scene, seen: Seen, least: int | None) -> Patch | None:
        """The annotation is taken away with the routes."""
        return None

    def _found(self, canary: Canary, seen: Seen) -> Manifest:
        if (found := seen[self.target(canary)]) is None:
            raise Missing(self._query_error(canary))
        return found

    def _query_error(self, canary: Canary) -> str:
        ref = self.target(canary)
        return f"Knative Service {ref.name}.{ref.namespace} get query error: {not_found(ref)}"


def _named(service: Manifest) -> str:
    return f"{text(service, 'metadata', 'name')}.{text(service, 'metadata', 'namespace')}"


def _primary_revision(service: Manifest) -> str:
    return annotations_of(service).get(_PRIMARY_REVISION, "")


def _latest(service: Manifest) -> str:
    return text(service, "status", "latestCreatedRevisionName")


def _needed_latest(service: Manifest) -> str:
    if latest := _latest(service):
        return latest
    raise UnexpectedObject(f"Knative Service {_named(service)} has created no revision; look at its conditions")


def _primary_of_traffic(service: Manifest) -> str:
    """The primary by the routes: the one revision that is routed to by name."""
    names = {text(entry, "revisionName") for entry in items(service, "spec", "traffic")} - {""}
    if len(names) != 1:
        raise UnexpectedObject(
            f"Knative Service {_named(service)} primary revision annotation not found; "
            f"set {_PRIMARY_REVISION} to the revision that serves users"
        )
    return names.pop()


def _meaning(traffic: list[Manifest]) -> list[tuple[str, bool, int]]:
    """Traffic without what Knative fills in: `latestRevision` follows from the name, no percent is none."""
    return [
        (name := text(entry, "revisionName"), bool(entry.get("latestRevision", not name)), number(entry, "percent"))
        for entry in traffic
    ]


def _annotated(service: Manifest, name: str) -> Manifest:
    wanted = copy_of(service)
    put(wanted, name, "metadata", "annotations", _PRIMARY_REVISION)
    return wanted


def _is_ready(found: Manifest) -> bool:
    return any(
        condition.get("type") == "Ready" and condition.get("status") == "True"
        for condition in items(found, "status", "conditions")
    )


KINDS: tuple[WorkloadKind, ...] = (
    WorkloadKind(
        kind="Service",
        api_version=KNATIVE_SERVICE.api_version,
        workload=KnativeService(),
        reads=(KNATIVE_REVISION,),
        writes=(KNATIVE_SERVICE,),
        generates_services=False,
        routed_by=(_MESH,),
    ),
)
