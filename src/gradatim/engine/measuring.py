"""Carrying out one measurement: which query, which source, and what an empty answer means."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gradatim.api.canary import Canary, Metric, ObjectRef
from gradatim.api.durations import parse_duration
from gradatim.api.errors import UnknownProvider
from gradatim.api.metric_template import MetricProvider, MetricTemplate
from gradatim.core.addresses import without_password
from gradatim.core.measurement import NoValues, QueryFailed, Value
from gradatim.core.ratio import ratio
from gradatim.core.templates import TemplateError, render
from gradatim.core.validation import QUERY_NAMES
from gradatim.engine.library import Library
from gradatim.engine.site import Site
from gradatim.ports.errors import ProviderError
from gradatim.ports.http import Http
from gradatim.ports.mesh import QueryScope
from gradatim.ports.metrics import Source
from gradatim.providers import registry

BUILT_IN_WINDOW = "1m"
"""Query window of built-in checks and inline queries without `interval`."""


class SamplesQuery(msgspec.Struct, frozen=True):
    """A query whose value, times a factor, is a number of samples."""

    query: str
    times: float = 1.0


class Counted(msgspec.Struct, frozen=True):
    """How many requests had been counted, and for how many seconds at most that was known to be all."""

    total: float
    age: float


class Measuring:
    """Asks metrics sources for one Canary."""

    def __init__(self, library: Library, http: Http) -> None:
        self._library = library
        self._http = http

    async def measure(
        self, site: Site, metric: Metric, now: float, *, template: bool
    ) -> Value | NoValues | QueryFailed:
        """The value of a metric in the unit of its thresholds, or why there is none; never raises ProviderError."""
        if template:
            return await self._template(site, metric, now)
        return await self._prometheus(site, metric, now)

    async def online(self, site: Site) -> str | None:
        """Whether every source of the Canary answers; else what to say about the first that does not."""
        for metric in site.canary.spec.analysis.metrics:
            if metric.built_in and (text := await self._server_online(site)):
                return text
            ref = metric.template_ref
            if ref is not None and (text := await self._template_online(site.canary, metric, ref)):
                return text
        return None

    async def _server_online(self, site: Site) -> str | None:
        try:
            server = self._server(site)
        except ProviderError as error:
            return f"error building {error.message}"
        try:
            await server.online(self._http)
        except ProviderError as error:
            return f"prometheus not avaiable: {error.message}"
        return None

    async def counted(self, site: Site, *, primary: bool) -> Counted | None:
        """The requests to a side so far; None where nobody counts them. Raises ProviderError.

        The age is that of the oldest sample, and it is asked first: the samples that are added up are no older.
        """
        scope = query_scope(site.canary, Metric(name="requests"), BUILT_IN_WINDOW)
        counters = site.providers.mesh.queries.requests(scope, primary)
        if not counters:
            return None
        server = self._server(site)
        age = await server.measure(f"time() - min( timestamp( {counters} ) )", self._http, 0)
        total = await server.measure(f"sum( {counters} )", self._http, 0)
        return Counted(total.value, age.value) if isinstance(age, Value) and isinstance(total, Value) else None

    async def _prometheus(self, site: Site, metric: Metric, now: float) -> Value | NoValues | QueryFailed:
        """A built-in check or an inline query."""
        label = "" if metric.built_in else f" for {metric.name}"
        try:
            server = self._server(site)
        except ProviderError as error:
            return QueryFailed(f"Error building {error.message}")
        try:
            query, counted = self._query(site, metric), self._samples(site, metric)
            found = await self._ask(server, query, counted, now)
        except (ProviderError, TemplateError) as error:
            return QueryFailed(f"Prometheus query failed{label}: {error.message}")
        in_seconds = site.providers.mesh.queries.duration_in_seconds and metric.name == "request-duration"
        if isinstance(found, Value) and in_seconds:
            return msgspec.structs.replace(found, value=found.value * 1000)
        return found

    def _query(self, site: Site, metric: Metric) -> str:
        scope, queries = query_scope(site.canary, metric, BUILT_IN_WINDOW), site.providers.mesh.queries
        if metric.name == "request-success-rate":
            return queries.success_rate(scope)
        if metric.name == "request-duration":
            return queries.duration(scope)
        return render(metric.query, names_of(scope))

    def _samples(self, site: Site, metric: Metric) -> SamplesQuery | None:
        """How the samples of a value are counted, if somebody wants to know.

        The built-in checks have the requests a second below the line of the success rate.
        """
        if not metric.min_samples:
            return None
        scope = query_scope(site.canary, metric, metric.interval or BUILT_IN_WINDOW)
        if metric.samples_query:
            return SamplesQuery(render(metric.samples_query, names_of(scope)))
        rate = ratio(site.providers.mesh.queries.success_rate(scope))
        return None if rate is None else SamplesQuery(rate.denominator, parse_duration(scope.interval))

    def _server(self, site: Site) -> Source:
        """Prometheus of the Canary or of the operator; raises ProviderError."""
        address = site.canary.spec.metrics_server or site.settings.metrics_server
        try:
            return registry.source("prometheus").build(MetricProvider("prometheus", address), None, "")
        except ProviderError as error:
            raise ProviderError(f"Prometheus client for {without_password(address)} {error.message}") from error

    async def _template(self, site: Site, metric: Metric, now: float) -> Value | NoValues | QueryFailed:
        canary, ref = site.canary, metric.template_ref
        if ref is None:
            return QueryFailed("Metric query failed for no usable metrics template and query were configured")
        try:
            template, source = await self._opened(canary, metric, ref)
        except ProviderError as error:
            return QueryFailed(f"Metric {error.message}")
        scope = query_scope(canary, metric, metric.interval or BUILT_IN_WINDOW)
        try:
            query = render(template.spec.query, names_of(scope))
        except TemplateError as error:
            name = f"{ref.name}.{ref.namespace or canary.namespace}"
            return QueryFailed(f"Metric template {name} query render error: {error.message}")
        try:
            return await self._ask(source, query, self._samples(site, metric), now)
        except (ProviderError, TemplateError) as error:
            return QueryFailed(f"Metric query failed for {metric.name}: {error.message}")

    async def _template_online(self, canary: Canary, metric: Metric, ref: ObjectRef) -> str | None:
        try:
            template, source = await self._opened(canary, metric, ref)
        except ProviderError as error:
            return f"metric {error.message}"
        try:
            await source.online(self._http)
        except ProviderError as error:
            kind, namespace = template.spec.provider.type, ref.namespace or canary.namespace
            return f"{kind} in metric template {ref.name}.{namespace} not avaiable: {error.message}"
        return None

    async def _opened(self, canary: Canary, metric: Metric, ref: ObjectRef) -> tuple[MetricTemplate, Source]:
        """A template and its source, ready to be asked; raises ProviderError, whose message goes on behind `metric`."""
        namespace = ref.namespace or canary.namespace
        name = f"template {ref.name}.{namespace}"
        try:
            template = self._library.template(namespace, ref.name)
        except ProviderError as error:
            raise ProviderError(f"{name} error: {error.message}") from error
        provider = template.spec.provider
        secret: Mapping[str, str] | None = None
        if provider.secret_ref is not None:
            try:
                secret = await self._library.secret(namespace, provider.secret_ref.name)
            except ProviderError as error:
                raise ProviderError(f"{name} secret {provider.secret_ref.name} error: {error.message}") from error
        try:
            source = registry.source(provider.type).build(provider, secret, metric.interval or BUILT_IN_WINDOW)
        except (ProviderError, UnknownProvider) as error:
            raise ProviderError(f"{name} provider {provider.type} error: {error.message}") from error
        return template, source

    async def _ask(self, source: Source, query: str, counted: SamplesQuery | None, now: float) -> Value | NoValues:
        """The answer to a query, with its samples if they are to be counted."""
        found = await self._value(source, query, now)
        if counted is None or isinstance(found, NoValues):
            return found
        count = await source.measure(counted.query, self._http, now)
        samples = round(count.value * counted.times) if isinstance(count, Value) else 0
        return msgspec.structs.replace(found, samples=samples)

    async def _value(self, source: Source, query: str, now: float) -> Value | NoValues:
        """The answer to a query; in a ratio of things that are there, what is missing above the line is zero.

        The numerator is asked for last: when it is there, the two sides have labels that do not meet, and the query
        never has a value.
        """
        found = await source.measure(query, self._http, now)
        parts = ratio(query) if isinstance(found, NoValues) else None
        if parts is None:
            return found
        base = await source.measure(parts.denominator, self._http, now)
        if not isinstance(base, Value) or base.value <= 0:
            return found
        above = await source.measure(parts.numerator, self._http, now)
        return Value(parts.at_zero) if isinstance(above, NoValues) else found


def query_scope(canary: Canary, metric: Metric, window: str) -> QueryScope:
    """What a query of this Canary may refer to."""
    spec = canary.spec
    return QueryScope(
        name=canary.name,
        namespace=canary.namespace,
        kind=canary.kind,
        target=canary.target,
        service=canary.apex,
        ingress=spec.ingress_ref.name if spec.ingress_ref is not None else canary.target,
        route=spec.route_ref.name if spec.route_ref is not None else canary.target,
        interval=metric.interval or window,
        variables=metric.template_variables,
    )


def names_of(scope: QueryScope) -> dict[str, str | Mapping[str, str]]:
    """The functions that a query's template may call."""
    return {name: getattr(scope, name) for name in QUERY_NAMES}
