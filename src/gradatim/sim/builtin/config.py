"""ConfigMaps and Secrets."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator

from gradatim.ports.objects import Manifest
from gradatim.sim.builtin.kind import Builtin
from gradatim.sim.refusals import Cause, forbidden_field, invalid, required

_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
    "(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_NEEDS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_EITHER = {"kubernetes.io/basic-auth": ("username", "password")}
_FIXED = "field is immutable when `immutable` is set"


class ConfigMap(Builtin):
    """A ConfigMap."""

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """Keys are file names, each in one of the two maps; an immutable one stays as it is."""
        data, binary = new.get("data", {}), new.get("binaryData", {})
        for key in data:
            yield from _check_key("data", key)
            if key in binary:
                yield invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        for key in binary:
            yield from _check_key("binaryData", key)
        yield from _check_frozen(new, old, ("data", "binaryData"))


class Secret(Builtin):
    """A Secret."""

    selectable = ("type",)

    def default(self, obj: Manifest) -> None:
        """`stringData` is `data` that nobody has encoded yet."""
        plain = obj.pop("stringData", None)
        if plain:
            encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
            obj["data"] = obj.get("data", {}) | encoded

    def check(self, new: Manifest, old: Manifest | None) -> Iterable[Cause]:
        """Keys are file names, some types need certain ones, and the type stays."""
        data = new.get("data", {})
        for key in data:
            yield from _check_key("data", key)
        for key in _NEEDS.get(new["type"], ()):
            if key not in data:
                yield required(f"data[{key}]")
        either = _EITHER.get(new["type"], ())
        if either and not set(either) & data.keys():
            yield from (required(f"data[{key}]") for key in either)
        if old is not None and new["type"] != old["type"]:
            yield invalid("type", new["type"], "field is immutable")
        yield from _check_frozen(new, old, ("data",))


def _check_key(field: str, key: str) -> Iterator[Cause]:
    if not re.fullmatch("[-._a-zA-Z0-9]+", key):
        yield invalid(f"{field}[{key}]", key, _KEY_RULE)
    elif key == "." or key.startswith(".."):
        detail = f"must not be '{key}'" if key in (".", "..") else "must not start with '..'"
        yield invalid(f"{field}[{key}]", key, detail)


def _check_frozen(new: Manifest, old: Manifest | None, fields: tuple[str, ...]) -> Iterator[Cause]:
    if old is None or not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield forbidden_field("immutable", _FIXED)
    for field in fields:
        if new.get(field, {}) != old.get(field, {}):
            yield forbidden_field(field, _FIXED)
