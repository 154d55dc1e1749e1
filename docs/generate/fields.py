"""The fields of our three kinds, from the schemas that the API server checks them with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tables import code, table

from gradatim.apps.manifests import crds

_HEAD = """\
# Fields of Canary, MetricTemplate and AlertProvider

All three are `flagger.app/v1beta1`, with the names and meanings that they have in Flagger. Fields that only one router
reads, such as `service.trafficPolicy`, are passed on as they are written; `kubectl explain canary.spec` shows what is
inside them. The status of a Canary has [a page of its own](status.md).

"""
_PASSED_ON = frozenset(
    ("match", "rewrite", "retries", "headers", "mirror", "corsPolicy", "trafficPolicy", "gatewayRefs", "labels")
)
"""Fields that are translated and not understood: what is inside is their owners' business."""
_MANY = 8


def page() -> str:
    """The whole page."""
    return _HEAD + "\n".join(map(_kind, sorted(crds(), key=_name)))


def _name(definition: dict[str, Any]) -> str:
    name: str = definition["spec"]["names"]["kind"]
    return {"Canary": ""}.get(name, name)


def _kind(definition: dict[str, Any]) -> str:
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rows = _rows("spec", schema["properties"]["spec"])
    return f"## {definition['spec']['names']['kind']}\n\n{table(('Field', 'Type', 'Meaning'), rows)}"


def _rows(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    needed = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        inner, sort = field, _sort(field)
        if field.get("type") == "array":
            inner = field["items"]
        where = f"{path}.{name}"
        yield code(where), sort + (", needed" if name in needed else ""), _meaning(field)
        if name not in _PASSED_ON:
            yield from _rows(f"{where}[]" if inner is not field else where, inner)


def _sort(field: dict[str, Any]) -> str:
    if field.get("x-kubernetes-int-or-string"):
        return "number or text"
    if field.get("type") == "array":
        return f"list of {_sort(field['items'])}"
    if "additionalProperties" in field:
        return "map"
    sort: str = field.get("type", "anything")
    return {"string": "text", "integer": "number", "boolean": "switch"}.get(sort, sort)


def _meaning(field: dict[str, Any]) -> str:
    text: str = field.get("description", "")
    if 0 < len(field.get("enum", ())) <= _MANY:
        text += f" One of {', '.join(code(value) for value in field['enum'] if value)}."
    if "default" in field:
        text += f" Default: {code(str(field['default']))}."
    return text
