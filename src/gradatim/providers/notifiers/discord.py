"""Discord, through the endpoint that understands Slack's messages: the webhook's address with `/slack` behind it.

Source: Discord's API page on webhooks. A query string in the address, such as `?thread_id=`, stays.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from msgspec.structs import replace

from gradatim.ports.http import HttpRequest
from gradatim.ports.notifier import Address, AlertMessage, Notifier
from gradatim.providers.attachments import Flavour, attachment_request
from gradatim.providers.chat import checked_url, require_delivered

DISCORD = Flavour("Discord", calm="good", alarming="danger")


def request(message: AlertMessage, address: Address) -> HttpRequest:
    """The request that posts an alert; Discord knows no tokens."""
    parts = urlsplit(checked_url(address.url, "Discord hook"))
    path = parts.path.rstrip("/")
    path = path if path.endswith("/slack") else f"{path}/slack"
    return attachment_request(DISCORD, message, replace(address, token=""), urlunsplit(parts._replace(path=path)))


NOTIFIERS = (Notifier(type="discord", request=request, check=require_delivered),)
