"""What the playground notes and shows: the journal, the screen, the lines, the picture and the summary."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console

from gradatim.apps.manifests import crds
from gradatim.apps.playground import view
from gradatim.apps.playground.journal import Journal, Line
from gradatim.apps.playground.shows import Show
from gradatim.ports.objects import CANARY, EVENT, Manifest, Ref
from gradatim.sim.apiserver import api_server
from gradatim.sim.crds import DEFINITION
from gradatim.sim.load import Load, Request
from gradatim.sim.store import Store

NOW = "2026-09-21T13:46:40Z"
HELLO = Ref(CANARY, "test", "hello")
SPEC: Manifest = {
    "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "hello-v1"},
    "analysis": {"interval": "10s", "threshold": 2, "iterations": 4},
}


def cluster() -> Store:
    """A store with our definitions, the namespace and the Canary."""
    store = api_server(lambda: 1_790_000_000.0).store
    for manifest in crds():
        store.create(Ref(DEFINITION, "", manifest["metadata"]["name"]), manifest)
    space = next(kind.resource for kind in store.kinds() if kind.resource.kind == "Namespace")
    store.create(Ref(space, "", "test"), {"metadata": {"name": "test"}})
    return store


def canary(**status: object) -> Manifest:
    """The Canary with a status."""
    return {"metadata": {"name": "hello", "namespace": "test"}, "spec": SPEC, "status": status}


def tell(store: Store, text: str, *, about: str = "Canary", warning: bool = False) -> None:
    """Write an Event as the operator does."""
    involved = {"apiVersion": CANARY.api_version, "kind": about, "name": "hello", "namespace": "test"}
    name = f"hello.{store.version}"
    event = {
        "metadata": {"name": name},
        "involvedObject": involved,
        "message": text,
        "type": "Warning" if warning else "Normal",
        "reason": "Synced",
        "source": {"component": "flagger"},
        "reportingComponent": "flagger",
    }
    store.create(Ref(EVENT, "test", name), event)


def users(journal: Journal) -> Load:
    """Requests that the journal listens to; none is sent."""
    load = Load(Request("127.0.0.1", 1), rate=1.0)
    journal.listen(load)
    return load


def answer(load: Load, version: str, number: int, status: int = 200) -> None:
    """Count answers as if they had come."""
    for tally in (load.total, load.recent):
        tally.statuses[status] += number
        tally.versions[version] += number


def drawn(what: object, width: int = 112) -> str:
    """What a terminal of this width shows."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(what)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def texts(journal: Journal) -> list[tuple[str, str]]:
    """Kind and text of every line."""
    return [(line.kind, line.text) for line in journal.lines]


def show(store: Store, **status: object) -> None:
    """Let the Canary have this status, as the operator writes it."""
    if store.peek(HELLO) is None:
        store.create(HELLO, canary())
    store.update(HELLO, canary(**status), "status")


def test_the_journal_notes_phases_and_events_of_the_canary_and_nothing_else() -> None:
    store = cluster()
    journal = Journal(store, HELLO)
    for phase in ("Initializing", "Initializing", "Initialized"):
        show(store, phase=phase, canaryWeight=0, failedChecks=0, iterations=0, lastTransitionTime=NOW)
    tell(store, "Initialization done! hello.test")
    tell(store, "Halt hello.test advancement", warning=True)
    tell(store, "Scaled up replica set", about="Deployment")
    journal.say("kubectl apply -f app.yaml")
    assert texts(journal) == [
        ("phase", "Initializing"),
        ("phase", "Initialized"),
        ("event", "Initialization done! hello.test"),
        ("warning", "Halt hello.test advancement"),
        ("you", "kubectl apply -f app.yaml"),
    ]
    assert [line.text for line in journal.fresh] == [text for _, text in texts(journal)]


def test_the_journal_counts_who_answers_and_tells_of_lost_requests() -> None:
    journal = Journal(cluster(), HELLO)
    journal.sample()
    assert journal.shares == {}
    load = users(journal)
    answer(load, "v1", 75)
    answer(load, "v2", 25)
    journal.sample()
    assert journal.shares == {"v1": 0.75, "v2": 0.25}
    assert journal.lost == 0
    for tally in (load.total, load.recent):
        tally.failures["refused"] += 2
        tally.statuses[502] += 1
        tally.strays[502] += 1
    journal.sample()
    assert journal.shares == {"v1": 0.75, "v2": 0.25}
    assert journal.lost == 3
    assert texts(journal) == [("warning", "1 requests failed: 502"), ("warning", "2 requests failed: refused")]


def test_errors_of_a_version_are_its_answers_and_not_lost_requests() -> None:
    """Version 3 answers 5xx: that is what the release is rolled back for, not the proxy's failure."""
    journal = Journal(cluster(), HELLO)
    answer(users(journal), "v3", 10, status=500)
    journal.sample()
    assert journal.lost == 0
    assert journal.shares == {"v3": 1.0}


def busy() -> tuple[Journal, Load]:
    """A journal in the middle of a run."""
    store = cluster()
    journal = Journal(store, HELLO)
    journal.chapter = "version 2, which is good"
    checks = [
        {"name": "error-rate", "verdict": "passed", "value": "0.00", "limit": "at most 0", "time": NOW},
        {"name": "request-duration", "verdict": "no data", "value": "", "limit": "at most 500", "time": NOW},
    ]
    show(
        store,
        phase="Progressing",
        iterations=3,
        canaryWeight=40,
        failedChecks=1,
        lastTransitionTime=NOW,
        waitingFor="the next check",
        checks=checks,
    )
    tell(store, "Halt hello.test advancement no values found", warning=True)
    load = users(journal)
    answer(load, "v1", 1500)
    answer(load, "v2", 500)
    journal.sample()
    return journal, load


def test_the_screen_shows_phase_split_checks_answers_and_what_was_said() -> None:
    journal, _ = busy()
    text = drawn(view.screen(journal))
    assert "Gradatim playground" in text
    assert "version 2, which is good" in text
    lines = {
        line.split()[1]: " ".join(line.strip("│ \n").split()) for line in text.splitlines() if len(line.split()) > 2
    }
    assert lines["phase"] == ("phase Progressing iteration 3 weight 40 failed checks 1 waiting for the next check")
    assert lines["traffic"].count("█") == view.BAR
    assert lines["answered"] == "answered v1 75% v2 25% v1: 1,500 v2: 500 failed requests: 0"
    assert lines["error-rate"] == "error-rate 0.00 at most 0 passed"
    assert lines["request-duration"] == "request-duration – at most 500 no data"
    assert "→ Progressing" in text
    assert "! Halt hello.test advancement no values found" in text


def test_the_screen_of_nothing_at_all_is_a_screen() -> None:
    text = drawn(view.screen(Journal(cluster(), HELLO)))
    assert "none yet" in text
    assert "failed requests: 0" in text


def test_the_screen_keeps_to_the_width_of_the_terminal() -> None:
    journal, _ = busy()
    journal.say("x" * 300)
    assert {len(line) for line in drawn(view.screen(journal), width=90).splitlines()} == {90}


def test_the_screen_shows_the_latest_lines_only() -> None:
    journal = Journal(cluster(), HELLO)
    for number in range(view.LINES + 5):
        journal.say(f"line {number}.")
    text = drawn(view.screen(journal))
    assert "line 4." not in text
    assert "line 5." in text
    assert f"line {view.LINES + 4}." in text


@pytest.mark.parametrize(("kind", "mark"), [("warning", "!"), ("event", "·"), ("phase", "→"), ("you", "$")])
def test_every_sort_of_line_has_a_mark_of_its_own(kind: str, mark: str) -> None:
    assert view.line_text(Line(12.34, kind, "something")).plain == f" 12.3 {mark} something"


def summed_up(journal: Journal, *outcomes: tuple[str, bool]) -> str:
    """The summary as it is printed."""
    output = io.StringIO()
    view.summary(Console(file=output, width=200, highlight=False), journal, list(outcomes), "nginx")
    return output.getvalue()


def test_the_summary_says_that_it_worked() -> None:
    journal, _ = busy()
    text = summed_up(journal, ("v2 was promoted", True))
    assert "It worked (provider nginx" in text
    assert "✓ v2 was promoted" in text
    assert "✓ 2,000 requests: v1 answered 1,500, v2 answered 500; failed requests: 0" in text


@pytest.mark.parametrize("loses", [False, True])
def test_the_summary_says_that_it_did_not_work_when_anything_is_wrong(loses: bool) -> None:
    journal, load = busy()
    if loses:
        load.total.failures["reset"] += 1
    text = summed_up(journal, ("v2 was promoted", True), ("v3 was rolled back", loses))
    assert "It did not work" in text
    assert ("✗ v3 was rolled back" in text) is not loses
    assert ("✗ 2,001 requests" in text) is loses
    assert ("reset: 1" in text) is loses


@pytest.mark.asyncio
async def test_without_a_terminal_every_line_is_printed_once_and_the_end_is_not_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    journal = Journal(cluster(), HELLO)
    shown = Show(journal, plain=False, picture=None)
    async with shown.running():
        journal.say("first")
        await asyncio.sleep(0)
        journal.say("last")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("$ ")[1] for line in lines] == ["first", "last"]


@pytest.mark.asyncio
async def test_the_picture_is_that_of_the_moment_with_the_most_to_see(
    virtual_time: object, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    journal, load = busy()
    picture = tmp_path / "screen.svg"
    async with Show(journal, plain=True, picture=str(picture)).running():
        answer(load, "v1", 50)
        answer(load, "v2", 50)
        await asyncio.sleep(1)
        best = picture.read_text()
        answer(load, "v1", 99)
        answer(load, "v2", 1)
        await asyncio.sleep(1)
    assert picture.read_text() == best
    assert best.startswith("<svg")
    assert "gradatim&#160;playground" in best or "gradatim playground" in best
    words = best.replace("&#160;", " ")
    assert "v1  50%" in words
    assert "error-rate" in words
    capsys.readouterr()


@pytest.mark.parametrize(
    ("outcomes", "lost", "good"),
    [([("a", True)], 0, True), ([("a", True), ("b", False)], 0, False), ([("a", True)], 1, False)],
)
def test_a_release_went_well_only_if_every_outcome_is_right_and_nothing_was_lost(
    capsys: pytest.CaptureFixture[str], outcomes: list[tuple[str, bool]], lost: int, good: bool
) -> None:
    journal, load = busy()
    load.total.failures["refused"] += lost
    assert Show(journal, plain=True, picture=None).summary(outcomes, "nginx") is good
    assert capsys.readouterr().out
