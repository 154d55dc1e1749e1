"""Events: one object under two APIs. `core/v1` and `events.k8s.io/v1` spell its fields differently.

They are stored as `core/v1` has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gradatim.ports.objects import EVENT, Manifest, Resource
from gradatim.sim.builtin.kind import Builtin, types
from gradatim.sim.refusals import Cause, invalid, required
from gradatim.sim.schema.declared import read
from gradatim.sim.schema.model import Schema
from gradatim.sim.schema.reading import Mismatch, Reading, unreadable

NEWER = Resource("events.k8s.io", "v1", "events", "Event")

_CORE_BY_NEWER = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_NEWER_BY_CORE = {core: newer for newer, core in _CORE_BY_NEWER.items()}


class Event(Builtin):
    """An Event."""

    created_by_update = True
    selectable = (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    )

    def field(self, obj: Manifest, name: str) -> str:
        """Who tells of it is the source's component, or who reports."""
        if name == "source":
            return str(obj["source"].get("component") or obj.get("reportingComponent", ""))
        return super().field(obj, name)

    def schema(self, served: Resource) -> Schema | None:
        """Each API has its own."""
        return types()["events.Event"] if served == NEWER else self.type

    def read(self, obj: Manifest, served: Resource, reading: Reading) -> Manifest:
        """Whichever API it came by, it is kept as `core/v1`."""
        if served != NEWER:
            return super().read(obj, served, reading)
        try:
            made = read(types()["events.Event"], obj, reading)
        except Mismatch as error:
            raise unreadable(served.api_version, served.kind, error.why) from None
        reading.causes += check_newer(made)
        kept = {_CORE_BY_NEWER.get(key, key): value for key, value in made.items()}
        return kept | {"apiVersion": EVENT.api_version, "kind": EVENT.kind}

    def show(self, obj: Manifest, served: Resource) -> Manifest:
        """As the API has it that asks."""
        if served != NEWER:
            return obj
        shown = {_NEWER_BY_CORE.get(key, key): value for key, value in obj.items() if value != ""}
        return shown | {"apiVersion": NEWER.api_version}

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """An event is about something in its own namespace."""
        about = new["involvedObject"].get("namespace", "")
        namespace = new["metadata"].get("namespace", "")
        if about != namespace and (about or namespace != "default"):
            yield invalid("involvedObject.namespace", about, "does not match event.namespace")


def check_newer(obj: Manifest) -> Iterator[Cause]:
    """The newer API is stricter about what it takes."""
    if not obj.get("eventTime"):
        yield required("eventTime")
    if obj.get("type", "") not in ("Normal", "Warning"):
        yield invalid("type", obj.get("type", ""), f"has invalid value: {obj.get('type', '')}")
