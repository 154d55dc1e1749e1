"""Slack: incoming webhooks, or `chat.postMessage` with a bot token.

Source: Slack's API pages on attachments, incoming webhooks and `chat.postMessage`. Slack answers 200 to messages that
it throws away; the answer of `chat.postMessage` says so in its `ok`.
"""

from __future__ import annotations

import msgspec

from gradatim.ports.errors import ProviderError
from gradatim.ports.http import HttpRequest, HttpResponse
from gradatim.ports.notifier import Address, AlertMessage, Notifier
from gradatim.providers.attachments import Flavour, attachment_request
from gradatim.providers.chat import FAILED, checked_url, require_delivered

SLACK = Flavour("Slack", calm="good", alarming="danger")


class _Answer(msgspec.Struct, frozen=True):
    ok: bool = True
    error: str = "no reason given"


def request(message: AlertMessage, address: Address) -> HttpRequest:
    """The request that posts an alert."""
    return attachment_request(SLACK, message, address, checked_url(address.url, "Slack hook"))


def check(response: HttpResponse) -> None:
    """Return if Slack took the message; incoming webhooks answer a plain `ok`, which says nothing more."""
    require_delivered(response)
    try:
        answer = msgspec.json.decode(response.body, type=_Answer)
    except (msgspec.DecodeError, RecursionError):
        return
    if not answer.ok:
        raise ProviderError(f"{FAILED}: {answer.error}")


NOTIFIERS = (Notifier(type="slack", request=request, check=check),)
