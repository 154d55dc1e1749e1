"""The message with attachments that Slack invented and Discord and Rocket.Chat understand too."""

from __future__ import annotations

import msgspec

from gradatim.ports.errors import ProviderError
from gradatim.ports.http import HttpRequest
from gradatim.ports.notifier import Address, AlertMessage
from gradatim.providers.chat import post


class Flavour(msgspec.Struct, frozen=True):
    """One service: its name in sentences, and its colours for alerts that are no errors and for errors."""

    name: str
    calm: str
    alarming: str


class _Field(msgspec.Struct, frozen=True):
    title: str
    value: str
    short: bool = False


class _Attachment(msgspec.Struct, frozen=True):
    color: str
    author_name: str
    text: str
    mrkdwn_in: tuple[str, ...]
    fields: tuple[_Field, ...]


class _Message(msgspec.Struct, frozen=True):
    channel: str
    username: str
    attachments: tuple[_Attachment, ...]
    icon_url: str = ""
    icon_emoji: str = ":rocket:"


def attachment_request(flavour: Flavour, message: AlertMessage, address: Address, url: str) -> HttpRequest:
    """The request that posts an alert; raises ProviderError for a missing room or sender."""
    if not address.username:
        raise ProviderError(f"empty {flavour.name} username")
    if not address.channel:
        raise ProviderError(f"empty {flavour.name} channel")
    attachment = _Attachment(
        color=flavour.alarming if message.severity == "error" else flavour.calm,
        author_name=message.author,
        text=message.text,
        mrkdwn_in=("text",),
        fields=tuple(_Field(title, value) for title, value in message.fields),
    )
    return post(url, address, _Message(address.channel, address.username, (attachment,)))
