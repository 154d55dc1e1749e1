"""Calling one hook: attempts, pauses between them, and what the last answer means.

A hook is asked here and nowhere else. What a refusal means for a release is the core's part.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from gradatim.api.canary import Canary, Webhook
from gradatim.api.durations import parse_duration
from gradatim.core.addresses import without_password
from gradatim.core.excerpts import excerpt
from gradatim.core.hooks import HookAnswer, HookFailed, HookPassed
from gradatim.engine import logins
from gradatim.engine.clock import Clock
from gradatim.engine.library import Library
from gradatim.engine.waiting import Sleep
from gradatim.ports.errors import ProviderError
from gradatim.ports.http import Http, HttpFailure, HttpRequest, HttpResponse
from gradatim.ports.objects import CANARY, Ref

TIMEOUT = 10.0
"""Seconds for one attempt where the hook says nothing that can be meant."""
LONGEST_PAUSE = 30.0
LONGEST_RETRY_AFTER = 60.0
"""Seconds a receiver may ask us to stay away; a tick must not hang on a header."""
LONGEST_REFUSAL = 1000
"""Characters of a refusal that are told: what fits an event, so that the output of a failed test can be read there."""


class Caller:
    """Calls the hooks of Canaries, logged in with the Secrets that they name."""

    def __init__(self, *, http: Http, library: Library, clock: Clock, sleep: Sleep) -> None:
        self._http = http
        self._library = library
        self._clock = clock
        self._sleep = sleep

    async def call(self, canary: Canary, webhook: Webhook, payload: bytes) -> HookAnswer:
        """What a hook of a Canary says to a payload; one whose Secret is of no use is not asked."""
        ref = webhook.secret_ref
        if ref is None:
            return await call(webhook, payload, self._http, self._clock, self._sleep)
        try:
            key = Ref(CANARY, canary.namespace, canary.name)
            secret = await self._library.secret(canary.namespace, ref.name, key)
            return await call(webhook, payload, self._http, self._clock, self._sleep, secret=secret)
        except ProviderError as error:
            return HookFailed(f"Secret {ref.name}.{canary.namespace}: {error.message}", answered=False)


async def call(
    webhook: Webhook, payload: bytes, http: Http, clock: Clock, sleep: Sleep, *, secret: Mapping[str, str] | None = None
) -> HookAnswer:
    """Post a payload to a hook, as often as its `retries` and its `retryDeadline` allow."""
    try:
        timeout, deadline = timeout_of(webhook), _seconds(webhook.retry_deadline)
    except ValueError as error:
        return HookFailed(str(error), answered=False)
    attempt, began = 1, clock.ticks()
    while True:
        outcome = await _send(http, _request(webhook, payload, timeout, secret, clock.now()))
        if isinstance(outcome, HttpResponse) and not _is_temporary(outcome):
            return HookPassed() if 200 <= outcome.status < 300 else HookFailed(_refusal(webhook, outcome))
        if attempt > webhook.retries or (isinstance(outcome, HttpFailure) and not outcome.retryable):
            return _given_up(webhook, attempt, outcome)
        rest = pause(attempt, outcome)
        if deadline is not None and clock.ticks() - began + rest > deadline:
            return _given_up(webhook, attempt, outcome)
        await sleep(rest)
        attempt += 1


def _request(
    webhook: Webhook, payload: bytes, timeout: float, secret: Mapping[str, str] | None, now: float
) -> HttpRequest:
    """One attempt; each is signed anew, since receivers refuse old signatures."""
    login = logins.headers(secret, payload, now) if secret is not None else ()
    return HttpRequest(
        method="POST",
        url=webhook.url,
        headers=(("Content-Type", "application/json"), *login),
        body=payload,
        timeout=timeout,
        verify_tls=not webhook.disable_tls,
    )


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


def _seconds(text: str) -> float | None:
    return parse_duration(text) if text else None


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


def _refusal(webhook: Webhook, response: HttpResponse) -> str:
    """A no in the receiver's own words, unless they are not for everybody."""
    return f"status {response.status}" if webhook.hide_response else excerpt(response.text, LONGEST_REFUSAL)


def _given_up(webhook: Webhook, attempts: int, outcome: HttpResponse | HttpFailure) -> HookFailed:
    text = f"POST {without_password(webhook.url)} giving up after {attempts} attempt(s)"
    if answered := isinstance(outcome, HttpResponse):
        detail = f"status {outcome.status}" if webhook.hide_response else excerpt(outcome.text)
    else:
        detail = outcome.message
    return HookFailed(f"{text}: {detail}" if detail else text, answered=answered)
