"""One hook: what counts as a yes, how often it is asked, and what is told about a no."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import msgspec
import pytest

from gradatim.api.canary import Webhook
from gradatim.core.hooks import HookFailed, HookPassed
from gradatim.engine.hooks import call
from gradatim.ports.http import HttpFailure, HttpRequest, HttpResponse

HOOK = Webhook(name="load", url="http://tester.test/gate", type="rollout")
PAYLOAD = b'{"name":"podinfo"}'
DATE = "Mon, 23 Nov 2026 10:00:00 GMT"


class Receiver:
    """Answers one after another, the last one for ever; `asked` and `at` say what it was asked and when."""

    def __init__(self, *answers: HttpResponse | HttpFailure | int) -> None:
        self.answers = [HttpResponse(answer, {}, b"") if isinstance(answer, int) else answer for answer in answers]
        self.asked: list[HttpRequest] = []
        self.at: list[float] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request)
        self.at.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, HttpFailure):
            raise answer
        return answer

    @property
    def pauses(self) -> list[float]:
        return [round(later - earlier, 3) for earlier, later in zip(self.at, self.at[1:], strict=False)]


def hook(**changes: object) -> Webhook:
    return msgspec.structs.replace(HOOK, **changes)


def answer(status: int, body: str = "", **headers: str) -> HttpResponse:
    return HttpResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode())


@pytest.mark.asyncio
async def test_the_payload_is_posted_as_json() -> None:
    receiver = Receiver(200)
    assert await call(HOOK, PAYLOAD, receiver, asyncio.sleep) == HookPassed()
    assert receiver.asked == [
        HttpRequest(
            method="POST",
            url="http://tester.test/gate",
            headers=(("Content-Type", "application/json"),),
            body=PAYLOAD,
            timeout=10.0,
            verify_tls=True,
        )
    ]
    assert json.loads(receiver.asked[0].body) == {"name": "podinfo"}


@pytest.mark.asyncio
async def test_disable_tls_means_that_certificates_are_not_looked_at() -> None:
    receiver = Receiver(200)
    await call(hook(disable_tls=True), PAYLOAD, receiver, asyncio.sleep)
    assert receiver.asked[0].verify_tls is False


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 205, 206, 299])
async def test_any_success_is_a_yes(status: int) -> None:
    """Flagger takes 203 and above for a no, although its manual promises otherwise."""
    assert await call(HOOK, PAYLOAD, Receiver(answer(status, "whatever")), asyncio.sleep) == HookPassed()


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [300, 302, 304, 400, 401, 403, 404, 409, 418, 451, 501])
async def test_a_refusal_is_told_in_the_receivers_words_and_not_repeated(status: int) -> None:
    receiver = Receiver(answer(status, "tests failed: 3 of 10"))
    assert await call(hook(retries=5), PAYLOAD, receiver, asyncio.sleep) == HookFailed("tests failed: 3 of 10")
    assert len(receiver.asked) == 1


@pytest.mark.asyncio
async def test_a_refusal_without_words_has_none() -> None:
    assert await call(HOOK, PAYLOAD, Receiver(403), asyncio.sleep) == HookFailed("")


@pytest.mark.asyncio
async def test_a_long_refusal_is_cut() -> None:
    refused = await call(HOOK, PAYLOAD, Receiver(answer(400, "x" * 5000)), asyncio.sleep)
    assert refused == HookFailed("x" * 1000 + "…")


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 599, 0])
async def test_a_broken_receiver_is_given_up_after_one_attempt_without_retries(status: int) -> None:
    receiver = Receiver(status)
    text = "POST http://tester.test/gate giving up after 1 attempt(s)"
    assert await call(HOOK, PAYLOAD, receiver, asyncio.sleep) == HookFailed(text)
    assert len(receiver.asked) == 1


@pytest.mark.asyncio
async def test_what_a_broken_receiver_says_is_told_and_cut() -> None:
    """Flagger hides the very output that people need."""
    text = "POST http://tester.test/gate giving up after 1 attempt(s): "
    failed = await call(HOOK, PAYLOAD, Receiver(answer(500, "helm test failed")), asyncio.sleep)
    assert failed == HookFailed(text + "helm test failed")
    failed = await call(HOOK, PAYLOAD, Receiver(answer(500, "x" * 300)), asyncio.sleep)
    assert failed == HookFailed(text + "x" * 200 + "…")


@pytest.mark.asyncio
async def test_a_password_in_the_address_is_not_told() -> None:
    failed = await call(hook(url="https://me:secret@tester.test/x"), PAYLOAD, Receiver(500), asyncio.sleep)
    assert failed == HookFailed("POST https://me:xxxxx@tester.test/x giving up after 1 attempt(s)")


@pytest.mark.asyncio
async def test_attempts_are_paused_for_longer_and_longer(virtual_time: Callable[[], float]) -> None:
    receiver = Receiver(500)
    failed = await call(hook(retries=7), PAYLOAD, receiver, asyncio.sleep)
    assert failed == HookFailed("POST http://tester.test/gate giving up after 8 attempt(s)")
    assert receiver.pauses == [1, 2, 4, 8, 16, 30, 30]


@pytest.mark.asyncio
async def test_a_later_attempt_may_pass(virtual_time: Callable[[], float]) -> None:
    receiver = Receiver(HttpFailure("connection refused"), answer(503, "not yet"), 200)
    assert await call(hook(retries=3), PAYLOAD, receiver, asyncio.sleep) == HookPassed()
    assert receiver.pauses == [1, 2]


@pytest.mark.asyncio
async def test_a_later_attempt_may_be_refused(virtual_time: Callable[[], float]) -> None:
    receiver = Receiver(500, answer(403, "no"))
    assert await call(hook(retries=3), PAYLOAD, receiver, asyncio.sleep) == HookFailed("no")


@pytest.mark.asyncio
async def test_a_receiver_that_cannot_be_reached_is_given_up(virtual_time: Callable[[], float]) -> None:
    receiver = Receiver(HttpFailure("no answer within 10s"))
    failed = await call(hook(retries=2), PAYLOAD, receiver, asyncio.sleep)
    assert failed == HookFailed("POST http://tester.test/gate giving up after 3 attempt(s): no answer within 10s")


@pytest.mark.asyncio
async def test_what_cannot_get_better_is_not_tried_again() -> None:
    receiver = Receiver(HttpFailure("the certificate is not trusted", retryable=False))
    failed = await call(hook(retries=9), PAYLOAD, receiver, asyncio.sleep)
    text = "POST http://tester.test/gate giving up after 1 attempt(s): the certificate is not trusted"
    assert failed == HookFailed(text)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "headers", "pause"),
    [
        (503, {"retry_after": "7"}, 7),
        (429, {"retry_after": "0"}, 0),
        (429, {"retry_after": "999999999999"}, 60),
        (503, {"retry_after": "Mon, 23 Nov 2026 10:00:20 GMT", "date": DATE}, 20),
        (503, {"retry_after": "Mon, 23 Nov 2026 11:00:00 GMT", "date": DATE}, 60),
        (503, {"retry_after": "Mon, 23 Nov 2026 09:00:00 GMT", "date": DATE}, 0),
        (503, {"retry_after": "Mon, 23 Nov 2026 10:00:20 GMT"}, 1),
        (503, {"retry_after": "Mon, 23 Nov 2026 10:00:20 -0000", "date": DATE}, 1),
        (503, {"retry_after": "soon", "date": DATE}, 1),
        (503, {"retry_after": "-5"}, 1),
        (500, {"retry_after": "7"}, 1),
    ],
)
async def test_a_receiver_may_say_when_to_come_back(
    status: int, headers: dict[str, str], pause: float, virtual_time: Callable[[], float]
) -> None:
    """Seconds or a moment by its own clock, never longer than a minute, and only with 429 and 503."""
    receiver = Receiver(answer(status, **headers), 200)
    assert await call(hook(retries=1), PAYLOAD, receiver, asyncio.sleep) == HookPassed()
    assert receiver.pauses == [pause]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "timeout", "seconds"),
    [
        ("", "", 10),
        ("", "5", 10),
        ("", "5s", 5),
        ("rollout", "2m", 120),
        ("rollout", "500ms", 0.5),
        ("rollout", "1m30s", 90),
        ("rollout", "1h", 3600),
        ("rollout", "0s", 10),
        ("event", "", 10),
        ("event", "3s", 3),
    ],
)
async def test_each_attempt_has_the_whole_timeout(kind: str, timeout: str, seconds: float) -> None:
    receiver = Receiver(200)
    assert await call(hook(type=kind, timeout=timeout), PAYLOAD, receiver, asyncio.sleep) == HookPassed()
    assert receiver.asked[0].timeout == seconds


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "timeout"), [("rollout", "1min"), ("rollout", "10"), ("event", "5"), ("", "10mfoo")])
async def test_a_timeout_that_cannot_be_read_fails_the_hook(kind: str, timeout: str) -> None:
    receiver = Receiver(200)
    failed = await call(hook(type=kind, timeout=timeout), PAYLOAD, receiver, asyncio.sleep)
    text = f"{timeout!r} is no duration; write a number and a unit, such as 30s, 1m30s or 500ms"
    assert failed == HookFailed(text)
    assert receiver.asked == []


@pytest.mark.asyncio
async def test_a_negative_number_of_retries_is_none() -> None:
    receiver = Receiver(500)
    await call(hook(retries=-3), PAYLOAD, receiver, asyncio.sleep)
    assert len(receiver.asked) == 1


@pytest.mark.asyncio
async def test_a_call_can_be_cancelled_while_it_pauses(virtual_time: Callable[[], float]) -> None:
    receiver = Receiver(500)
    task = asyncio.create_task(call(hook(retries=9), PAYLOAD, receiver, asyncio.sleep))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(receiver.asked) == 1
