"""What a definition must say, and in which words it is refused; its schemas are the business of `crds.schemas`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gradatim.ports.objects import Manifest
from gradatim.sim import metadata, names
from gradatim.sim.crds import schemas
from gradatim.sim.refusals import Cause, invalid, required, unsupported

COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_SIMPLE = "must be a simple json path starting with ."
_GROUP_RULE = "should be a domain with at least one dot"
_PRESERVE_RULE = (
    "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
)


def check(new: Manifest) -> Iterator[Cause]:
    """Everything that can be seen without the definition as it was."""
    spec = new["spec"]
    yield from _check_names(spec)
    yield from _check_versions(spec, new.get("status", {}))
    if spec.get("preserveUnknownFields"):
        yield invalid("spec.preserveUnknownFields", True, _PRESERVE_RULE)
        if any(schemas.has_defaults(_schema(one) or {}) for one in spec.get("versions") or ()):
            yield invalid("spec.preserveUnknownFields", True, "must be false in order to use defaults in the schema")
    for path, version in _settled(spec, "schema", "spec.validation"):
        schema = _schema(version)
        if schema is not None:
            yield from schemas.check(schema, f"{path}.openAPIV3Schema")
    for path, version in _settled(spec, "additionalPrinterColumns"):
        yield from _check_columns(version.get("additionalPrinterColumns") or (), path)
    for path, version in _settled(spec, "subresources"):
        yield from _check_scale((version.get("subresources") or {}).get("scale"), f"{path}.scale")
    for path, version in _settled(spec, "selectableFields"):
        yield from _check_selectable(version, path)


def check_name(new: Manifest) -> Iterator[Cause]:
    """Its name is made of two others."""
    name, spec = new["metadata"].get("name"), new["spec"]
    if name != f"{spec['names'].get('plural', '')}.{spec.get('group', '')}":
        yield invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


def check_change(new: Manifest, old: Manifest, *, established: bool) -> Iterator[Cause]:
    """What objects rely on stays."""
    fixed: list[tuple[str, ...]] = [("group",), ("names", "plural")]
    if established:
        fixed += [("scope",), ("names", "kind")]
    for path in fixed:
        value = _at(new["spec"], path)
        if value != _at(old["spec"], path):
            yield invalid(".".join(("spec", *path)), value, metadata.IMMUTABLE)
    there = {one.get("name") for one in new["spec"].get("versions") or ()}
    for index, name in enumerate(old.get("status", {}).get("storedVersions") or ()):
        if name not in there:
            yield invalid(f"status.storedVersions[{index}]", name, "must appear in spec.versions")


def remarks(spec: Manifest) -> Iterator[str]:
    """Formats that nobody checks."""
    for _, version in _settled(spec, "schema"):
        yield from (f'unrecognized format "{name}"' for name in schemas.unknown_formats(_schema(version) or {}))


def _check_names(spec: Manifest) -> Iterator[Cause]:
    group, scope, named = spec.get("group", ""), spec.get("scope", ""), spec["names"]
    if not group:
        yield required("spec.group")
    else:
        wrong = names.subdomain(group)
        yield from (invalid("spec.group", group, sentence) for sentence in wrong)
        if not wrong and "." not in group:
            yield invalid("spec.group", group, _GROUP_RULE)
    if not scope:
        yield required("spec.scope")
    elif scope not in ("Cluster", "Namespaced"):
        yield unsupported("spec.scope", scope, ("Cluster", "Namespaced"))
    for field in ("plural", "singular", "kind", "listKind"):
        name = named.get(field, "")
        if not name:
            yield required(f"spec.names.{field}")
        else:
            yield from (invalid(f"spec.names.{field}", name, wrong) for wrong in names.label_1035(_lower(field, name)))
    for field in ("shortNames", "categories"):
        for index, name in enumerate(named.get(field) or ()):
            wrongs = names.label_1035(name)
            yield from (invalid(f"spec.names.{field}[{index}]", name, sentence) for sentence in wrongs)
    if named.get("kind") and named.get("kind") == named.get("listKind"):
        yield invalid("spec.names.listKind", named["listKind"], "kind and listKind may not be the same")


def _lower(field: str, name: str) -> str:
    return name.lower() if field in ("kind", "listKind") else name


def _check_versions(spec: Manifest, status: Manifest) -> Iterator[Cause]:
    versions = spec.get("versions") or []
    for index, one in enumerate(versions):
        path, name = f"spec.versions[{index}]", one.get("name", "")
        yield from (invalid(f"{path}.name", name, sentence) for sentence in names.label_1035(name))
        if _schema(one) is None:
            yield required(f"{path}.schema.openAPIV3Schema")
        if one.get("deprecationWarning") is not None and not one.get("deprecated"):
            detail = "can only be set for deprecated versions"
            yield invalid(f"{path}.deprecationWarning", one["deprecationWarning"], detail)
    stored = [one.get("name") for one in versions if one.get("storage")]
    shown = [_shown(one) for one in versions]
    if len({one.get("name") for one in versions}) != len(versions):
        yield invalid("spec.versions", shown, "must contain unique version names")
    if len(stored) != 1:
        yield invalid("spec.versions", shown, "must have exactly one version marked as storage version")
        known = status.get("storedVersions") or None
        detail = f"must have the storage version {stored[-1]}" if stored else "must have at least one stored version"
        yield invalid("status.storedVersions", known, detail)


def _shown(version: Manifest) -> Manifest:
    """A version as the server's own sentence spells it; what all versions share is not in there."""
    nothing = ("Schema", "Subresources", "AdditionalPrinterColumns", "SelectableFields")
    return {
        "Name": version.get("name", ""),
        "Served": bool(version.get("served")),
        "Storage": bool(version.get("storage")),
        "Deprecated": bool(version.get("deprecated")),
        "DeprecationWarning": version.get("deprecationWarning"),
        **dict.fromkeys(nothing),
    }


def _settled(spec: Manifest, key: str, shared: str = "") -> Iterator[tuple[str, Manifest]]:
    """Each version with the path of one of its fields; versions that agree have it above them all."""
    versions = spec.get("versions") or []
    if versions and all(one.get(key) == versions[0].get(key) for one in versions):
        yield shared or f"spec.{key}", versions[0]
    else:
        yield from ((f"spec.versions[{index}].{key}", one) for index, one in enumerate(versions))


def _check_columns(columns: Any, path: str) -> Iterator[Cause]:
    for index, one in enumerate(columns):
        where = f"{path}[{index}]"
        if not one.get("name"):
            yield required(f"{where}.name")
        if not one.get("type"):
            yield required(f"{where}.type", f"must be one of {','.join(COLUMN_TYPES)}")
        elif one["type"] not in COLUMN_TYPES:
            yield invalid(f"{where}.type", one["type"], f"must be one of {','.join(COLUMN_TYPES)}")
        if one.get("format") and one["format"] not in COLUMN_FORMATS:
            yield invalid(f"{where}.format", one["format"], f"must be one of {','.join(COLUMN_FORMATS)}")
        if not one.get("jsonPath"):
            yield required(f"{where}.JSONPath")
        elif not one["jsonPath"].startswith("."):
            yield invalid(f"{where}.JSONPath", one["jsonPath"], _SIMPLE)


def _check_scale(scale: Manifest | None, path: str) -> Iterator[Cause]:
    if scale is None:
        return
    homes = {"specReplicasPath": (".spec",), "statusReplicasPath": (".status",)}
    for field, home in (*homes.items(), ("labelSelectorPath", (".spec", ".status"))):
        text = scale.get(field, "")
        if not text:
            if field in homes:
                yield required(f"{path}.{field}")
        elif not re.fullmatch(r"(\.[A-Za-z_][A-Za-z0-9_-]*)+", text):
            yield invalid(f"{path}.{field}", text, _SIMPLE)
        elif not text.startswith(tuple(f"{one}." for one in home)):
            whose = home[0] if field in homes else "either .spec or .status"
            yield invalid(f"{path}.{field}", text, f"should be a json path under {whose}")


def _check_selectable(version: Manifest, path: str) -> Iterator[Cause]:
    for index, one in enumerate(version.get("selectableFields") or ()):
        where, text = f"{path}[{index}].jsonPath", one.get("jsonPath", "")
        if not text:
            yield required(where)
        elif not text.startswith("."):
            yield invalid(where, text, f"is an invalid path: expected [ or . but got: {text}")
        elif not schemas.leads_somewhere(_schema(version) or {}, text):
            yield invalid(where, text, "is an invalid path: does not refer to a valid field")


def _schema(version: Manifest) -> Manifest | None:
    found: Manifest | None = (version.get("schema") or {}).get("openAPIV3Schema")
    return found


def _at(value: Manifest, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) or {}
    return value
