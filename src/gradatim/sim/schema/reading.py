"""What is noticed while an object is read: fields nobody knows, values that cannot be, sentences to pass on."""

from __future__ import annotations

from typing import TypeAlias

from gradatim.sim.refusals import Cause, Refused

Path: TypeAlias = "tuple[Path, str | int] | None"
"""Where we are, innermost last; cheap to extend, turned into text only when something is wrong."""

IGNORE, WARN, STRICT = "Ignore", "Warn", "Strict"


def shown(path: Path) -> str:
    """`spec.containers[0].name`."""
    parts: list[str] = []
    while path is not None:
        path, key = path
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return "".join(reversed(parts)).removeprefix(".")


class Reading:
    """One read of one object."""

    __slots__ = ("causes", "duplicates", "mode", "remarks", "unknown")

    def __init__(self, mode: str = IGNORE) -> None:
        self.mode = mode
        self.unknown: list[str] = []
        self.duplicates: list[str] = []
        self.causes: list[Cause] = []
        self.remarks: list[str] = []

    def complaints(self) -> list[str]:
        """What a strict reader objects to."""
        found = [f'duplicate field "{name}"' for name in self.duplicates]
        return found + [f'unknown field "{name}"' for name in dict.fromkeys(self.unknown)]

    def settle(self, api_version: str, kind: str) -> None:
        """Refuse the object if a strict client asked for that and something was dropped."""
        complaints = self.complaints()
        if self.mode == STRICT and complaints:
            raise unreadable(api_version, kind, f"strict decoding error: {', '.join(complaints)}")

    def warnings(self) -> list[str]:
        """What a client is told beside the answer."""
        return [*(self.complaints() if self.mode == WARN else ()), *self.remarks]


class Unreadable(Refused):
    """The object is not one of its kind; `why` is the reason by itself."""

    why = ""


def unreadable(api_version: str, kind: str, why: str) -> Unreadable:
    """The object is not one of its kind."""
    version = api_version.rpartition("/")[2]
    told = f'{kind} in version "{version}" cannot be handled as a {kind}: {why}'
    refusal = Unreadable(400, "BadRequest", told)
    refusal.why = why
    return refusal


class Mismatch(Exception):
    """A value is not of its declared type; becomes `unreadable` where the kind is known."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(why)
        self.path = path
        self.why = why
