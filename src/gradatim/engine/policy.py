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
    """Wait `delay` seconds (None: never again by us), tell something, and log loudly or not."""

    delay: float | None
    news: tuple[News, ...] = ()
    loud: bool = False


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
            return Response(max(back_off, min(SLOWLY, interval * 3)), (news.trouble(error.message, SLOWLY),), loud=True)
        case Invalid() | NotFound() | ProviderError():
            return Response(back_off if failures < 4 else interval, (news.trouble(error.message, interval),))
        case GradatimError():
            return Response(back_off, (news.trouble(error.message, interval),), loud=True)
        case _:
            return Response(
                back_off,
                (news.trouble(f"Unexpected {type(error).__name__}, see the operator's log", SLOWLY),),
                loud=True,
            )
