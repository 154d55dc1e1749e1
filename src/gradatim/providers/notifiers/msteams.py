"""Microsoft Teams: a MessageCard posted to an incoming webhook. Room, sender and token are part of the address.

Source: Microsoft's reference of the legacy actionable message card.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from gradatim.ports.http import HttpRequest
from gradatim.ports.notifier import Address, AlertMessage, Notifier
from gradatim.providers.chat import checked_url, post, require_delivered

CALM, ALARMING = "0076D7", "FF0000"


class _Fact(msgspec.Struct, frozen=True):
    name: str
    value: str


class _Section(msgspec.Struct, frozen=True, rename="camel"):
    activity_title: str
    activity_subtitle: str
    facts: tuple[_Fact, ...]


class _Card(msgspec.Struct, frozen=True, rename="camel"):
    theme_color: str
    summary: str
    sections: tuple[_Section, ...]
    type: str = msgspec.field(name="@type", default="MessageCard")
    context: str = msgspec.field(name="@context", default="http://schema.org/extensions")


def request(message: AlertMessage, address: Address) -> HttpRequest:
    """The request that posts an alert."""
    url = checked_url(address.url, "MS Teams webhook")
    facts = tuple(_Fact(name, value) for name, value in message.fields)
    card = _Card(
        theme_color=ALARMING if message.severity == "error" else CALM,
        summary=message.author,
        sections=(_Section(message.text, message.author, facts),),
    )
    return post(url, replace(address, token=""), card)


NOTIFIERS = (Notifier(type="msteams", request=request, check=require_delivered),)
