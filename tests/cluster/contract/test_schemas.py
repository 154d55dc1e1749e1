"""Contract: what definitions say is done: pruning, defaults, validation with its messages, CEL rules."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.client import CRD, MERGE
from cluster.contract.servers import WIDGET, WIDGETS, Server, manifest
from gradatim.ports.objects import Manifest

UNCHECKED = (
    "<nil>",
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)
"""What the server adds to other complaints where a schema has CEL rules."""


async def spec_after(server: Server, **spec: object) -> Manifest:
    created: Manifest = (await server.create(WIDGET, "w", spec={"weight": 1, **spec}))["spec"]
    return created


@pytest.mark.asyncio
async def test_unknown_fields_are_pruned_at_every_depth(server: Server) -> None:
    spec = await spec_after(server, nope=1, target={"kind": "a", "name": "b", "nope": 1}, hooks=[_hook(nope=1)])
    assert "nope" not in spec
    assert "nope" not in spec["target"]
    assert "nope" not in spec["hooks"][0]


@pytest.mark.asyncio
async def test_preserved_places_keep_everything(server: Server) -> None:
    anything = {"a": [1, {"b": None}], "c": {"d": 1.5}}
    assert (await spec_after(server, anything=anything))["anything"] == anything
    labels = {"any.name/at-all": "x"}
    await server.client.delete(WIDGET, server.namespace, "w")
    assert (await spec_after(server, labels=labels))["labels"] == labels


@pytest.mark.asyncio
async def test_defaults_fill_gaps_and_only_gaps(server: Server) -> None:
    spec = await spec_after(server, mode="fast", target={"kind": "a", "name": "b"}, hooks=[_hook()])
    assert (spec["mode"], spec["replicas"]) == ("fast", 1)
    assert spec["target"]["scale"] == {"min": 1}
    assert spec["hooks"][0]["timeout"] == "10s"
    # A default needs its parent: no target, no scale of a target.
    await server.client.delete(WIDGET, server.namespace, "w")
    assert "target" not in await spec_after(server)


@pytest.mark.asyncio
async def test_null_where_it_is_not_allowed_counts_as_absent(server: Server) -> None:
    spec = await spec_after(server, mode=None, paused=None)
    assert spec["mode"] == "slow"
    assert spec["paused"] is None


@pytest.mark.asyncio
async def test_whole_numbers_may_be_written_as_floats(server: Server) -> None:
    spec = await spec_after(server, ratio=1, steps=[2.0])
    assert (spec["ratio"], spec["steps"]) == (1, [2])


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({}, "spec.weight", "Required value"),
        ({"weight": 1, "target": {"kind": "a"}}, "spec.target.name", "Required value"),
        (
            {"weight": "one"},
            "spec.weight",
            'Invalid value: "string": spec.weight in body must be of type integer: "string"',
        ),
        (
            {"weight": 1.5},
            "spec.weight",
            'Invalid value: "number": spec.weight in body must be of type integer: "number"',
        ),
        ({"weight": 101}, "spec.weight", "Invalid value: 101: spec.weight in body should be less than or equal to 100"),
        ({"weight": -1}, "spec.weight", "Invalid value: -1: spec.weight in body should be greater than or equal to 0"),
        ({"weight": 1, "mode": "odd"}, "spec.mode", 'Unsupported value: "odd": supported values: "fast", "slow"'),
        (
            {"weight": 1, "interval": "1h"},
            "spec.interval",
            "Invalid value: \"1h\": spec.interval in body should match '^[0-9]+(m|s)$'",
        ),
        (
            {"weight": 1, "port": 1.5},
            "spec.port",
            'Invalid value: "number": spec.port in body must be of type integer,string: "number"',
        ),
        (
            {"weight": 1, "created": "yesterday"},
            "spec.created",
            'Invalid value: "yesterday": spec.created in body must be of type date-time: "yesterday"',
        ),
        (
            {"weight": 1, "tags": ["toolong"]},
            "spec.tags[0]",
            "Too long: may not be more than 5 bytes",
        ),
        ({"weight": 1, "tags": ["a", "a"]}, "spec.tags[1]", 'Duplicate value: "a"'),
        ({"weight": 1, "steps": []}, "spec.steps", "Invalid value: 0: spec.steps in body should have at least 1 items"),
        (
            {"weight": 1, "steps": [1, 2, 3, 4]},
            "spec.steps",
            "Too many: 4: must have at most 3 items",
        ),
        (
            {"weight": 1, "hooks": [{"name": "a", "url": "u"}, {"name": "a", "url": "v"}]},
            "spec.hooks[1]",
            'Duplicate value: {"name":"a"}',
        ),
        (
            {"weight": 1, "target": {"kind": "a", "name": ""}},
            "spec.target.name",
            'Invalid value: "": spec.target.name in body should be at least 1 chars long',
        ),
        (
            {"weight": 1, "choice": {"a": "x", "b": "y"}},
            "<nil>",
            'Invalid value: "": "spec.choice" must validate one and only one schema (oneOf). '
            "Found 2 valid alternatives",
        ),
        ({"weight": 9, "ceiling": 5}, "spec", "Invalid value: weight must not exceed ceiling"),
    ],
)
@pytest.mark.asyncio
async def test_what_is_wrong_is_said(server: Server, spec: dict[str, Any], field: str, message: str) -> None:
    answer = await server.refusal(WIDGET, "w", spec=spec)
    assert (answer.status, answer.reason) == (422, "Invalid")
    causes = {cause["field"]: cause for cause in answer.body["details"]["causes"]}
    assert field in causes, answer.message
    assert causes[field]["message"] == message
    assert answer.body["details"]["name"] == "w"
    assert answer.body["details"]["group"] == "contract.test"
    assert answer.body["details"]["kind"] == "Widget"


@pytest.mark.asyncio
async def test_several_complaints_come_together(server: Server) -> None:
    """In no particular order, and with a word about the rules that were not looked at."""
    answer = await server.refusal(WIDGET, "w", spec={"weight": 101, "mode": "odd"})
    causes = {(cause["field"], cause["reason"], cause["message"]) for cause in answer.body["details"]["causes"]}
    assert causes == {
        (
            "spec.weight",
            "FieldValueInvalid",
            "Invalid value: 101: spec.weight in body should be less than or equal to 100",
        ),
        ("spec.mode", "FieldValueNotSupported", 'Unsupported value: "odd": supported values: "fast", "slow"'),
        UNCHECKED,
    }
    assert answer.message.startswith('Widget.contract.test "w" is invalid: [')
    assert 'spec.mode: Unsupported value: "odd": supported values: "fast", "slow", ' in answer.message


@pytest.mark.asyncio
async def test_a_missing_spec_is_required(server: Server) -> None:
    answer = await server.refusal(WIDGET, "w")
    assert answer.message == (
        f'Widget.contract.test "w" is invalid: [spec: Required value, {UNCHECKED[0]}: {UNCHECKED[2]}]'
    )


@pytest.mark.asyncio
async def test_a_broken_rule_alone_is_one_plain_sentence(server: Server) -> None:
    answer = await server.refusal(WIDGET, "w", spec={"weight": 9, "ceiling": 5})
    assert answer.message == (
        'Widget.contract.test "w" is invalid: spec: Invalid value: weight must not exceed ceiling'
    )


@pytest.mark.asyncio
async def test_a_rule_compares_with_what_was(server: Server) -> None:
    await spec_after(server, owner="a")
    where = server.path(WIDGET, "w")
    answer = await server.client.ask("PATCH", where, {"spec": {"owner": "b"}}, content_type=MERGE)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message == ('Widget.contract.test "w" is invalid: spec.owner: Invalid value: owner cannot be changed')
    assert (await server.client.ask("PATCH", where, {"spec": {"weight": 2}}, content_type=MERGE)).ok


@pytest.mark.asyncio
async def test_a_port_may_be_a_name_or_a_number(server: Server) -> None:
    for port in (80, "http"):
        spec = await spec_after(server, port=port)
        assert spec["port"] == port
        await server.client.delete(WIDGET, server.namespace, "w")


@pytest.mark.asyncio
async def test_one_of_two_choices_is_accepted(server: Server) -> None:
    assert (await spec_after(server, choice={"a": "x"}))["choice"] == {"a": "x"}


@pytest.mark.asyncio
async def test_a_definition_that_is_not_structural_is_refused(server: Server) -> None:
    definition = {**WIDGETS, "metadata": {"name": "gadgets.contract.test"}}
    names = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"}
    version = {"name": "v1", "served": True, "storage": True}
    definition["spec"] = {"group": "contract.test", "scope": "Namespaced", "names": names, "versions": [version]}
    answer = await server.client.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "spec.versions[0].schema.openAPIV3Schema: Required value" in answer.message
    assert await server.client.find(CRD, "", "gadgets.contract.test") is None


@pytest.mark.asyncio
async def test_kinds_and_versions_must_be_those_of_the_path(server: Server) -> None:
    body = {**manifest(WIDGET, "w", spec={"weight": 1}), "apiVersion": "contract.test/v2"}
    answer = await server.client.ask("POST", server.path(WIDGET), body)
    assert (answer.status, answer.reason) == (400, "BadRequest")
    assert answer.message == (
        "the API version in the data (contract.test/v2) does not match the expected API version (contract.test/v1)"
    )
    body = {**manifest(WIDGET, "w", spec={"weight": 1}), "kind": "Gadget"}
    answer = await server.client.ask("POST", server.path(WIDGET), body)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message == ('Gadget.contract.test "w" is invalid: kind: Invalid value: "Gadget": must be Widget')


def _hook(**more: object) -> Manifest:
    return {"name": "a", "url": "u", **more}
