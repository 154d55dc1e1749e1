"""Rocket.Chat: incoming webhooks, which understand Slack's messages and want colours as numbers.

Source: Rocket.Chat's page on incoming integrations.
"""

from __future__ import annotations

from msgspec.structs import replace

from gradatim.ports.http import HttpRequest
from gradatim.ports.notifier import Address, AlertMessage, Notifier
from gradatim.providers.attachments import Flavour, attachment_request
from gradatim.providers.chat import checked_url, require_delivered

ROCKET = Flavour("Rocket", calm="#0076D7", alarming="#FF0000")


def request(message: AlertMessage, address: Address) -> HttpRequest:
    """The request that posts an alert; the token is part of Rocket's addresses."""
    url = checked_url(address.url, "Rocket hook")
    return attachment_request(ROCKET, message, replace(address, token=""), url)


NOTIFIERS = (Notifier(type="rocket", request=request, check=require_delivered),)
