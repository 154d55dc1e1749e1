"""The comparison of recordings finds what differs and nothing else."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.fixtures import not_run
from cluster.parity import Recording, compare, load_base, load_reference, load_scenario, scenario_names, shared
from cluster.parity.allowed import REPOSITORY, Allowed, Entry, load_allowed
from cluster.parity.compare import Difference
from cluster.parity.normal import folded_query
from cluster.parity.scenario import NotAtHand, filled
from gradatim.ports.objects import Manifest


@pytest.fixture(scope="module")
def recordings() -> Path:
    """The folder of the reference's recordings."""
    try:
        return shared()
    except NotAtHand as error:
        not_run(str(error))


def changed(recording: Recording, find: Callable[[Manifest], bool], change: Callable[[Manifest], None]) -> Recording:
    """The same recording with the first line that fits changed."""
    lines = copy.deepcopy(recording.lines)
    change(next(line for line in lines if find(line)))
    return Recording(lines)


def shown(reference: Recording, ours: Recording) -> list[str]:
    return [f"{one.what} {one}" for one in compare(reference, ours)]


def test_every_scenario_can_be_read_and_was_recorded(recordings: Path) -> None:
    names = scenario_names()
    assert len(names) == 37
    base = load_base()
    for name in names:
        scenario = load_scenario(name)
        assert set(scenario.groups) <= base.keys()
        assert scenario.steps
        assert load_reference(name).states()


def test_a_recording_is_no_different_from_itself(recordings: Path) -> None:
    for name in scenario_names():
        assert compare(load_reference(name), load_reference(name)) == [], name


def test_other_random_values_are_no_difference(recordings: Path) -> None:
    """Other hashes, ids, cookies, times, addresses and names of namespaces: the same behaviour."""
    for name in ("gatewayapi-affinity", "istio-canary", "nginx-canary", "gates", "alerts"):
        reference = load_reference(name)
        text = json.dumps(reference.lines)
        for pattern in (r'"(lastAppliedSpec|lastPromotedSpec|checksum)": "(\w+)"', r'"flagger-id": "([\w-]+)"'):
            for found in set(re.findall(pattern, text)):
                value = found[-1] if isinstance(found, tuple) else found
                text = text.replace(f'"{value}"', f'"x{value[::-1]}"')
        text = text.replace("cAvKNWJLfP", "QQQQQQQQQQ").replace("PUxfeCeWyL", "RRRRRRRRRR")
        text = re.sub(r'"(lastTransitionTime|lastUpdateTime)": "[^"]*"', r'"\1": "2027-01-01T00:00:00Z"', text)
        text = text.replace("10.96.", "10.97.")
        assert compare(reference, Recording(json.loads(text))) == [], name


def test_a_changed_field_is_found_where_it_first_shows(recordings: Path) -> None:
    reference = load_reference("nginx-canary")

    def rename(line: Manifest) -> None:
        line["state"]["Service/shop-canary"]["spec"]["ports"][0]["name"] = "web"

    ours = changed(reference, lambda line: "state" in line, rename)
    assert shown(reference, ours) == [
        'state state 1 after wait Initialized · Service/shop-canary: spec.ports[0].name: reference "http", ours "web"'
    ]


def test_a_missing_and_a_superfluous_object_are_found(recordings: Path) -> None:
    reference = load_reference("nginx-canary")

    def move(line: Manifest) -> None:
        service = line["state"].pop("Service/shop-canary")
        line["state"]["Service/more"] = service

    found = shown(reference, changed(reference, lambda line: "state" in line, move))
    assert found == [
        "state state 1 after wait Initialized · Service/more: only in ours",
        "state state 1 after wait Initialized · Service/shop-canary: only in reference",
    ]


def test_another_order_of_events_is_found(recordings: Path) -> None:
    reference = load_reference("nginx-canary")
    lines = copy.deepcopy(reference.lines)
    numbers = [number for number, line in enumerate(lines) if "Advance" in line.get("event", {}).get("message", "")]
    first, second = numbers[0], numbers[1]
    lines[first]["event"], lines[second]["event"] = lines[second]["event"], lines[first]["event"]
    assert shown(reference, Recording(lines)) == [
        "events events 2: in another place: Normal Synced: Advance shop.NS canary weight 40"
    ]


def test_another_text_of_an_event_is_found(recordings: Path) -> None:
    reference = load_reference("nginx-canary")

    def reword(line: Manifest) -> None:
        line["event"]["message"] = "Ready!"

    ours = changed(reference, lambda line: "Initialization done" in line.get("event", {}).get("message", ""), reword)
    assert shown(reference, ours) == [
        "events events 1: only in reference: Normal Synced: Initialization done! shop.NS",
        "events events 1: only in ours: Normal Synced: Ready!",
    ]


def test_warnings_about_unfinished_rollouts_are_one_thing_wherever_they_come(recordings: Path) -> None:
    reference = load_reference("nginx-canary")
    lines = [line for line in reference.lines if "not ready" not in line.get("event", {}).get("message", "")]
    assert shown(reference, Recording(lines)) == ["events events: only in reference: not ready: waiting for rollout …"]


def test_another_payload_of_a_hook_is_found(recordings: Path) -> None:
    reference = load_reference("gates")

    def other_phase(line: Manifest) -> None:
        line["payload"]["phase"] = "Failed"

    found = shown(reference, changed(reference, lambda line: line.get("hook") == "promote", other_phase))
    assert found == [
        'hooks hooks 3: only in ours: promote {"checksum": "CHECKSUM", "name": "shop", "namespace": "NS", '
        '"phase": "Failed"}'
    ]


def test_a_skipped_phase_is_found(recordings: Path) -> None:
    reference = load_reference("nginx-canary")

    def skip(line: Manifest) -> None:
        line["write"]["status"]["phase"] = "Promoting"

    ours = changed(reference, lambda line: line.get("write", {}).get("status", {}).get("phase") == "Finalising", skip)
    assert shown(reference, ours) == ["phases phases: only in reference: Finalising"]


def test_ours_tell_phases_by_lines_of_their_own(recordings: Path) -> None:
    reference = load_reference("skip-analysis")
    lines = [
        {"at": line["at"], "phase": line["write"]["status"]["phase"]} if "status" in line.get("write", {}) else line
        for line in reference.lines
    ]
    assert compare(reference, Recording(lines)) == []


def test_a_scenario_that_hangs_is_found(recordings: Path) -> None:
    reference = load_reference("skip-analysis")
    ours = Recording([*reference.lines, {"at": 999.0, "failed": "phase Succeeded not seen in 240 s"}])
    assert shown(reference, ours) == ["outcome end: reference came to its end, ours phase Succeeded not seen"]


def test_white_space_and_the_order_of_matchers_do_not_change_a_query() -> None:
    one = ' sum( rate( requests{ namespace="NS",\n canary!="", status!~"5.*" }[1m] ) ) '
    other = 'sum( rate( requests{status!~"5.*", canary!="", namespace="NS"}[1m] ) )'
    assert folded_query(one) == folded_query(other)
    assert folded_query(one) != folded_query(other.replace("5.*", "4.*"))
    assert folded_query('x{a="},{", b="\\""}') == 'x{a="},{", b="\\""}'


def test_placeholders_are_words() -> None:
    value = {"a": ["HOOKS/slack", "payments.NS", "DNS", {"b": "ANSWERS"}], "n": 1}
    assert filled(value, "ns", "http://h/ns", "http://p") == {
        "a": ["http://h/ns/slack", "payments.ns", "DNS", {"b": "http://p"}],
        "n": 1,
    }


def test_an_allowed_difference_is_let_through_and_an_unneeded_entry_is_named() -> None:
    needed = Entry(what="events", match="Ready!$", why="", decision="x", scenario="nginx-*")
    unneeded = Entry(what="events", match="Never", why="", decision="x")
    maybe = Entry(what="events", match="Never", why="", decision="x", sometimes=True)
    elsewhere = Entry(what="events", match="Never", why="", decision="x", world="real")
    allowed = Allowed([needed, unneeded, maybe, elsewhere])
    fine, wrong = Difference("events", "events 1", "only in ours: Ready!"), Difference("hooks", "x", "Ready!")
    assert allowed.refused("sim", "nginx-canary", [fine, wrong]) == [wrong]
    assert allowed.unused(["sim"], ["nginx-canary", "gates"]) == []  # not everything was played
    assert allowed.refused("sim", "gates", [fine]) == [fine]
    assert allowed.unused(["sim"], ["nginx-canary", "gates"]) == [unneeded]


def test_every_allowed_difference_names_existing_scenarios_and_an_existing_decision(recordings: Path) -> None:
    for entry in load_allowed().entries:
        assert any(entry.speaks_of(world, name) for world in ("sim", "real") for name in scenario_names()), entry
        re.compile(entry.match)
        assert entry.why
        assert (REPOSITORY / entry.decision).is_file(), entry
