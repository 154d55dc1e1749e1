"""Notifiers against their vector files: one file for each module below `providers/notifiers`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from gradatim.ports.errors import ProviderError
from gradatim.ports.http import HttpResponse
from gradatim.ports.notifier import Address, AlertMessage
from gradatim.providers import registry

FILES = sorted((Path(__file__).parents[1] / "vectors/notifiers").glob("*.yaml"))


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An alert and where it goes; what is sent, or why nothing can be."""

    name: str
    message: AlertMessage
    address: Address
    request: dict[str, Any] | None = None
    error: str | None = None


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An answer, and what is wrong with it if it says that nothing was delivered."""

    name: str
    status: int
    text: str
    error: str | None = None


class Vectors(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file."""

    type: str
    messages: tuple[Message, ...]
    answers: tuple[Answer, ...]


ALL = tuple(msgspec.convert(yaml.safe_load(file.read_text()), Vectors) for file in FILES)


def rows(table: str) -> Any:
    found = [
        pytest.param(vectors.type, row, id=f"{vectors.type}: {row.name}")
        for vectors in ALL
        for row in getattr(vectors, table)
    ]
    return pytest.mark.parametrize(("kind", "row"), found)


def test_every_notifier_has_a_vector_file() -> None:
    assert {vectors.type for vectors in ALL} == {notifier.type for notifier in registry.notifiers()}


@rows("messages")
def test_what_is_sent(kind: str, row: Message) -> None:
    """The vectors are the sentences."""
    assert (row.request is None) != (row.error is None)
    if row.error is not None:
        with pytest.raises(ProviderError) as caught:
            registry.notifier(kind).request(row.message, row.address)
        assert caught.value.message == row.error
        return
    sent = msgspec.structs.asdict(registry.notifier(kind).request(row.message, row.address))
    sent |= {"body": json.loads(sent["body"]), "headers": [list(pair) for pair in sent["headers"]]}
    assert sent == {"proxy": ""} | (row.request or {})


@rows("answers")
def test_what_an_answer_means(kind: str, row: Answer) -> None:
    """Some services answer 200 to what they throw away."""
    response = HttpResponse(row.status, {}, row.text.encode())
    if row.error is None:
        registry.notifier(kind).check(response)
        return
    with pytest.raises(ProviderError) as caught:
        registry.notifier(kind).check(response)
    assert caught.value.message == row.error


@pytest.mark.parametrize("kind", [vectors.type for vectors in ALL])
def test_an_address_is_never_shown(kind: str) -> None:
    """Whoever reads it in a log could post to the room."""
    for url in ("SECRET", "http://SECRET@:x", "https://x y/SECRET", "gopher://x/SECRET"):
        with pytest.raises(ProviderError) as caught:
            registry.notifier(kind).request(
                AlertMessage("a.b", "text", "info"), Address(url, channel="c", username="u")
            )
        assert "SECRET" not in caught.value.message
