"""Calling one hook: attempts, pauses between them, and what the last answer means.

A hook is asked here and nowhere else. What a refusal means for a release is the core's part.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from email.utils import parsedate_to_datetime

from gradatim.api.canary import Webhook
from gradatim.api.durations import parse_duration
from gradatim.core.addresses import without_password
from gradatim.core.excerpts import excerpt
from gradatim.core.hooks import HookAnswer, HookFailed, HookPassed
from gradatim.ports.http import Http, HttpFailure, HttpRequest, HttpResponse

TIMEOUT = 10.0
"""Seconds for one attempt where the hook says nothing that can be meant."""
LONGEST_PAUSE = 30.0
LONGEST_RETRY_AFTER = 60.0
"""Seconds a receiver may ask us to stay away; a tick must not hang on a header."""
LONGEST_REFUSAL = 1000
"""Characters of a refusal that are told: what fits an event, so that the output of a failed test can be read there."""


async def call(webhook: Webhook, payload: bytes, http: Http, sleep: Callable[[float], Awaitable[None]]) -> HookAnswer:
    """Post a payload to a hook, as often as its `retries` allow."""
    try:
        timeout = timeout_of(webhook)
    except ValueError as error:
        return HookFailed(str(error))
    request = HttpRequest(
        method="POST",
        url=webhook.url,
        headers=(("Content-Type", "application/json"),),
        body=payload,
        timeout=timeout,
        verify_tls=not webhook.disable_tls,
    )
    attempt = 1
    while True:
        outcome = await _send(http, request)
        if isinstance(outcome, HttpResponse) and not _is_temporary(outcome):
            passed = 200 <= outcome.status < 300
            return HookPassed() if passed else HookFailed(excerpt(outcome.text, LONGEST_REFUSAL))
        if attempt > webhook.retries or (isinstance(outcome, HttpFailure) and not outcome.retryable):
            return HookFailed(_given_up(webhook.url, attempt, outcome))
        await sleep(pause(attempt, outcome))
        attempt += 1


def timeout_of(webhook: Webhook) -> float:
    """Seconds for one attempt; raises ValueError for a timeout that cannot be read.

    Anything shorter than two characters means the default, for event hooks only nothing at all; so does zero, which
    would be no deadline.
    """
    text = webhook.timeout
    if not text or (len(text) < 2 and webhook.kind != "event"):
        return TIMEOUT
    seconds = parse_duration(text)
    return seconds if seconds > 0 else TIMEOUT


def pause(attempt: int, outcome: HttpResponse | HttpFailure) -> float:
    """Seconds between an attempt, counted from 1, and the next: twice as long each time, unless the answer says."""
    if isinstance(outcome, HttpResponse) and outcome.status in (429, 503):
        asked = _retry_after(outcome.headers)
        if asked is not None:
            return min(max(asked, 0.0), LONGEST_RETRY_AFTER)
    return float(min(2 ** min(attempt - 1, 10), LONGEST_PAUSE))


async def _send(http: Http, request: HttpRequest) -> HttpResponse | HttpFailure:
    try:
        return await http.send(request)
    except HttpFailure as failure:
        return failure


def _is_temporary(response: HttpResponse) -> bool:
    """Whether the same question may get another answer."""
    return response.status == 429 or response.status < 100 or (response.status >= 500 and response.status != 501)


def _retry_after(headers: dict[str, str]) -> float | None:
    """What `Retry-After` asks for. A moment is compared with the receiver's own clock, which is in `Date`."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    until, then = _moment(text), _moment(headers.get("date", ""))
    return (until - then).total_seconds() if until and then else None


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _given_up(url: str, attempts: int, outcome: HttpResponse | HttpFailure) -> str:
    text = f"POST {without_password(url)} giving up after {attempts} attempt(s)"
    detail = outcome.message if isinstance(outcome, HttpFailure) else excerpt(outcome.text)
    return f"{text}: {detail}" if detail else text
