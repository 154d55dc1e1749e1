"""From decoded JSON to our three resources: the one border where nulls, unknown fields and odd numbers are dealt with.

Go programs write `null` for empty lists, the schema's `number` lets `10.0` through, and newer servers send fields we do
not know. None of that may disturb anybody; what is really wrong is refused with the path of the field.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from gradatim.api.alert_provider import AlertProvider, AlertProviderSpec
from gradatim.api.canary import Canary, CanarySpec
from gradatim.api.errors import InvalidField
from gradatim.api.metric_template import MetricTemplate, MetricTemplateSpec
from gradatim.api.status import CanaryStatus

T = TypeVar("T")

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_ANY_VALUE = "[...]"  # msgspec's word for some value of a mapping
_EXPECTED = re.compile(r"Expected `(?P<want>[^`]+)`, got `(?P<got>[^`]+)`")
_MISSING = re.compile(r"Object missing required field `(?P<field>\w+)`")


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    deletion_timestamp: str = ""
    finalizers: tuple[str, ...] = ()
    annotations: dict[str, str] = {}


def decode_canary(manifest: dict[str, Any], before: Canary | None = None) -> Canary:
    """A Canary from its manifest. The spec of an earlier reading is taken over if the generation is still the same.

    Raises:
        InvalidField: with the path of the field and what belongs there.
    """
    meta = _metadata(manifest)
    if before is not None and (before.uid, before.generation) == (meta.uid, meta.generation) and meta.generation:
        spec = before.spec
    else:
        spec = _convert(manifest.get("spec") or {}, CanarySpec, "spec")
    return Canary(
        name=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        generation=meta.generation,
        deleted=bool(meta.deletion_timestamp),
        finalizers=meta.finalizers,
        annotations=meta.annotations,
        spec=spec,
        status=decode_status(manifest),
    )


def decode_status(manifest: dict[str, Any]) -> CanaryStatus:
    """The status of a Canary; one that cannot be read counts as never written, since only we write it."""
    try:
        return _convert(manifest.get("status") or {}, CanaryStatus, "status")
    except InvalidField:
        return CanaryStatus()


def decode_metric_template(manifest: dict[str, Any]) -> MetricTemplate:
    """A MetricTemplate from its manifest; raises InvalidField."""
    meta = _metadata(manifest)
    spec = _convert(manifest.get("spec") or {}, MetricTemplateSpec, "spec")
    return MetricTemplate(meta.name, meta.namespace, spec)


def decode_alert_provider(manifest: dict[str, Any]) -> AlertProvider:
    """An AlertProvider from its manifest; raises InvalidField."""
    meta = _metadata(manifest)
    spec = _convert(manifest.get("spec") or {}, AlertProviderSpec, "spec")
    return AlertProvider(meta.name, meta.namespace, spec)


def _metadata(manifest: dict[str, Any]) -> _Metadata:
    """What we read of the metadata; the rest of it (managed fields above all) is large and not looked at."""
    meta = manifest.get("metadata") or {}
    if isinstance(meta, dict):
        meta = {key: meta[key] for key in _Metadata.__struct_encode_fields__ if key in meta}
    return _convert(meta, _Metadata, "metadata")


def _convert(data: Any, kind: type[T], path: str) -> T:
    try:
        return msgspec.convert(_cleaned(data), kind)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), path) from error


def _cleaned(data: Any) -> Any:
    """The same without nulls, and with `10.0` as `10`: JSON does not tell them apart, a strict decoder does."""
    match data:
        case dict():
            return {key: _cleaned(value) for key, value in data.items() if value is not None}
        case list():
            return [_cleaned(value) for value in data if value is not None]
        case float() if data.is_integer():
            return int(data)
    return data


def _invalid(text: str, root: str) -> InvalidField:
    """msgspec's `Expected X, got Y - at $.a.b[...]` in our words."""
    sentence, _, place = text.partition(" - at ")
    of_keys, _, place = place.rpartition(" in ")
    inner, some, _ = place.strip("`").removeprefix("$").partition(_ANY_VALUE)
    path = root + inner
    subject = "each of its keys " if of_keys else "each of its values " if some else ""
    if match := _MISSING.search(sentence):
        return InvalidField(f"{path}.{match['field']}", "is required; add it")
    if match := _EXPECTED.search(sentence):
        kinds = [word.strip() for word in match["want"].split("|")]
        want = " or ".join(_WORDS.get(kind, kind) for kind in kinds if kind != "null")
        got = "a number with a fraction" if match["got"] == "float" else _WORDS.get(match["got"], match["got"])
        return InvalidField(path, f"{subject}must be {want}, not {got}")
    return InvalidField(path, subject + sentence)
