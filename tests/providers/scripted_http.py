"""An Http that answers what a vector says, and checks what it was asked."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gradatim.ports.http import HttpFailure, HttpRequest, HttpResponse


class Exchange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request and its answer: a `body` as JSON or a `text`, or a `failure` instead of both."""

    request: dict[str, Any] = {}
    status: int = 200
    headers: dict[str, str] = {}
    body: Any = None
    text: str | None = None
    failure: str | None = None

    @property
    def response(self) -> HttpResponse:
        """The answer."""
        text = self.text if self.text is not None else json.dumps(self.body)
        return HttpResponse(self.status, self.headers, text.encode())


class ScriptedHttp:
    """Sends nothing; `left` are the exchanges that have not happened."""

    def __init__(self, exchanges: tuple[Exchange, ...]) -> None:
        self.left = list(exchanges)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The next answer of the script."""
        assert self.left, f"nothing more was expected: {request}"
        exchange = self.left.pop(0)
        sent = msgspec.to_builtins(request, builtin_types=(bytes,))
        for key, value in exchange.request.items():
            assert sent[key] == _native(key, value), key
        if exchange.failure is not None:
            raise HttpFailure(exchange.failure)
        return exchange.response


def _native(key: str, value: Any) -> Any:
    if key == "headers":
        return tuple(tuple(pair) for pair in value)
    return value.encode() if key == "body" else value
