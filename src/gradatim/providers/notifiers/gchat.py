"""Google Chat: a card posted to a space's webhook. Room, sender and token are part of the address.

Source: Google's reference of cards v1, whose text paragraphs are a small HTML: what we put into them is escaped.
"""

from __future__ import annotations

from html import escape

import msgspec
from msgspec.structs import replace

from gradatim.ports.http import HttpRequest
from gradatim.ports.notifier import Address, AlertMessage, Notifier
from gradatim.providers.chat import checked_url, post, require_delivered


class _Text(msgspec.Struct, frozen=True):
    text: str


class _Widget(msgspec.Struct, frozen=True, rename="camel"):
    text_paragraph: _Text


class _Section(msgspec.Struct, frozen=True):
    widgets: tuple[_Widget, ...]


class _Header(msgspec.Struct, frozen=True, rename="camel"):
    subtitle: str
    title: str = "Flagger"
    image_url: str = "https://flagger.app/favicon.png"


class _Card(msgspec.Struct, frozen=True):
    header: _Header
    sections: tuple[_Section, ...]


class _Message(msgspec.Struct, frozen=True):
    cards: tuple[_Card, ...]


def request(message: AlertMessage, address: Address) -> HttpRequest:
    """The request that posts an alert."""
    url = checked_url(address.url, "Google Chat webhook")
    details = (_section(f"{_plain(name)}<br>{_strong(value)}") for name, value in message.fields)
    card = _Card(_Header(message.author), (_section(_strong(message.text)), *details))
    return post(url, replace(address, token=""), _Message((card,)))


def _section(text: str) -> _Section:
    return _Section((_Widget(_Text(text)),))


def _strong(text: str) -> str:
    return f"<font color=#848484><strong>{_plain(text)}</strong></font>"


def _plain(text: str) -> str:
    return escape(text, quote=False)


NOTIFIERS = (Notifier(type="gchat", request=request, check=require_delivered),)
