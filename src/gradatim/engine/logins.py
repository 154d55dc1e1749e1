"""What a hook's Secret turns into: a login, and a signature by which a receiver knows that the body is ours.

The values go into headers and nowhere else; no message here shows one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from gradatim.ports.errors import ProviderError

SIGNATURE = "X-Gradatim-Signature"
TOKEN, USERNAME, PASSWORD, HMAC_KEY = "token", "username", "password", "hmacKey"

Headers = tuple[tuple[str, str], ...]


def headers(secret: Mapping[str, str], body: bytes, now: float) -> Headers:
    """The headers of a request with this body at some Unix time; raises ProviderError for a Secret of no use.

    Blanks and line breaks around a value are not part of it: files that Secrets are made from end with one.
    """
    values = {key: value.strip() for key, value in secret.items()}
    found = (*_authorization(values), *_signature(values.get(HMAC_KEY, ""), body, now))
    if not found:
        raise ProviderError(
            f"it holds no {TOKEN}, no {USERNAME} with {PASSWORD} and no {HMAC_KEY}", "put one of them into it"
        )
    return found


def _authorization(values: Mapping[str, str]) -> Headers:
    """A token goes before a user."""
    token, user = values.get(TOKEN, ""), values.get(USERNAME, "")
    if token:
        if not (token.isascii() and token.isprintable()):
            raise ProviderError(f"it holds a {TOKEN} with characters that no header can carry", "write it anew")
        return (("Authorization", f"Bearer {token}"),)
    if not user:
        return ()
    if PASSWORD not in values:
        raise ProviderError(f"it holds a {USERNAME} and no {PASSWORD}", f"put the key {PASSWORD} into it")
    login = base64.b64encode(f"{user}:{values[PASSWORD]}".encode()).decode()
    return (("Authorization", f"Basic {login}"),)


def _signature(key: str, body: bytes, now: float) -> Headers:
    """The moment is signed too, so that nobody can repeat an old request."""
    if not key:
        return ()
    moment = str(int(now))
    digest = hmac.new(key.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return ((SIGNATURE, f"t={moment},v1={digest}"),)
