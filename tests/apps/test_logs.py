"""Log lines: Flagger's JSON keys for machines, plain lines for people, all on standard error."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest

from gradatim.apps import logs


def record(level: int, text: str, *args: object, **bound: object) -> logging.LogRecord:
    """A record as the operator's modules make them."""
    made = logging.getLogger("gradatim.engine.newsroom").makeRecord(
        "gradatim.engine.newsroom", level, "/src/gradatim/engine/newsroom.py", 42, text, args, None, extra=bound
    )
    made.created = 1_700_000_000.25
    return made


def failed(text: str) -> logging.LogRecord:
    """A record with the exception that led to it."""
    made = record(logging.ERROR, text)
    try:
        raise ValueError("no such thing")
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


@pytest.fixture
def _logging_put_back() -> Iterator[None]:
    """`configure` changes the process; leave it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    root.handlers[:], root.level = handlers, level
    for name in ("asyncio", "aiohttp"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_is_one_json_object_with_flaggers_keys() -> None:
    text = logs.Json().format(record(logging.INFO, "Advance %s weight %s", "shop", 20, canary="shop.prod"))
    assert "\n" not in text
    assert json.loads(text) == {
        "level": "info",
        "ts": "2023-11-14T22:13:20.250Z",
        "caller": "newsroom.py:42",
        "msg": "Advance shop weight 20",
        "canary": "shop.prod",
    }


@pytest.mark.parametrize(
    ("level", "word"),
    [
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (logging.WARNING, "warn"),
        (logging.ERROR, "error"),
        (logging.CRITICAL, "fatal"),
    ],
)
def test_levels_have_flaggers_names(level: int, word: str) -> None:
    assert json.loads(logs.Json().format(record(level, "something")))["level"] == word


def test_what_led_to_an_error_is_under_stacktrace() -> None:
    line = json.loads(logs.Json().format(failed("it went wrong")))
    assert line["msg"] == "it went wrong"
    assert line["stacktrace"].startswith("Traceback")
    assert line["stacktrace"].endswith("ValueError: no such thing")


def test_values_that_are_no_text_are_bound_as_text() -> None:
    assert json.loads(logs.Json().format(record(logging.INFO, "x", tries=3)))["tries"] == "3"


def test_people_get_the_time_the_level_the_canary_and_the_message() -> None:
    text = logs.Console().format(record(logging.WARNING, "Halt", canary="shop.prod"))
    assert text == "22:13:20.250 WARNING shop.prod: Halt"
    assert logs.Console().format(record(logging.INFO, "stopped")) == "22:13:20.250 INFO    stopped"
    assert logs.Console().format(failed("oh")).endswith("ValueError: no such thing")


@pytest.mark.usefixtures("_logging_put_back")
@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warn", "error", "fatal"]),
        ("info", ["info", "warn", "error", "fatal"]),
        ("warn", ["warn", "error", "fatal"]),
        ("warning", ["warn", "error", "fatal"]),
        ("error", ["error", "fatal"]),
        ("fatal", ["fatal"]),
        ("panic", ["fatal"]),
    ],
)
def test_what_is_less_than_the_level_is_not_logged(
    capsys: pytest.CaptureFixture[str], level: str, heard: list[str]
) -> None:
    logs.configure(level, "json")
    log = logging.getLogger("gradatim.test")
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(number, "something")
    told = capsys.readouterr()
    assert told.out == ""
    assert [json.loads(line)["level"] for line in told.err.splitlines()] == heard


@pytest.mark.usefixtures("_logging_put_back")
def test_libraries_do_not_chat_even_when_debugging(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "console")
    logging.getLogger("asyncio").debug("Using selector")
    logging.getLogger("aiohttp.access").info("GET /")
    logging.getLogger("gradatim.test").info("hello")
    told = capsys.readouterr().err
    assert re.fullmatch(r"[\d:.]{12} INFO    hello\n", told)
