"""JSON patch: a list of operations on places (RFC 6902); like the real server, `replace` also adds."""

from __future__ import annotations

import re
from typing import Any

from gradatim.sim.copying import clone_value


class Impossible(Exception):
    """An operation that cannot be carried out on this document, a failed test among them."""


def apply(document: Any, operations: Any) -> Any:
    """A changed copy; Impossible if an operation does not fit."""
    made = clone_value(document)
    for operation in operations:
        made = _one(made, operation)
    return made


def _one(document: Any, operation: dict[str, Any]) -> Any:
    path = _tokens(operation.get("path", ""))
    match operation.get("op"):
        case "add":
            return _add(document, path, clone_value(operation.get("value")))
        case "remove":
            return _remove(document, path)[0]
        case "replace":
            return _set(document, path, clone_value(operation.get("value")))
        case "move":
            document, value = _remove(document, _tokens(operation.get("from", "")))
            return _add(document, path, value)
        case "copy":
            return _add(document, path, clone_value(_get(document, _tokens(operation.get("from", "")))))
        case "test":
            if not _equal(_find(document, path), operation.get("value")):
                raise Impossible(f"testing path {operation.get('path')} value failed")
            return document
        case other:
            raise Impossible(f"unexpected kind: {other}")


def _tokens(pointer: str) -> list[str]:
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise Impossible(f"path does not begin with a slash: {pointer}")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]


def _index(token: str, *, end: int) -> int:
    if not re.fullmatch("0|[1-9][0-9]*", token) or int(token) >= end:
        raise Impossible(f"index out of bounds: {token}")
    return int(token)


def _get(document: Any, path: list[str]) -> Any:
    for token in path:
        if isinstance(document, dict) and token in document:
            document = document[token]
        elif isinstance(document, list):
            document = document[_index(token, end=len(document))]
        else:
            raise Impossible(f"missing path: {token}")
    return document


def _find(document: Any, path: list[str]) -> Any:
    try:
        return _get(document, path)
    except Impossible:
        return None


def _set(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        parent[_index(path[-1], end=len(parent))] = value
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise Impossible(f"missing path: {path[-1]}")
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        at = len(parent) if path[-1] == "-" else _index(path[-1], end=len(parent) + 1)
        parent.insert(at, value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise Impossible(f"missing path: {path[-1]}")
    return document


def _remove(document: Any, path: list[str]) -> tuple[Any, Any]:
    if not path:
        raise Impossible("cannot remove the whole document")
    value = _get(document, path)
    parent = _get(document, path[:-1])
    if isinstance(parent, list):
        del parent[_index(path[-1], end=len(parent))]
    else:
        del parent[path[-1]]
    return document, value


def _equal(one: Any, other: Any) -> bool:
    """Equal as JSON: `1` is not `true`."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
