"""Which objects a list or a watch is about: by namespace, labels and fields."""

from __future__ import annotations

import msgspec

from gradatim.ports.objects import Manifest
from gradatim.sim.kind import Kind
from gradatim.sim.refusals import bad_request
from gradatim.sim.rest.options import ListOptions
from gradatim.sim.rest.routes import Route
from gradatim.sim.selection import FieldSelector, LabelSelector, matches, parse_fields, parse_labels

_ALWAYS = frozenset(("metadata.name", "metadata.namespace"))


class View(msgspec.Struct, frozen=True):
    """The objects somebody looks at."""

    kind: Kind
    namespace: str
    labels: LabelSelector
    fields: FieldSelector

    @property
    def narrowed(self) -> bool:
        """Whether something other than the namespace leaves objects out."""
        return bool(self.labels or self.fields.terms)

    def sees(self, obj: Manifest | None) -> bool:
        """Whether an object, as it is stored, is among them."""
        if obj is None:
            return False
        meta = obj["metadata"]
        if self.namespace and meta.get("namespace") != self.namespace:
            return False
        if self.labels and not matches(self.labels, meta.get("labels") or {}):
            return False
        return not self.fields.terms or self.fields.matches(lambda name: self.kind.field(obj, name))


def view(route: Route, options: ListOptions) -> View:
    """What a request looks at; a name in the path is one more condition."""
    fields = parse_fields(options.fields)
    for field, _, _ in fields.terms:
        if field not in _ALWAYS and field not in route.kind.selectable:
            if route.kind.selectable:
                raise bad_request(f"field label not supported: {field}")
            raise bad_request(f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"')
    if route.name:
        fields = FieldSelector((*fields.terms, ("metadata.name", route.name, False)))
    return View(route.kind, route.namespace, parse_labels(options.labels), fields)
