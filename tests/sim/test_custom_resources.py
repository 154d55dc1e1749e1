"""Custom resources: read, completed, checked and shown by what their definition says of them.

The texts of most refusals are compared with a real server's in `test_recorded_answers.py`.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
from talk import (
    DEFINITIONS,
    LAMPS,
    MERGE,
    TABLE,
    Clock,
    ask,
    causes,
    done,
    lamp,
    lamp_definition,
    patched,
    refused,
    server,
    with_lamps,
)

from gradatim.ports.objects import Manifest

pytestmark = pytest.mark.asyncio

LAMP = f"{LAMPS}/desk"


def definition(schema: Manifest, **version: Any) -> Manifest:
    """The lamps with another schema."""
    return lamp_definition(schema={"openAPIV3Schema": schema}, selectableFields=[], subresources={}, **version)


def of_spec(**properties: Any) -> Manifest:
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}


async def test_defaults_come_in_and_unknown_fields_stay_out_with_a_warning() -> None:
    answer = await ask(with_lamps(server()), "POST", LAMPS, lamp(shade=1, nested={"dim": True}))
    assert answer.json()["spec"] == {"watts": 5, "colour": "red", "nested": {"on": True}}
    assert answer.headers["Warning"] == (
        '299 - "unknown field \\"spec.nested.dim\\"", 299 - "unknown field \\"spec.shade\\""'
    )


async def test_strict_validation_refuses_unknown_fields_and_ignore_says_nothing() -> None:
    api = with_lamps(server())
    status = await refused(api, "POST", f"{LAMPS}?fieldValidation=Strict", lamp(shade=1))
    assert status["message"] == (
        'Lamp in version "v1" cannot be handled as a Lamp: strict decoding error: unknown field "spec.shade"'
    )
    answer = await ask(api, "POST", f"{LAMPS}?fieldValidation=Ignore", lamp(shade=1))
    assert answer.status == 201
    assert "Warning" not in answer.headers


async def test_null_is_kept_where_it_belongs_and_means_the_default_elsewhere() -> None:
    made = await done(with_lamps(server()), "POST", LAMPS, lamp(maybe=None, colour=None, name=None, nested=None))
    assert made["spec"] == {"watts": 5, "maybe": None, "colour": "red", "nested": {"on": True}}


async def test_free_fields_keep_what_they_are_given() -> None:
    free = {"a": [1, {"b": None}], "c": 2.5}
    assert (await done(with_lamps(server()), "POST", LAMPS, lamp(free=free)))["spec"]["free"] == free


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"watts": 101}, "spec.watts", "spec.watts in body should be less than or equal to 100"),
        ({"colour": "green"}, "spec.colour", 'Unsupported value: "green": supported values: "red", "blue"'),
        ({"name": "A1"}, "spec.name", "spec.name in body should match '^[a-z]+$'"),
        ({"tags": ["a", "a"]}, "spec.tags[1]", 'Duplicate value: "a"'),
        ({"parts": [{"name": "a"}, {"name": "a"}]}, "spec.parts[1]", 'Duplicate value: {"name":"a"}'),
        ({"parts": [{}]}, "spec.parts[0].name", "Required value"),
        ({"choice": {}}, "spec.choice.a", "Required value"),
        ({"since": "yesterday"}, "spec.since", "must be of type date-time"),
        ({"min": 2, "max": 1}, "spec", "min must not exceed max"),
        ({"port": True}, "spec.port", "spec.port in body must be of type integer"),
    ],
)
async def test_what_the_schema_forbids_is_refused(spec: Manifest, field: str, message: str) -> None:
    status = await refused(with_lamps(server()), "POST", LAMPS, lamp(**spec))
    assert status["reason"] == "Invalid"
    assert message in causes(status)[field]


async def test_a_rule_about_the_old_object_speaks_on_updates_only() -> None:
    api = with_lamps(server())
    await done(api, "POST", LAMPS, lamp(name="abc"))
    status = await refused(api, "PATCH", LAMP, {"spec": {"name": "abd"}}, content_type=MERGE)
    assert causes(status) == {"spec": "Invalid value: name is fixed"}


async def test_what_was_wrong_before_may_stay_as_it_is() -> None:
    """A schema that has become stricter does not stop changes elsewhere."""
    api = with_lamps(server())
    await done(api, "POST", LAMPS, lamp(name="abcde"))
    stricter = await done(api, "GET", f"{DEFINITIONS}/lamps.example.com")
    spec = stricter["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["name"]["maxLength"] = 3
    await done(api, "PUT", f"{DEFINITIONS}/lamps.example.com", stricter)
    assert (await patched(api, LAMP, {"spec": {"watts": 9}}))["spec"]["name"] == "abcde"
    status = await refused(api, "PATCH", LAMP, {"spec": {"name": "abcdef"}}, content_type=MERGE)
    assert "spec.name" in causes(status)


async def test_a_rule_that_cannot_be_evaluated_is_reported_once_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    schema = of_spec(at={"type": "string"})
    schema["properties"]["spec"]["x-kubernetes-validations"] = [{"rule": "quantity(self.at).isInteger()"}]
    with caplog.at_level(logging.WARNING):
        api = server()
        await done(api, "POST", DEFINITIONS, definition(schema))
        await patched(api, f"{DEFINITIONS}/lamps.example.com", {"metadata": {"labels": {"a": "b"}}})
    assert [record.message for record in caplog.records] == [
        "validation rule is not evaluated: unknown method isInteger: quantity(self.at).isInteger()"
    ]
    assert (await ask(api, "POST", LAMPS, lamp(at="x"))).status == 201


@pytest.mark.parametrize(
    ("rule", "why"), [("self.at ==", "Syntax error"), ("self.on == 'x'", "undefined field 'on'"), ("", "not specified")]
)
async def test_a_rule_that_makes_no_sense_is_refused(rule: str, why: str) -> None:
    schema = of_spec(at={"type": "string"})
    schema["properties"]["spec"]["x-kubernetes-validations"] = [{"rule": rule}]
    (told,) = causes(await refused(server(), "POST", DEFINITIONS, definition(schema))).values()
    assert why in told


async def test_status_has_its_own_door_and_no_generation() -> None:
    api = with_lamps(server())
    made = await done(api, "POST", LAMPS, lamp() | {"status": {"lit": True}})
    assert "status" not in made
    assert made["metadata"]["generation"] == 1
    lit = await patched(
        api, f"{LAMP}/status", {"status": {"lit": True}, "spec": {"watts": 99}, "metadata": {"labels": {}}}
    )
    assert (lit["spec"]["watts"], lit["status"], lit["metadata"]["generation"]) == (5, {"lit": True}, 1)
    brighter = await patched(api, LAMP, {"spec": {"watts": 6}, "status": {"lit": False}})
    assert (brighter["status"], brighter["metadata"]["generation"]) == ({"lit": True}, 2)
    labelled = await patched(api, LAMP, {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["generation"] == 2


async def test_without_a_status_of_its_own_status_is_a_field_like_any_other() -> None:
    api = server()
    await done(api, "POST", DEFINITIONS, lamp_definition(subresources={}))
    made = await done(api, "POST", LAMPS, lamp() | {"status": {"lit": True}})
    assert made["status"] == {"lit": True}
    dark = await patched(api, LAMP, {"status": {"lit": False}})
    assert dark["metadata"]["generation"] == 2


async def test_scale_reads_and_writes_where_the_definition_says() -> None:
    api = with_lamps(server())
    await done(api, "POST", LAMPS, lamp(replicas=2))
    await patched(api, f"{LAMP}/status", {"status": {"replicas": 1}})
    scale = await done(api, "GET", f"{LAMP}/scale")
    assert (scale["kind"], scale["spec"], scale["status"]) == ("Scale", {"replicas": 2}, {"replicas": 1})
    assert (await patched(api, f"{LAMP}/scale", {"spec": {"replicas": 7}}))["spec"] == {"replicas": 7}
    assert (await done(api, "GET", LAMP))["spec"]["replicas"] == 7


async def test_an_object_is_the_same_in_every_version_but_for_its_version() -> None:
    api, other = server(), LAMPS.replace("/v1/", "/v2/")
    given = lamp_definition()
    given["spec"]["versions"].append({**given["spec"]["versions"][0], "name": "v2", "storage": False})
    await done(api, "POST", DEFINITIONS, given)
    made = await done(api, "POST", LAMPS, lamp())
    seen = await done(api, "GET", f"{other}/desk")
    assert seen == made | {"apiVersion": "example.com/v2"}
    listed = await done(api, "GET", other)
    assert (listed["apiVersion"], listed["items"][0]["apiVersion"]) == ("example.com/v2", "example.com/v2")


async def test_the_end_of_a_definition_is_the_end_of_its_objects() -> None:
    api = with_lamps(server())
    await done(api, "POST", LAMPS, lamp())
    await patched(api, LAMP, {"metadata": {"finalizers": ["example.com/hold"]}})
    await done(api, "DELETE", f"{DEFINITIONS}/lamps.example.com")
    ending = await done(api, "GET", LAMP)
    assert "deletionTimestamp" in ending["metadata"]
    terminating = (await done(api, "GET", f"{DEFINITIONS}/lamps.example.com"))["status"]["conditions"][-1]
    assert (terminating["type"], terminating["status"]) == ("Terminating", "True")
    await patched(api, LAMP, {"metadata": {"finalizers": None}})
    assert (await refused(api, "GET", f"{DEFINITIONS}/lamps.example.com"))["code"] == 404
    assert (await ask(api, "GET", LAMPS)).body == b"404 page not found\n"
    assert (await ask(with_lamps(api), "GET", LAMPS)).json()["items"] == []


async def test_printer_columns_fill_a_table() -> None:
    clock = Clock()
    api = with_lamps(server(clock))
    await done(api, "POST", LAMPS, lamp())
    await done(api, "POST", LAMPS, lamp("hall", watts=60))
    await patched(api, f"{LAMPS}/hall/status", {"status": {"lit": True}})
    clock.seconds += 90
    table = await done(api, "GET", LAMPS, accept=TABLE)
    assert [(one["name"], one["type"], one["priority"]) for one in table["columnDefinitions"]] == [
        ("Name", "string", 0),
        ("Watts", "integer", 0),
        ("Lit", "boolean", 1),
        ("Age", "date", 0),
    ]
    assert [row["cells"] for row in table["rows"]] == [["desk", 5, None, "90s"], ["hall", 60, True, "90s"]]


async def test_a_field_selector_can_name_the_selectable_fields() -> None:
    api = with_lamps(server())
    await done(api, "POST", LAMPS, lamp())
    await done(api, "POST", LAMPS, lamp("hall", colour="blue"))
    found = await done(api, "GET", f"{LAMPS}?fieldSelector=spec.colour%3Dblue")
    assert [one["metadata"]["name"] for one in found["items"]] == ["hall"]
    status = await refused(api, "GET", f"{LAMPS}?fieldSelector=spec.watts%3D5")
    assert status["message"] == "field label not supported: spec.watts"


async def test_a_deprecated_version_says_so_with_every_answer() -> None:
    api = server()
    await done(api, "POST", DEFINITIONS, lamp_definition(deprecated=True, deprecationWarning="use candles"))
    answer = await ask(api, "GET", LAMPS)
    assert answer.headers.get("Warning") == '299 - "use candles"'
