"""What a notifier is: an alert in, one HTTP request out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from gradatim.ports.http import HttpRequest, HttpResponse

Severity: TypeAlias = Literal["info", "warn", "error"]


class AlertMessage(msgspec.Struct, frozen=True):
    """One alert: who it is about (`{canary}.{namespace}`), what to say, how bad, and name/value details in order."""

    author: str
    text: str
    severity: Severity
    fields: tuple[tuple[str, str], ...] = ()


class Address(msgspec.Struct, frozen=True):
    """Where to: a URL (from the Secret if there is one), the room, the sender, a bot token and a proxy."""

    url: str
    channel: str = ""
    username: str = ""
    token: str = ""
    proxy: str = ""


class Notifier(msgspec.Struct, frozen=True, kw_only=True):
    """One value of an AlertProvider's `type`.

    `request` raises ProviderError for an address that cannot be used, without printing it; `check` raises ProviderError
    for an answer that says the message was not delivered (any status outside 200 to 299 does, for everybody).
    """

    type: str
    request: Callable[[AlertMessage, Address], HttpRequest]
    check: Callable[[HttpResponse], None]
