"""Custom resources of other systems, as far as the operator and its scenarios touch them.

They are small: what a real definition fills in is filled in here, everything else is taken as it comes. Whether they
fill in what the real ones do is tested where the real ones are at hand.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from gradatim.ports.objects import Manifest

_FOLDER = Path(__file__).parent / "systems"

SYSTEMS = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))
"""Systems that can be named when a cluster is made."""


@cache
def definitions(system: str) -> tuple[Manifest, ...]:
    """The definitions of one system."""
    return tuple(yaml.safe_load_all((_FOLDER / f"{system}.yaml").read_text()))
