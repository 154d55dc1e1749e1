"""Alerts on their way to chat rooms: which ones, with which details, to which address."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from gradatim.api.canary import Analysis, Canary
from gradatim.api.errors import GradatimError
from gradatim.core.news import Alert
from gradatim.core.settings import Settings
from gradatim.core.strategy import Strategy, strategy_of
from gradatim.engine import apprise_rooms
from gradatim.engine.apprise_rooms import AppriseRooms
from gradatim.engine.library import Library
from gradatim.ports.errors import ProviderError
from gradatim.ports.http import Http
from gradatim.ports.notifier import Address, AlertMessage, Notifier
from gradatim.providers import registry

log = logging.getLogger(__name__)

_RANK = {"info": 0, "warn": 1, "error": 2}


class Alerts:
    """Sends alerts to a Canary's own rooms, or to the operator's when it names none; failures are logged."""

    def __init__(
        self,
        settings: Settings,
        library: Library,
        http: Http,
        everywhere: tuple[Notifier, Address] | None = None,
    ) -> None:
        self._settings = settings
        self._library = library
        self._http = http
        self._everywhere = everywhere
        self._apprise = AppriseRooms()

    async def send(self, canary: Canary, alert: Alert) -> None:
        """Deliver one alert everywhere it belongs; one room that fails does not keep it from the others."""
        message = AlertMessage(
            f"{canary.name}.{canary.namespace}",
            alert.text,
            alert.severity,  # type: ignore[arg-type]  # the core only makes the three
            tuple(fields(canary, self._settings, details=alert.details)),
        )
        if not canary.spec.analysis.alerts:
            if self._everywhere is not None:
                await self._deliver(*self._everywhere, message, "alert can't be sent")
            return
        for wanted in canary.spec.analysis.alerts:
            if _RANK[alert.severity] < _RANK.get(wanted.severity or "info", 0):
                continue
            namespace = wanted.provider_ref.namespace or canary.namespace
            name = f"alert provider {wanted.provider_ref.name}.{namespace}"
            try:
                notifier, address = await self._room(namespace, wanted.provider_ref.name)
            except ProviderError as error:
                log.error("%s %s", name, error.message, extra={"canary": message.author})
                continue
            await self._deliver(notifier, address, message, f"{name} send error")

    async def _room(self, namespace: str, name: str) -> tuple[Notifier | None, Address]:
        """Where a provider leads to; without a notifier it is Apprise's business.

        Raises ProviderError, whose message goes on behind the provider's name.
        """
        try:
            provider = self._library.provider(namespace, name).spec
            notifier = None if provider.type == apprise_rooms.TYPE else registry.notifier(provider.type)
        except GradatimError as error:
            raise ProviderError(f"error: {error.message}") from error
        secret = {}
        if provider.secret_ref is not None:
            try:
                secret = await self._library.secret(namespace, provider.secret_ref.name)
            except GradatimError as error:
                raise ProviderError(f"secretRef error: {error.message}") from error
            if not secret.get("address"):
                raise ProviderError("secret does not contain an address")
        address = Address(
            url=(secret.get("address") or provider.address).strip(),
            channel=provider.channel or "general",
            username=provider.username or "flagger",
            token=secret.get("token", "").strip(),
            proxy=provider.proxy,
        )
        return notifier, address

    async def _deliver(self, notifier: Notifier | None, address: Address, message: AlertMessage, what: str) -> None:
        if not address.url:
            return
        try:
            if notifier is None:
                await self._apprise.send(address.url, message)
            else:
                await self._post(notifier, address, message)
        except ProviderError as error:
            log.error("%s: %s", what, error.message, extra={"canary": message.author})

    async def _post(self, notifier: Notifier, address: Address, message: AlertMessage) -> None:
        answer = await self._http.send(notifier.request(message, address))
        if not 200 <= answer.status < 300:
            text = f"postMessage failed: sending notification bad response {answer.status}: {answer.text[:200]}"
            raise ProviderError(text)
        notifier.check(answer)


def fields(canary: Canary, settings: Settings, *, details: bool) -> Iterator[tuple[str, str]]:
    """The name/value list of a message, in order."""
    if settings.cluster_name:
        yield "Cluster", settings.cluster_name
    if not details:
        return
    yield "Target", f"{canary.kind}/{canary.target}.{canary.namespace}"
    yield "Failed checks threshold", str(canary.spec.analysis.failures_allowed)
    yield "Progress deadline", f"{canary.spec.progress_deadline}s"
    routing = _routing(canary.spec.analysis)
    if routing:
        yield "Traffic routing", routing


def _routing(analysis: Analysis) -> str:
    match strategy_of(analysis):
        case Strategy.AB_TESTING:
            return "A/B Testing"
        case Strategy.BLUE_GREEN:
            return "Blue/Green"
        case Strategy.CANARY:
            if analysis.step_weight > 0:
                return f"Weight step: {analysis.step_weight} max: {analysis.max_weight}"
            if analysis.step_weights:
                steps = ",".join(map(str, analysis.step_weights))
                return f"Weight steps: {steps} max: {analysis.max_weight}"
    return ""
