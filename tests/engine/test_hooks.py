"""One hook: what counts as a yes, how often it is asked, and what is told about a no."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from gradatim.api.canary import Analysis, Canary, CanarySpec, ObjectRef, Webhook
from gradatim.core.hooks import HookAnswer, HookFailed, HookPassed
from gradatim.engine import hooks
from gradatim.engine.clock import Clock
from gradatim.engine.waiting import Sleep
from gradatim.ports.errors import Missing
from gradatim.ports.http import HttpFailure, HttpRequest, HttpResponse
from gradatim.ports.objects import CANARY, Ref

unanswered = partial(HookFailed, answered=False)
HOOK = Webhook(name="load", url="http://tester.test/gate", type="rollout")
PAYLOAD = b'{"name":"podinfo"}'
NOON = 1767268800.0
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


async def call(
    webhook: Webhook, payload: bytes, receiver: Receiver, sleep: Sleep, secret: dict[str, str] | None = None
) -> HookAnswer:
    """One call, on the time of the test's loop; the clock on the wall begins at a round number."""
    loop = asyncio.get_running_loop()
    return await hooks.call(webhook, payload, receiver, Clock(lambda: NOON, loop.time), sleep, secret=secret)


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
    assert failed == unanswered("POST http://tester.test/gate giving up after 3 attempt(s): no answer within 10s")


@pytest.mark.asyncio
async def test_what_cannot_get_better_is_not_tried_again() -> None:
    receiver = Receiver(HttpFailure("the certificate is not trusted", retryable=False))
    failed = await call(hook(retries=9), PAYLOAD, receiver, asyncio.sleep)
    text = "POST http://tester.test/gate giving up after 1 attempt(s): the certificate is not trusted"
    assert failed == unanswered(text)


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
    assert failed == unanswered(text)
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


# Deadlines of retries, and answers that are not for everybody --------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("deadline", "attempts"),
    [("", 6), ("500ms", 1), ("1s", 2), ("2999ms", 2), ("3s", 3), ("1m", 6)],
)
async def test_no_retry_begins_after_its_deadline(
    deadline: str, attempts: int, virtual_time: Callable[[], float]
) -> None:
    """Pauses are 1, 2, 4, 8 and 16 seconds; what would come too late is not waited for."""
    receiver, began = Receiver(500), virtual_time()
    failed = await call(hook(retries=5, retry_deadline=deadline), PAYLOAD, receiver, asyncio.sleep)
    assert failed == HookFailed(f"POST http://tester.test/gate giving up after {attempts} attempt(s)")
    assert len(receiver.asked) == attempts
    assert virtual_time() - began == sum([0, 1, 2, 4, 8, 16][:attempts])


@pytest.mark.asyncio
async def test_the_time_that_attempts_take_counts_too(virtual_time: Callable[[], float]) -> None:
    class Slow(Receiver):
        async def send(self, request: HttpRequest) -> HttpResponse:
            await asyncio.sleep(10)
            return await super().send(request)

    receiver = Slow(500)
    await call(hook(retries=5, retry_deadline="20s"), PAYLOAD, receiver, asyncio.sleep)
    assert len(receiver.asked) == 2


@pytest.mark.asyncio
async def test_a_deadline_that_cannot_be_read_fails_the_hook() -> None:
    receiver = Receiver(200)
    failed = await call(hook(retry_deadline="soon"), PAYLOAD, receiver, asyncio.sleep)
    assert failed == unanswered("'soon' is no duration; write a number and a unit, such as 30s, 1m30s or 500ms")
    assert receiver.asked == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (answer(403, "card 1234"), "status 403"),
        (answer(404), "status 404"),
        (answer(500, "card 1234"), "POST http://tester.test/gate giving up after 1 attempt(s): status 500"),
        (HttpFailure("no route"), "POST http://tester.test/gate giving up after 1 attempt(s): no route"),
    ],
)
async def test_a_hidden_answer_is_told_by_its_status(given: HttpResponse | HttpFailure, told: str) -> None:
    assert await call(hook(hide_response=True), PAYLOAD, Receiver(given), asyncio.sleep) == HookFailed(
        told, answered=isinstance(given, HttpResponse)
    )


# Secrets -------------------------------------------------------------------------------------------------------------


class Secrets:
    """Reads Secrets of the namespace `test`, for their Canary only; the others are not there."""

    def __init__(self, **found: dict[str, str]) -> None:
        self.found = found

    async def secret(self, namespace: str, name: str, owner: Ref | None = None) -> dict[str, str]:
        assert (namespace, owner) == ("test", Ref(CANARY, "test", "shop"))
        if name not in self.found:
            raise Missing(f'secrets "{name}" not found')
        return self.found[name]


async def ask(receiver: Receiver, webhook: Webhook, **found: dict[str, str]) -> HookAnswer:
    """Call a hook of the Canary shop.test."""
    clock = Clock(lambda: NOON, asyncio.get_running_loop().time)
    caller = hooks.Caller(http=receiver, library=Secrets(**found), clock=clock, sleep=asyncio.sleep)  # type: ignore[arg-type]
    spec = CanarySpec(ObjectRef("shop"), Analysis(webhooks=(webhook,)))
    return await caller.call(Canary("shop", "test", spec), webhook, PAYLOAD)


WITH_LOGIN = hook(secret_ref=ObjectRef("guard"))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ({"token": "abc"}, "Bearer abc"),
        ({"token": "abc\n"}, "Bearer abc"),
        ({"username": "me", "password": "s3cr:et"}, "Basic bWU6czNjcjpldA=="),
        ({"username": "me\n", "password": "s3cr:et\n"}, "Basic bWU6czNjcjpldA=="),
        ({"username": "me", "password": ""}, "Basic bWU6"),
        ({"username": "mé", "password": "x"}, "Basic bcOpOng="),
        ({"username": "me", "password": "x", "token": "abc"}, "Bearer abc"),
    ],
)
async def test_a_hook_logs_in_with_its_secret(secret: dict[str, str], header: str) -> None:
    receiver = Receiver(200)
    assert await ask(receiver, WITH_LOGIN, guard=secret) == HookPassed()
    assert receiver.asked[0].headers == (("Content-Type", "application/json"), ("Authorization", header))


@pytest.mark.asyncio
async def test_each_attempt_is_signed_with_its_own_moment(virtual_time: Callable[[], float]) -> None:
    """The figures are those of `openssl dgst -sha256 -hmac` over the moment, a dot and the body."""
    receiver = Receiver(500, 200)
    keys = {"hmacKey": "sesame\n", "token": "abc"}
    signed = hook(secret_ref=ObjectRef("guard"), retries=1)
    assert await ask(receiver, signed, guard=keys) == HookPassed()
    assert [dict(request.headers)["X-Gradatim-Signature"] for request in receiver.asked] == [
        "t=1767268800,v1=b90a0b0f787866cda7ea6832c293244d697f5b0691283a11743532a21da0ecd7",
        "t=1767268801,v1=c104948df3ebac5a6aa431a6581dbb3fd0f4bfbce9104595ec6a7319ccf0eeee",
    ]
    assert all(dict(request.headers)["Authorization"] == "Bearer abc" for request in receiver.asked)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("secret", "told"),
    [
        (None, 'Secret guard.test: secrets "guard" not found'),
        ({}, "Secret guard.test: it holds no token, no username with password and no hmacKey"),
        ({"tokn": "HIDDEN"}, "Secret guard.test: it holds no token, no username with password and no hmacKey"),
        ({"token": " "}, "Secret guard.test: it holds no token, no username with password and no hmacKey"),
        ({"username": "HIDDEN"}, "Secret guard.test: it holds a username and no password"),
        ({"token": "HID\nDEN"}, "Secret guard.test: it holds a token with characters that no header can carry"),
        ({"token": "HIDDEN\u00e9"}, "Secret guard.test: it holds a token with characters that no header can carry"),
    ],
)
async def test_a_hook_whose_secret_is_of_no_use_is_not_called(secret: dict[str, str] | None, told: str) -> None:
    receiver = Receiver(200)
    assert await ask(receiver, WITH_LOGIN, **({} if secret is None else {"guard": secret})) == unanswered(told)
    assert receiver.asked == []


@pytest.mark.asyncio
async def test_no_secret_is_read_for_a_hook_that_names_none() -> None:
    receiver = Receiver(200)
    assert await ask(receiver, HOOK) == HookPassed()
    assert receiver.asked[0].headers == (("Content-Type", "application/json"),)
