"""What the demo application does, by its image: the tag is the version, and some tags are bad on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec

from gradatim.sim.pods.instant import is_broken


class Behaviour(msgspec.Struct, frozen=True):
    """How a version answers: per cent of failures, milliseconds of delay, or not at all."""

    version: str = "latest"
    errors: float = 0.0
    delay: float = 0.0
    crashes: bool = False
    broken: bool = False


BY_TAG: Mapping[str, Behaviour] = {
    "v3": Behaviour(errors=100),
    "*-bad": Behaviour(errors=100),
    "*-5xx": Behaviour(errors=100),
    "*-slow": Behaviour(delay=700),
    "*-crash": Behaviour(crashes=True),
    "*-broken": Behaviour(broken=True),
}
"""Patterns of tags, the first that fits counts; every other tag is a good version."""


def tag_of(image: str) -> str:
    """The tag of an image reference, `latest` without one."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2] or "latest"


def behaviour_of(image: str, by_tag: Mapping[str, Behaviour] = BY_TAG) -> Behaviour:
    """How the version in an image behaves."""
    tag = tag_of(image)
    found = next((each for pattern, each in by_tag.items() if fnmatchcase(tag, pattern)), Behaviour())
    return msgspec.structs.replace(found, version=tag, broken=found.broken or is_broken(image))
