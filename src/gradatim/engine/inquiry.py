"""Finding out what the core wants to know, in one reconcile.

Somebody outside may take as long as a load test. Meanwhile the Canary is looked at anew whenever something changes: a
question that is still asked then goes on being asked, and one that is not is given up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from gradatim.api.errors import Bug
from gradatim.core.verdict import HookSays, Known, Measure, Question, Quiet, SourcesOnline
from gradatim.engine.site import Site, Subject
from gradatim.engine.turn import Turn

if TYPE_CHECKING:
    from gradatim.engine.crew import Crew

OUTSIDE = (SourcesOnline, HookSays, Measure)
"""Questions that go out to somebody else: never asked twice about the same subject in one reconcile."""


class Inquiry:
    """What was found out outside so far, and what is being asked there."""

    def __init__(self, turn: Turn, crew: Crew) -> None:
        self._turn = turn
        self._crew = crew
        self._subject: Subject | None = None
        self._answers: dict[Question[Any], Any] = {}
        self._asking: tuple[Question[Any], asyncio.Task[Any]] | None = None

    async def resume(self, fresh: Known, site: Site) -> Known:
        """A fresh look with what was found out before, as far as that was about the same."""
        if self._subject != site.subject:
            await self.give_up()
            self._subject, self._answers = site.subject, {}
        asking = None if self._asking is None else self._asking[0]
        return msgspec.structs.replace(fresh, answers=dict(self._answers), asking=asking)

    async def find_out(self, known: Known, site: Site, question: Question[Any]) -> Known | None:
        """What is known with one answer more; None when the Canary is to be looked at anew first."""
        if question in known.answers:
            raise Bug(f"{question!r} was asked twice")
        if isinstance(question, OUTSIDE):
            if not await self._asked(known, site, question):
                return None
            answer = self._answers[question]
        elif isinstance(question, Quiet):
            async with self._turn.aside():
                answer = await self._crew.answer(known, site, question)
        else:
            answer = await self._crew.answer(known, site, question)
        return msgspec.structs.replace(known, answers={**known.answers, question: answer})

    async def give_up(self) -> None:
        """Nobody wants to know any more what is being asked."""
        if self._asking is None:
            return
        (_, answering), self._asking = self._asking, None
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)

    async def _asked(self, known: Known, site: Site, question: Question[Any]) -> bool:
        """Ask somebody outside, or go on asking; whether the answer is there and nothing has changed meanwhile."""
        if self._asking is None or self._asking[0] != question:
            await self.give_up()
            answering = asyncio.create_task(self._crew.answer(known, site, question), name=f"{site.key}: {question!r}")
            self._asking = question, answering
        _, answering = self._asking
        if not (answering.done() or await self._turn.comes(answering)):
            return False
        self._asking = None
        self._answers[question] = await answering
        return True
