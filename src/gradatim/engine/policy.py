"""From a surprise to what is done about it: how long to wait, and what to tell."""

from __future__ import annotations

import msgspec

from gradatim.api.errors import GradatimError
from gradatim.core import news
from gradatim.core.news import News
from gradatim.kube.errors import Conflict, Forbidden, Invalid, LeaseLost, NotFound, Unavailable
from gradatim.ports.errors import ProviderError

SLOWLY = 60.0
"""Seconds between tries of what only a person can mend."""


class Response(msgspec.Struct, frozen=True):
    """Wait `delay` seconds (None: never again by us), tell something, and log loudly or not.

    `hinders` is what the status says as long as it lasts; empty for what passes by itself.
    """

    delay: float | None
    news: tuple[News, ...] = ()
    loud: bool = False
    hinders: str = ""


def respond(error: Exception, failures: int, interval: float) -> Response:
    """What to do about an error; `failures` counts the errors in a row, this one included."""
    back_off = min(interval, 0.5 * 2.0 ** min(failures - 1, 10))
    match error:
        case LeaseLost():
            return Response(None)
        case Conflict():
            return Response(min(back_off, 1.0) if failures > 1 else 0.0)
        case Unavailable(retry_after=after):
            told = (news.trouble(f"API server unavailable: {error.message}", interval),) if failures > 3 else ()
            return Response(max(back_off, after or 0.0), told)
        case Forbidden():
            return _told(error.message, max(back_off, min(SLOWLY, interval * 3)), SLOWLY, loud=True)
        case Invalid() | NotFound() | ProviderError():
            return _told(error.message, back_off if failures < 4 else interval, interval)
        case GradatimError():
            return _told(error.message, back_off, interval, loud=True)
        case _:
            return _told(f"Unexpected {type(error).__name__}, see the operator's log", back_off, SLOWLY, loud=True)


def _told(text: str, delay: float, every: float, *, loud: bool = False) -> Response:
    """Something that lasts until somebody does something about it."""
    return Response(delay, (news.trouble(text, every),), loud, hinders=text)
