"""What is played: plain releases of each kind, and hard cases, each over and over under load."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from gradatim.api.status import Phase
from soak.crowds import Row
from soak.kinds import Kind, kinds
from soak.stage import Setting, Stage, stage

BREATH = 1.0
"""Seconds after an end, in which what it took away would be missed."""

Told: TypeAlias = tuple[str, str]
"""What was played in a few words, and what went wrong beside the requests, if anything did."""

Round: TypeAlias = Callable[[Stage, int, random.Random], Awaitable[Told]]
"""Plays one round."""

LATE = 3.0
"""Seconds that late proxies are behind: more than the settle time, less than the interval."""

WRITES_OF_A_RELEASE, WRITES_OF_A_LIFE = 24, 50
"""Writes, events included, at each of which an operator is killed in turn."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Something that breaks careless operators."""

    about: str
    kind: str
    round: Round
    introduced: bool = True
    """Whether there is a Canary before the first round, and a deletion after the last."""
    start: float = 0.0
    late: float = 0.0
    interval: str = "1s"
    flags: tuple[str, ...] = ()
    revert: bool = True
    service: bool = True
    loses: str = ""
    """Why requests are lost in it, whatever the operator does."""


async def play_kind(kind: Kind, releases: int, rate: float, flags: tuple[str, ...] = ()) -> list[Row]:
    """Initialization, full releases of which every other one is bad and rolled back, and deletion with revert."""
    setting = Setting(kind=kind, rate=rate, flags=flags)
    return await _play(setting, _release, releases, random.Random(0), introduced=True)


async def play_case(
    case: Case, releases: int, rate: float, chance: random.Random, flags: tuple[str, ...] = ()
) -> list[Row]:
    """So many rounds of a hard case."""
    setting = Setting(
        kind=kinds()[case.kind],
        rate=rate,
        start=case.start,
        late=case.late,
        interval=case.interval,
        flags=(*case.flags, *flags),
        revert=case.revert,
        service=case.service,
    )
    return await _play(setting, case.round, releases, chance, introduced=case.introduced)


async def _play(setting: Setting, play: Round, releases: int, chance: random.Random, *, introduced: bool) -> list[Row]:
    async with stage(setting) as made:
        if introduced:
            await made.introduce()
            await asyncio.sleep(BREATH)
            made.crowds.note("initialization")
        for number in range(releases):
            told = await play(made, number, chance)
            await asyncio.sleep(BREATH)
            made.crowds.note(*told)
        if introduced and setting.revert:
            await made.delete()
            await asyncio.sleep(2 * BREATH)
            made.crowds.note("deletion with revert")
        return made.crowds.rows


def _tag(made: Stage, number: int) -> str:
    """A good version and a bad one in turn, where bad ones are found out."""
    return f"v{number + 10}{'-bad' if number % 2 and made.setting.kind.judges else ''}"


def _told(made: Stage, text: str, tag: str, ended: Phase) -> Told:
    wanted = Phase.FAILED if tag.endswith("-bad") else Phase.SUCCEEDED
    return f"{text}: {ended.value}", "" if ended is wanted else f"not {wanted.value}, because {made.why()}"


async def _release(made: Stage, number: int, _: random.Random) -> Told:
    tag = _tag(made, number)
    return _told(made, tag, tag, await made.publish(tag))


async def _life(made: Stage, number: int, _: random.Random) -> Told:
    """Everything from the first to the last moment of a Canary."""
    await made.introduce()
    ended = await made.publish(f"v{number + 10}")
    await made.delete()
    return _told(made, f"life {number}, initialized, released, deleted", "", ended)


async def _edited(made: Stage, number: int, chance: random.Random) -> Told:
    """Another version comes while one is being promoted; it gets a release of its own."""
    await made.user.set_image(f"v{number + 10}")
    await made.user.phase(Phase.PROMOTING)
    await asyncio.sleep(chance.uniform(0, 1))
    newer = f"v{number + 10}.1"
    await made.user.set_image(newer)
    await made.user.until(lambda: made.promoted(newer), f"{newer} to be promoted")
    return _told(made, f"v{number + 10}, and {newer} while it is promoted", newer, await made.ended())


async def _scaled(made: Stage, number: int, chance: random.Random) -> Told:
    """The target is scaled up and down again while it is promoted."""
    await made.user.set_image(f"v{number + 10}")
    await made.user.phase(Phase.PROMOTING)
    await asyncio.sleep(chance.uniform(0, 0.5))
    await made.scale(5)
    await asyncio.sleep(chance.uniform(0, 0.5))
    if made.user.now() is Phase.PROMOTING:
        await made.scale(1)
    return _told(made, f"v{number + 10}, scaled while it is promoted", "", await made.ended())


async def _killed(made: Stage, number: int, chance: random.Random) -> Told:
    """The operator dies at one of its writes, each in turn, and once more at a random moment."""
    tag, place = _tag(made, number), number % WRITES_OF_A_RELEASE + 1
    dying = asyncio.create_task(made.operator.kill_at_write(place))
    await made.user.set_image(tag)
    await made.user.phase(Phase.PROGRESSING)
    await asyncio.sleep(chance.uniform(0, 6))
    await made.operator.kill()
    ended = await made.ended()
    died = dying.done()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    return _told(made, f"{tag}, killed {f'at write {place} and ' if died else ''}once", tag, ended)


async def _killed_in_life(made: Stage, number: int, chance: random.Random) -> Told:
    """The operator dies at one of its writes from the first to the last moment of a Canary, each in turn."""
    place = number % WRITES_OF_A_LIFE + 1
    dying = asyncio.create_task(made.operator.kill_at_write(place))
    _, wrong = await _life(made, number, chance)
    died = dying.done()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    return f"life {number}, {f'killed at write {place}' if died else f'not as many as {place} writes'}", wrong


async def _deleted(made: Stage, number: int, chance: random.Random) -> Told:
    """The Canary is deleted while the canary has a share of the requests, and made again afterwards."""
    if not made.user.status():
        await made.introduce()
    await made.user.set_image(f"v{number + 10}")
    await made.share()
    await asyncio.sleep(chance.uniform(0, 3))
    phase = made.user.now()
    await made.delete()
    return f"deleted in phase {phase.value}", ""


CASES: dict[str, Case] = {
    "life": Case(
        about="initialization, one release and deletion with revert, over and over",
        kind="nginx/weighted",
        round=_life,
        introduced=False,
    ),
    "skip-analysis-init": Case(
        about="the same with skipAnalysis and pods that need 3 s to be ready",
        kind="nginx/skip",
        round=_life,
        introduced=False,
        start=3.0,
    ),
    "slow-pods": Case(
        about="pods that need three times the interval to be ready",
        kind="nginx/weighted",
        round=_release,
        start=3.0,
    ),
    "late-proxy": Case(
        about="a proxy that follows routes 3 s late and does not say so, with -drain-timeout",
        kind="traefik/weighted",
        round=_release,
        late=LATE,
        interval="5s",
        flags=("-drain-timeout=30s",),
    ),
    "late-proxy-unwatched": Case(
        about="the same without",
        kind="traefik/weighted",
        round=_release,
        late=LATE,
        interval="5s",
        loses="pods go when the settle time is over, and the proxy follows later",
    ),
    "late-proxy-with-status": Case(
        about="a proxy that follows routes 3 s late and writes their status",
        kind="gatewayapi:v1/weighted",
        round=_release,
        late=LATE,
        interval="5s",
    ),
    "edited-in-promotion": Case(
        about="another version comes while one is being promoted",
        kind="traefik/weighted",
        round=_edited,
    ),
    "scaled-in-promotion": Case(
        about="the target is scaled up and down while it is promoted",
        kind="traefik/weighted",
        round=_scaled,
    ),
    "killed": Case(
        about="the operator is killed at each of its writes in turn, and at random moments",
        kind="traefik/weighted",
        round=_killed,
    ),
    "killed-in-life": Case(
        about="the operator is killed at each of its writes in turn, in initialization, release and deletion",
        kind="nginx/weighted",
        round=_killed_in_life,
        introduced=False,
    ),
    "deleted-with-revert": Case(
        about="the Canary is deleted in the middle of a run, with revertOnDeletion",
        kind="nginx/weighted",
        round=_deleted,
        introduced=False,
    ),
    "deleted-without-revert": Case(
        about="the Canary is deleted in the middle of a run; the apex Service was there before",
        kind="nginx/weighted",
        round=_deleted,
        introduced=False,
        revert=False,
        loses="the apex Service goes on selecting the primary, which goes with the Canary",
    ),
    "deleted-with-its-service": Case(
        about="the Canary is deleted in the middle of a run; the apex Service was made for it",
        kind="nginx/weighted",
        round=_deleted,
        introduced=False,
        revert=False,
        service=False,
        loses="the apex Service goes with the Canary",
    ),
}
