"""Nobody's request is lost on a real API server: real ones, through an unmodified Traefik, for each way of moving them.

It is all played once, by a program of its own in a network namespace of its own; see `traffic`.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import msgspec
import pytest

from cluster import crds
from cluster.binaries import NotAtHand
from cluster.fixtures import not_run
from cluster.processes import Process
from cluster.traffic import space
from cluster.traffic.entrances import ENTRANCES
from cluster.traffic.findings import Findings, Split, Told
from cluster.traffic.pods import BAD
from cluster.traffic.story import ENOUGH, SOME

# With the other tests of a real control plane, so that no two of them share the machine.
pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]

TESTS = Path(__file__).resolve().parents[1]
LIMIT = 400.0
"""Seconds that all of it may take; a quiet machine needs 50."""
DEVIATIONS = 4.5
"""How many standard deviations of a fair draw a split may be off: less than one draw in 100,000 is, by chance."""

MESHES = [entrance.mesh for entrance in ENTRANCES]


@pytest.fixture(scope="module")
def findings(control_plane_programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """What all stories came to."""
    try:
        for system in ("traefik", "gatewayapi"):
            crds.definitions(system)  # fetched out here, since nothing can be in there
        entrance = space.entrance()
    except (NotAtHand, space.NoSpace) as error:
        not_run(str(error))
    folder = tmp_path_factory.mktemp("traffic")
    out, log = folder / "findings.json", folder / "play.log"
    env = {"PYTHONPATH": ":".join(filter(None, (str(TESTS), *sys.path))), "TMPDIR": str(folder)}
    play = Process([*entrance, sys.executable, "-m", "cluster.traffic.play", out], log, env)
    try:
        code = play.wait(LIMIT)
    finally:
        play.kill()
    assert code == 0, f"ended with {code}: {play.last_words()}"
    return msgspec.json.decode(out.read_bytes(), type=Findings)


@pytest.fixture(params=MESHES)
def told(findings: Findings, request: pytest.FixtureRequest) -> Told:
    """One story."""
    assert request.param in findings.told, f"{findings.broken[request.param]}\n{findings.log}"
    return findings.told[request.param]


def test_every_request_is_answered_by_the_application(told: Told, findings: Findings) -> None:
    """From before the Canary until after it, whether connections are kept or not; the proxy has nothing to say."""
    lost = {chapter: counts.lost for chapter, counts in told.chapters.items() if counts.lost}
    assert lost == {}, findings.log
    assert all(counts.requests >= SOME for counts in told.chapters.values())


def test_every_split_is_the_weights(told: Told) -> None:
    """As far as chance allows, once Traefik says that it has taken the weight over."""
    assert [split for split in told.splits if not within_bounds(split)] == []
    weights = [split.wanted for split in told.splits if split.wanted < 100]
    assert len(weights) >= 3
    assert all(split.counts.requests >= ENOUGH for split in told.splits if split.wanted < 100)


def within_bounds(split: Split) -> bool:
    """Whether a version got its share: all of them, or what a draw of so many requests may come to."""
    number, share = split.counts.requests, split.wanted / 100
    seen = split.counts.versions.get(split.version, 0)
    return abs(seen - number * share) <= DEVIATIONS * math.sqrt(number * share * (1 - share))


def test_only_the_bad_version_answers_with_errors(told: Told) -> None:
    """And users see it only between its first weight and the rollback."""
    for chapter, counts in told.chapters.items():
        bad = counts.versions.get(BAD, 0)
        assert counts.statuses == {200: counts.requests - bad} | ({500: bad} if bad else {}), chapter
    seen = [chapter for chapter, counts in told.chapters.items() if BAD in counts.versions]
    assert seen[0] == f"{BAD} at weight 10"
    assert set(seen[1:]) <= {"back to v2"}


def test_what_users_had_made_is_given_back(told: Told) -> None:
    """Nothing of ours is left when the Canary is gone."""
    assert told.after == told.before
    assert told.splits[-1].when == "deletion"


def test_the_operator_needs_no_more_than_the_shipped_rights(findings: Findings) -> None:
    assert findings.forbidden == []
