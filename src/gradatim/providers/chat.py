"""What every chat room has in common: a JSON document posted to a secret address, and how to tell that it arrived."""

from __future__ import annotations

import msgspec

from gradatim.core.addresses import is_web_address
from gradatim.core.excerpts import excerpt
from gradatim.ports.errors import ProviderError
from gradatim.ports.http import HttpRequest, HttpResponse
from gradatim.ports.notifier import Address

TIMEOUT = 5.0
FAILED = "postMessage failed"


def checked_url(url: str, what: str) -> str:
    """A usable address; raises ProviderError without showing it, since whoever reads it could post there."""
    if not is_web_address(url.strip()):
        raise ProviderError(f"invalid {what} URL; write one that begins with https:// and names a host")
    return url.strip()


def post(url: str, address: Address, document: object) -> HttpRequest:
    """The request that posts a document; a token goes along when there is one."""
    headers = [("Content-Type", "application/json")]
    if address.token:
        headers.append(("Authorization", f"Bearer {address.token}"))
    return HttpRequest(
        method="POST",
        url=url,
        headers=tuple(headers),
        body=msgspec.json.encode(document),
        timeout=TIMEOUT,
        proxy=address.proxy,
    )


def require_delivered(response: HttpResponse) -> None:
    """Return if the status says that the message arrived; raises ProviderError."""
    if not 200 <= response.status < 300:
        text = f"sending notification bad response {response.status}: {excerpt(response.text)}"
        raise ProviderError(f"{FAILED}: {text}")
