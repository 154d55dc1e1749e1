"""MetricTemplates, AlertProviders and Secrets that Canaries refer to, read through the cache."""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict

from gradatim.api.alert_provider import AlertProvider
from gradatim.api.canary import Canary
from gradatim.api.decode import decode_alert_provider, decode_metric_template
from gradatim.api.errors import GradatimError, InvalidField, UnknownProvider
from gradatim.api.metric_template import MetricTemplate
from gradatim.core.problems import Problem
from gradatim.core.templates import TemplateError, check
from gradatim.core.validation import ONLY_TELL, QUERY_NAMES
from gradatim.engine import apprise_rooms, logins
from gradatim.kube.cache import Cache
from gradatim.kube.errors import Forbidden, NotFound
from gradatim.ports.errors import Missing, ProviderError
from gradatim.ports.objects import ALERT_PROVIDER, METRIC_TEMPLATE, SECRET, Manifest, Ref, Resource
from gradatim.providers import registry

_KEYS = frozenset({"address", logins.TOKEN, logins.USERNAME, logins.PASSWORD, logins.HMAC_KEY})


class Library:
    """Looks up what a Canary refers to, and remembers who refers to what."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._readers: dict[Ref, set[Ref]] = defaultdict(set)

    def readers(self, ref: Ref) -> frozenset[Ref]:
        """The Canaries that refer to a template or a provider, whether it exists or not."""
        return frozenset(self._readers.get(ref, ()))

    def template(self, namespace: str, name: str) -> MetricTemplate:
        """A MetricTemplate; raises ProviderError."""
        try:
            return decode_metric_template(self._find(METRIC_TEMPLATE, namespace, name))
        except InvalidField as error:
            raise ProviderError(error.message) from error

    def provider(self, namespace: str, name: str) -> AlertProvider:
        """An AlertProvider; raises ProviderError."""
        try:
            return decode_alert_provider(self._find(ALERT_PROVIDER, namespace, name))
        except InvalidField as error:
            raise ProviderError(error.message) from error

    async def secret(self, namespace: str, name: str, owner: Ref | None = None) -> dict[str, str]:
        """The texts in a Secret; raises ProviderError, never with a value of it in the message.

        Bytes that are no text are left out, as under a key that is somebody else's; under one that is read here they
        are an error, since a hook without its signature must not look like one that has none.
        """
        ref = Ref(SECRET, namespace, name)
        try:
            await self._cache.want(ref, owner or ref)
        except (NotFound, Forbidden) as error:
            raise ProviderError(error.message) from error
        found = self._cache.get(ref)
        if found is None:
            raise Missing(f'secrets "{name}" not found')
        texts = dict[str, str]()
        for key, value in (found.get("data") or {}).items():
            try:
                texts[key] = base64.b64decode(value).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                if key in _KEYS:
                    raise ProviderError(f"{key} of secret {name}.{namespace} is no text") from error
        return texts

    async def problems(self, key: Ref, canary: Canary) -> list[Problem]:
        """What the Canary refers to and does not exist, or cannot work."""
        found: list[Problem] = []
        for index, metric in enumerate(canary.spec.analysis.metrics):
            if metric.template_ref is not None:
                namespace = metric.template_ref.namespace or canary.namespace
                self._readers[Ref(METRIC_TEMPLATE, namespace, metric.template_ref.name)].add(key)
                path = f"spec.analysis.metrics[{index}].templateRef"
                found += await self._template_problems(key, namespace, metric.template_ref.name, metric.interval, path)
        for index, alert in enumerate(canary.spec.analysis.alerts):
            namespace = alert.provider_ref.namespace or canary.namespace
            self._readers[Ref(ALERT_PROVIDER, namespace, alert.provider_ref.name)].add(key)
            path = f"spec.analysis.alerts[{index}].providerRef"
            found += await self._alert_problems(key, namespace, alert.provider_ref.name, path)
        for index, hook in enumerate(canary.spec.analysis.webhooks):
            if hook.secret_ref is not None:
                path = f"spec.analysis.webhooks[{index}].secretRef"
                blocks = hook.kind not in ONLY_TELL
                found += await self._login_problems(key, canary.namespace, hook.secret_ref.name, path, blocks)
        return found

    async def _login_problems(self, key: Ref, namespace: str, name: str, path: str, blocks: bool) -> list[Problem]:
        try:
            logins.headers(await self.secret(namespace, name, key), b"", 0.0)
        except Missing:
            return [Problem(path, f"Secret {name}.{namespace} not found; create it or correct the name", blocks)]
        except ProviderError as error:
            return [Problem(path, f"Secret {name}.{namespace}: {_mendable(error)}", blocks)]
        return []

    async def _template_problems(self, key: Ref, namespace: str, name: str, interval: str, path: str) -> list[Problem]:
        what = f"MetricTemplate {name}.{namespace}"
        try:
            template = self.template(namespace, name)
        except Missing:
            return [Problem(path, f"{what} not found; create it or correct the name", measures=True)]
        except ProviderError as error:
            return [Problem(path, f"{what}: {error.message}", measures=True)]
        try:
            secret = template.spec.provider.secret_ref
            values = None if secret is None else await self.secret(namespace, secret.name, key)
            registry.source(template.spec.provider.type).build(template.spec.provider, values, interval or "1m")
            check(template.spec.query, QUERY_NAMES)
        except (ProviderError, TemplateError, UnknownProvider) as error:
            return [Problem(path, f"{what}: {_mendable(error)}", measures=True)]
        return []

    async def _alert_problems(self, key: Ref, namespace: str, name: str, path: str) -> list[Problem]:
        try:
            provider = self.provider(namespace, name)
        except Missing:
            text = f"AlertProvider {name}.{namespace} not found; create it or correct the name"
            return [Problem(path, text, blocks=False)]
        except ProviderError as error:
            return [Problem(path, f"AlertProvider {name}.{namespace}: {error.message}", blocks=False)]
        try:
            address = provider.spec.address
            if provider.spec.secret_ref is not None:
                secret = await self.secret(namespace, provider.spec.secret_ref.name, key)
                address = secret.get("address", "")
                if not address:
                    text = f"alert provider {name}.{namespace} secret does not contain an address"
                    return [Problem(path, text, blocks=False)]
            if provider.spec.type == apprise_rooms.TYPE:
                apprise_rooms.check(address, provider.spec.proxy)
            else:
                registry.notifier(provider.spec.type)
        except Missing as error:
            return [Problem(path, _mendable(error), blocks=False)]
        except (ProviderError, UnknownProvider) as error:
            return [Problem(path, f"AlertProvider {name}.{namespace}: {_mendable(error)}", blocks=False)]
        return []

    def _find(self, resource: Resource, namespace: str, name: str) -> Manifest:
        found = self._cache.get(Ref(resource, namespace, name))
        if found is None:
            raise Missing(f'{resource.kind.lower()}.{resource.group} "{name}" not found')
        return found

    def forget(self, key: Ref) -> None:
        """The Canary is gone and refers to nothing any more."""
        for readers in self._readers.values():
            readers.discard(key)


def _mendable(error: GradatimError) -> str:
    """What is wrong, and what can be done about it where that does not say so."""
    fix = error.fix if isinstance(error, ProviderError) else ""
    return f"{error.message}; {fix}" if fix else error.message
