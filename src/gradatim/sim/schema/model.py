"""One schema for everything: a node per value, made from the declared types of built-in kinds or from a CRD.

Reading, defaulting, validating, patching, applying and explaining all walk this tree; none of that is here.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

OBJECT, MAP, LIST, STRING, INTEGER, NUMBER, BOOLEAN, ANY = (
    "object",
    "map",
    "list",
    "string",
    "integer",
    "number",
    "boolean",
    "any",
)


class Schema(msgspec.Struct, eq=False):
    """What is known of one value. `kind` says which of the other fields mean something."""

    kind: str = ANY
    type: str = ""
    """As JSON schema calls it; empty if unsaid."""
    format: str = ""
    name: str = ""
    """Of a declared type: `DeploymentSpec`; its OpenAPI name is `package.name`."""
    package: str = ""
    description: str = ""

    properties: dict[str, Schema] = {}
    item: Schema | None = None
    """Of a list's items or a map's values."""
    required: tuple[str, ...] = ()

    atomic: bool = False
    """Owned and replaced as a whole by server-side apply."""
    set: bool = False
    keys: tuple[str, ...] = ()
    """Of a list: the fields that identify an item."""
    merge_key: str | None = None
    """Of a list: how a strategic merge patch finds items; empty for lists of scalars that are united."""
    retain_keys: bool = False

    default: Any = msgspec.UNSET
    nullable: bool = False
    preserve: bool = False
    int_or_string: bool = False
    embedded: bool = False
    enum: tuple[Any, ...] = ()
    pattern: re.Pattern[str] | None = None
    limits: dict[str, Any] = {}
    """minimum, maxLength, minItems and the like, by their JSON schema names."""
    all_of: tuple[Schema, ...] = ()
    any_of: tuple[Schema, ...] = ()
    one_of: tuple[Schema, ...] = ()
    none_of: Schema | None = None
    rules: tuple[Any, ...] = ()
    """Of `x-kubernetes-validations`."""

    go: str = ""
    """Of a declared value: its type in sentences about what could not be read."""
    pointer: bool = False
    always: bool = False
    """Written even when empty."""
    omitted_when_zero: bool = False
    must: bool = False
    """Empty is refused."""
    number: tuple[int, ...] = ()
    """Where protobuf has it: a field's number, behind those of the messages it is nested in."""
    kept_empty: bool = False
    """An empty value that somebody wrote means something."""
    reader: Any = None
    """Of a declared value: how it is read."""
    completions: list[Any] = []
    """Of a declared type: fields that come into being, or must be there; shared with its copies."""

    def child(self, key: str) -> Schema | None:
        """The schema of a field of an object, or of any value of a map."""
        return self.properties.get(key) or self.item
