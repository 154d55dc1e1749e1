"""Prometheus and everything that answers as it does (Thanos, Mimir, VictoriaMetrics): one instant query, one number.

Source: Prometheus HTTP API, `/api/v1/query`. Where an answer does not hold exactly one number it is refused with the
reason; guessing which of several series was meant is how a bad release passes.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote_plus, urlsplit, urlunsplit

import msgspec

from gradatim.api.metric_template import MetricProvider
from gradatim.core.addresses import is_web_address, without_password
from gradatim.core.excerpts import excerpt
from gradatim.core.measurement import Measurement, NoValues, Value
from gradatim.ports.errors import ProviderError, UnexpectedAnswer
from gradatim.ports.http import Http, HttpFailure, HttpRequest, HttpResponse
from gradatim.ports.metrics import SourceKind

TIMEOUT = 5.0
ONLINE = "vector(1)"

_WHITE_SPACE = re.compile(r"[ \t\n\r\f\v]+")


class Access(msgspec.Struct, frozen=True):
    """Where a server is and how it lets us in; `address` is without query and without a slash at its end."""

    address: str
    headers: tuple[tuple[str, str], ...] = ()
    verify_tls: bool = True


class Prometheus:
    """One server, ready to be asked."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def measure(self, query: str, http: Http, now: float) -> Measurement:
        """The value of a query; the server's own clock says when, as Flagger has it."""
        asked = request(self._access, query)
        try:
            response = await http.send(asked)
        except HttpFailure as failure:
            raise HttpFailure(f"request failed: {failure.message}", retryable=failure.retryable) from failure
        return parse(response)

    async def online(self, http: Http) -> None:
        """Return when the server can add up to one."""
        try:
            found = await self.measure(ONLINE, http, 0)
        except ProviderError as error:
            raise ProviderError(f"running query failed: {error.message}") from error
        if isinstance(found, NoValues):
            raise ProviderError(f"running query failed: {found.message}")
        if found.value != 1:
            raise UnexpectedAnswer(f"value is not 1 for query: {ONLINE}")


def build(provider: MetricProvider, secret: Mapping[str, str] | None, _interval: str) -> Prometheus:
    """A server from a template's provider block and its Secret; raises ProviderError."""
    address = provider.address.strip()
    if not is_web_address(address):
        raise ProviderError(f"{provider.type} address {without_password(address)} is not a valid URL")
    own = [(name, value) for name, values in provider.headers.items() for value in values]
    login = _authorization(provider.type, secret) if secret is not None else None
    if login is not None:
        own = [(name, value) for name, value in own if name.lower() != "authorization"]
        own.append(("Authorization", login))
    scheme, netloc, path, _, _ = urlsplit(address)
    base = urlunsplit((scheme, netloc, path.rstrip("/"), "", ""))
    return Prometheus(Access(base, tuple(own), not provider.insecure_skip_verify))


def _authorization(kind: str, secret: Mapping[str, str]) -> str | None:
    """What the Secret says about logging in; a token goes before user and password."""
    if token := secret.get("token", "").strip():
        return f"Bearer {token}"
    for key in ("username", "password"):
        if key not in secret:
            raise ProviderError(f"{kind} credentials does not contain a {key}")
    user, password = secret["username"].strip(), secret["password"].strip("\r\n")
    if not user or not password:
        return None
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def request(access: Access, query: str) -> HttpRequest:
    """The request for a query."""
    folded = _WHITE_SPACE.sub(" ", query).rstrip(" ")
    return HttpRequest(
        method="GET",
        url=f"{access.address}/api/v1/query?query={quote_plus(folded)}",
        headers=access.headers,
        timeout=TIMEOUT,
        verify_tls=access.verify_tls,
    )


class _Series(msgspec.Struct, frozen=True):
    """One series of a vector or matrix; histograms carry no value."""

    value: tuple[float, str | float] | None = None
    values: list[msgspec.Raw] | None = None
    histogram: list[msgspec.Raw] | None = None
    histograms: list[msgspec.Raw] | None = None


class _Data(msgspec.Struct, frozen=True, rename="camel"):
    result_type: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    status: str = ""
    error_type: str = ""
    error: str = ""
    data: _Data | None = None


def parse(response: HttpResponse) -> Measurement:
    """The one number in an answer, or that there is none; raises ProviderError."""
    if response.status >= 400:
        raise ProviderError(f"error response: Status {_status_line(response.status)}: {excerpt(response.text)}")
    try:
        answer = msgspec.json.decode(response.body, type=_Answer)
        if answer.status == "error":
            raise ProviderError(f"error response: {excerpt(f'{answer.error_type}: {answer.error}')}")
        found = _result(answer.data or _Data())
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UnexpectedAnswer(f"error unmarshaling result: {error}, '{excerpt(response.text)}'") from error
    return NoValues() if found is None or math.isnan(found) else Value(found)


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _result(data: _Data) -> float | None:
    if data.result_type == "scalar":
        return float(msgspec.json.decode(data.result, type=tuple[float, str | float])[1])
    if data.result_type == "string":
        raise UnexpectedAnswer("query returned a text, not a number")
    series = msgspec.json.decode(data.result, type=list[_Series] | None) or []
    if any(one.values is not None or one.histograms is not None for one in series):
        raise UnexpectedAnswer("query returned multiple values: a range of time; leave the [range] to a function")
    if len(series) > 1:
        raise UnexpectedAnswer(f"query returned multiple values: {len(series)} series; join them, as with sum()")
    if not series:
        return None
    if series[0].histogram is not None:
        raise UnexpectedAnswer("query returned a native histogram; take a number from it with histogram_quantile()")
    if series[0].value is None:
        raise UnexpectedAnswer("query returned a series without a value")
    return float(series[0].value[1])


SOURCES = (SourceKind(type="prometheus", build=build),)
