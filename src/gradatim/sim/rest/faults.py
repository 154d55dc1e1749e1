"""Things that go wrong on purpose: refusals, delays, streams that end in the middle of a line, lost history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec

from gradatim.sim.refusals import Refused
from gradatim.sim.rest.messages import Request, Response
from gradatim.sim.rest.shapes import respond


class Broken(ConnectionError):
    """The connection is lost; a transport ends it without a proper end, a caller in the same process gets this."""


class Fault(msgspec.Struct):
    """One thing that goes wrong, for requests that `when` picks, as often as `times` says (None: always)."""

    when: Callable[[Request], bool] = lambda _request: True
    times: int | None = 1
    delay: float = 0
    """Seconds before anything else happens."""
    refuse: Refused | None = None
    """The answer instead of the real one."""
    swallow: bool = False
    """Carry the request out, but break the connection instead of answering."""
    cut_after: int | None = None
    """Break a stream after so many lines; the next one arrives by half."""

    def meets(self, request: Request) -> bool:
        """Whether this request is met; counts."""
        if self.times == 0 or not self.when(request):
            return False
        if self.times is not None:
            self.times -= 1
        return True


async def before(faults: list[Fault], request: Request) -> tuple[Response | None, list[Fault]]:
    """What happens before a request is carried out: perhaps an answer already, and the faults that are still due."""
    met = [fault for fault in faults if fault.meets(request)]
    for fault in met:
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.refuse is not None:
            answer = respond(request, fault.refuse.code, fault.refuse.status)
            answer.headers |= fault.refuse.headers
            return answer, []
    return None, met


def after(met: list[Fault], answer: Response) -> Response:
    """What happens to an answer on its way."""
    for fault in met:
        if fault.swallow:
            raise Broken("the connection broke before the answer")
        if fault.cut_after is not None and answer.stream is not None:
            answer.stream = _cut(answer.stream, fault.cut_after)
    return answer


async def _cut(stream: AsyncIterator[bytes], lines: int) -> AsyncIterator[bytes]:
    count = 0
    async for line in stream:
        if count == lines:
            yield line[: len(line) // 2]
            raise Broken("the stream broke in the middle of a line")
        count += 1
        yield line
    raise Broken("the stream broke")
