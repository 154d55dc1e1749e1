"""What of other people's texts may stand in events, alerts and logs: their beginning, and never more."""

from __future__ import annotations

LONGEST = 200
"""Characters of an answer that are shown: enough for the sentence that matters, too little to carry data out."""


def excerpt(text: str, longest: int = LONGEST) -> str:
    """The beginning of a text, marked with `…` where something was cut off."""
    return text if len(text) <= longest else text[:longest] + "…"
