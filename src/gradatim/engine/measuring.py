"""Carrying out one measurement: which query, which source, and what an empty answer means."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gradatim.api.canary import Canary, Metric
from gradatim.api.metric_template import MetricProvider, MetricTemplate
from gradatim.core.measurement import NoValues, QueryFailed, Value
from gradatim.core.ratio import denominator
from gradatim.core.templates import TemplateError, render
from gradatim.engine.library import Library
from gradatim.engine.site import Site
from gradatim.ports.errors import ProviderError
from gradatim.ports.http import Http
from gradatim.ports.mesh import QueryScope
from gradatim.ports.metrics import Source
from gradatim.providers import registry

BUILT_IN_WINDOW = "1m"
"""Query window of built-in checks and inline queries without `interval`."""


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
            try:
                if metric.built_in:
                    await self._server(site.canary, site).online(self._http)
            except ProviderError as error:
                return f"prometheus not avaiable: {error.message}"
            if metric.template_ref is not None and (text := await self._template_online(site.canary, metric)):
                return text
        return None

    async def counted(self, site: Site, *, primary: bool) -> Counted | None:
        """The requests to a side so far; None where nobody counts them. Raises ProviderError.

        The age is that of the oldest sample, and it is asked first: the samples that are added up are no older.
        """
        scope = query_scope(site.canary, Metric(name="requests"), BUILT_IN_WINDOW)
        counters = site.providers.mesh.queries.requests(scope, primary)
        if not counters:
            return None
        server = self._server(site.canary, site)
        age = await server.measure(f"time() - min( timestamp( {counters} ) )", self._http, 0)
        total = await server.measure(f"sum( {counters} )", self._http, 0)
        return Counted(total.value, age.value) if isinstance(age, Value) and isinstance(total, Value) else None

    async def _prometheus(self, site: Site, metric: Metric, now: float) -> Value | NoValues | QueryFailed:
        """A built-in check or an inline query."""
        label = "" if metric.built_in else f" for {metric.name}"
        try:
            query = self._query(site, metric)
            found = await self._ask(self._server(site.canary, site), query, now)
        except (ProviderError, TemplateError) as error:
            return QueryFailed(f"Prometheus query failed{label}: {error.message}")
        in_seconds = site.providers.mesh.queries.duration_in_seconds and metric.name == "request-duration"
        return Value(found.value * 1000) if isinstance(found, Value) and in_seconds else found

    def _query(self, site: Site, metric: Metric) -> str:
        scope, queries = query_scope(site.canary, metric, BUILT_IN_WINDOW), site.providers.mesh.queries
        if metric.name == "request-success-rate":
            return queries.success_rate(scope)
        if metric.name == "request-duration":
            return queries.duration(scope)
        return render(metric.query, names_of(scope))

    def _server(self, canary: Canary, site: Site) -> Source:
        address = canary.spec.metrics_server or site.settings.metrics_server
        return registry.source("prometheus").build(MetricProvider("prometheus", address), None, "")

    async def _template(self, site: Site, metric: Metric, now: float) -> Value | NoValues | QueryFailed:
        canary, ref = site.canary, metric.template_ref
        if ref is None:
            return QueryFailed("Metric query failed for no usable metrics template and query were configured")
        name = f"{ref.name}.{ref.namespace or canary.namespace}"
        try:
            template = self._library.template(ref.namespace or canary.namespace, ref.name)
        except ProviderError as error:
            return QueryFailed(f"Metric template {name} error: {error.message}")
        try:
            secret = await self._secret(template)
        except ProviderError as error:
            used = template.spec.provider.secret_ref
            return QueryFailed(f"Metric template {name} secret {used.name if used else ''} error: {error.message}")
        try:
            source = self._build(template, secret, metric)
        except ProviderError as error:
            kind = template.spec.provider.type
            return QueryFailed(f"Metric template {name} provider {kind} error: {error.message}")
        try:
            query = render(
                template.spec.query, names_of(query_scope(canary, metric, metric.interval or BUILT_IN_WINDOW))
            )
        except TemplateError as error:
            return QueryFailed(f"Metric template {name} query render error: {error.message}")
        try:
            return await self._ask(source, query, now)
        except ProviderError as error:
            return QueryFailed(f"Metric query failed for {metric.name}: {error.message}")

    async def _template_online(self, canary: Canary, metric: Metric) -> str | None:
        ref = metric.template_ref
        assert ref is not None  # noqa: S101 - the caller has looked
        namespace = ref.namespace or canary.namespace
        try:
            template = self._library.template(namespace, ref.name)
        except ProviderError as error:
            return f"metric template {ref.name}.{namespace} error: {error.message}"
        try:
            await self._build(template, await self._secret(template), metric).online(self._http)
        except ProviderError as error:
            kind = template.spec.provider.type
            return f"{kind} in metric template {ref.name}.{namespace} not avaiable: {error.message}"
        return None

    async def _secret(self, template: MetricTemplate) -> Mapping[str, str] | None:
        ref = template.spec.provider.secret_ref
        return None if ref is None else await self._library.secret(template.namespace, ref.name)

    def _build(self, template: MetricTemplate, secret: Mapping[str, str] | None, metric: Metric) -> Source:
        provider = template.spec.provider
        return registry.source(provider.type).build(provider, secret, metric.interval or BUILT_IN_WINDOW)

    async def _ask(self, source: Source, query: str, now: float) -> Value | NoValues:
        """The answer to a query; a ratio without numerator is zero when its denominator is above zero."""
        found = await source.measure(query, self._http, now)
        below = denominator(query) if isinstance(found, NoValues) else None
        if below is None:
            return found
        base = await source.measure(below, self._http, now)
        return Value(0.0) if isinstance(base, Value) and base.value > 0 else found


def query_scope(canary: Canary, metric: Metric, window: str) -> QueryScope:
    """What a query of this Canary may refer to."""
    spec = canary.spec
    return QueryScope(
        name=canary.name,
        namespace=canary.namespace,
        target=canary.target,
        service=canary.apex,
        ingress=spec.ingress_ref.name if spec.ingress_ref is not None else canary.target,
        route=spec.route_ref.name if spec.route_ref is not None else canary.target,
        interval=metric.interval or window,
        variables=metric.template_variables,
    )


def names_of(scope: QueryScope) -> dict[str, str | Mapping[str, str]]:
    """The functions that a query's template may call."""
    return {field: getattr(scope, field) for field in scope.__struct_fields__}
