"""What in a Canary cannot work, said with the field and the fix before anything is moved.

Only the Canary itself and the operator's settings are looked at here. What a mesh or a workload cannot do is said by
their providers, what is missing in the cluster is an answer to the question `References`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from gradatim.api.canary import Analysis, Canary, Metric, Webhook
from gradatim.api.durations import parse_duration
from gradatim.core.analysis import POLICIES, limits
from gradatim.core.names import provider
from gradatim.core.problems import Problem
from gradatim.core.settings import Settings
from gradatim.core.strategy import ROUNDS_WITHOUT_SHIFTS
from gradatim.core.templates import TemplateError, check
from gradatim.core.timing import interval_of
from gradatim.core.verdict import Traits
from gradatim.core.weights import TOTAL

LONGEST_LABEL = 63
"""Characters of a Service name or a label value, by RFC 1123 and the Kubernetes API."""
LONGEST_NAME = 253
"""Characters of the name of any other object, by the same."""
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_LABEL_RULE = "use lower-case letters, digits and hyphens, with a letter or digit at both ends"
_PORT_NAME = re.compile(r"(?=[^a-z]*[a-z])[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_PORT_RULE = "a container port's name has at most 15 lower-case letters, digits and single hyphens"

QUERY_NAMES = ("name", "namespace", "target", "service", "ingress", "route", "interval", "variables")

_HOOK_TYPES = (
    "confirm-rollout",
    "pre-rollout",
    "rollout",
    "confirm-promotion",
    "post-rollout",
    "event",
    "rollback",
    "confirm-traffic-increase",
)
ONLY_TELL = ("event", "post-rollout")
"""Hooks whose answers decide nothing, so that one that cannot work holds nothing up."""
_GATES = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion")


def problems(canary: Canary, settings: Settings, traits: Traits, *, generates_services: bool) -> tuple[Problem, ...]:
    """Everything that is wrong, in the order of the manifest."""
    return tuple(_problems(canary, settings, traits, generates_services))


def _problems(canary: Canary, settings: Settings, traits: Traits, generates_services: bool) -> Iterator[Problem]:
    yield from _references(canary, settings)
    yield from _names(canary)
    if generates_services:
        yield from _service(canary)
    if canary.spec.progress_deadline_seconds is not None and canary.spec.progress_deadline_seconds < 0:
        yield Problem("spec.progressDeadlineSeconds", "must be a number of seconds above 0; leave it out for 600")
    yield from _interval(canary.spec.analysis.interval, settings)
    yield from _traffic_plan(canary.spec.analysis, traits)
    if canary.spec.analysis.iterations <= 0 and not canary.spec.skip_analysis:
        yield from _weights(canary, settings, traits)
    yield from _affinity(canary.spec.analysis, traits)
    for index, metric in enumerate(canary.spec.analysis.metrics):
        yield from _metric(metric, f"spec.analysis.metrics[{index}]")
    for index, hook in enumerate(canary.spec.analysis.webhooks):
        for problem in _webhook(hook, f"spec.analysis.webhooks[{index}]"):
            yield msgspec.structs.replace(problem, blocks=hook.kind not in ONLY_TELL)
    for index, alert in enumerate(canary.spec.analysis.alerts):
        if alert.severity not in ("", "info", "warn", "error"):
            yield Problem(f"spec.analysis.alerts[{index}].severity", "must be info, warn or error")
        if not alert.provider_ref.name:
            yield Problem(f"spec.analysis.alerts[{index}].providerRef.name", "is required: name an AlertProvider")


def _references(canary: Canary, settings: Settings) -> Iterator[Problem]:
    for field, value in (("name", canary.target), ("kind", canary.kind)):
        if not value:
            yield Problem(f"spec.targetRef.{field}", "is required: name the workload to release")
    if not settings.no_cross_namespace_refs:
        return
    spec = canary.spec
    refs = [("gloo upstream", spec.upstream_ref, "spec.upstreamRef")]
    for index, metric in enumerate(spec.analysis.metrics):
        refs.append(("metric template", metric.template_ref, f"spec.analysis.metrics[{index}].templateRef"))
    for index, alert in enumerate(spec.analysis.alerts):
        refs.append(("alert provider", alert.provider_ref, f"spec.analysis.alerts[{index}].providerRef"))
    for word, ref, path in refs:
        if ref is not None and ref.namespace not in ("", canary.namespace):
            text = f"can't access {word} {ref.name}.{ref.namespace}, cross-namespace references are blocked"
            yield Problem(f"{path}.namespace", text)


def _names(canary: Canary) -> Iterator[Problem]:
    longest = f"{canary.apex}-primary"
    path = "spec.service.name" if canary.spec.service.name else "spec.targetRef.name"
    if canary.apex and not _LABEL.fullmatch(canary.apex):
        fix = _LABEL_RULE if canary.spec.service.name else "set spec.service.name to one that can"
        yield Problem(path, f"{canary.apex} cannot be the name of a Service; {fix}")
    if len(longest) > LONGEST_LABEL:
        text = f"the Service {longest} would have {len(longest)} characters, at most {LONGEST_LABEL} are possible"
        yield Problem(path, f"{text}; set a shorter spec.service.name")


def _service(canary: Canary) -> Iterator[Problem]:
    service = canary.spec.service
    if not 1 <= service.port <= 65535:
        found = service.port or "missing"
        yield Problem("spec.service.port", f"is {found}; set the port number of the Services, 1 to 65535")
    match service.container_port:
        case int(number) if not 1 <= number <= 65535:
            yield Problem("spec.service.targetPort", f"is {number}; use 1 to 65535 or a port's name")
        case str(name) if not _is_port_name(name):
            yield Problem("spec.service.targetPort", f"is {name}; {_PORT_RULE}")
    if service.port_name and not (_LABEL.fullmatch(service.port_name) and len(service.port_name) <= LONGEST_LABEL):
        yield Problem("spec.service.portName", f"is {service.port_name}; {_LABEL_RULE}, {LONGEST_LABEL} at most")


def _is_port_name(text: str) -> bool:
    """Whether a container port can have this name, by RFC 6335."""
    return len(text) <= 15 and _PORT_NAME.fullmatch(text) is not None


def _interval(text: str, settings: Settings) -> Iterator[Problem]:
    """An interval that cannot be kept is replaced by one that can, as in Flagger."""
    used = interval_of(text, settings.interval_floor)
    try:
        seconds = parse_duration(text) if text else used
    except ValueError as error:
        yield Problem("spec.analysis.interval", f"{error}; until then it is {used:g}s", blocks=False)
        return
    if seconds < 1:
        yield Problem(
            "spec.analysis.interval", f"is {text}, for which {used:g}s is taken; use 1s or more", blocks=False
        )


def _traffic_plan(analysis: Analysis, traits: Traits) -> Iterator[Problem]:
    if analysis.threshold < 0:
        text = f"is {analysis.threshold}, which means {analysis.failures_allowed}; use 1 or more"
        yield Problem("spec.analysis.threshold", text, blocks=False)
    if analysis.iterations < 0:
        yield Problem("spec.analysis.iterations", f"is {analysis.iterations}; use 1 or more")
    for field, value in (
        ("stepWeight", analysis.step_weight),
        ("maxWeight", analysis.max_weight),
        ("stepWeightPromotion", analysis.step_weight_promotion),
        ("mirrorWeight", analysis.mirror_weight),
        ("primaryReadyThreshold", analysis.primary_ready_threshold or 0),
        ("canaryReadyThreshold", analysis.canary_ready_threshold or 0),
    ):
        if not 0 <= value <= 100:
            yield Problem(f"spec.analysis.{field}", f"is {value}; use a share of 100")
    if analysis.mirror and not traits.mirrors and traits.shifts_traffic:
        yield Problem("spec.analysis.mirror", "this provider cannot mirror requests; remove it", blocks=False)


def _weights(canary: Canary, settings: Settings, traits: Traits) -> Iterator[Problem]:
    """A plan by weights; where there are none to be moved, rounds are made instead."""
    analysis = canary.spec.analysis
    if not traits.shifts_traffic:
        text = (
            f"Progressive traffic is not supported when using the {provider(canary, settings.mesh_provider)} provider, "
            f"{ROUNDS_WITHOUT_SHIFTS} iterations are made instead; set iterations"
        )
        yield Problem("spec.analysis.iterations", text, blocks=False)
        return
    if analysis.step_weight == 0 and not analysis.step_weights:
        text = "nothing says how to proceed: set iterations, or a stepWeight above 0, or stepWeights"
        yield Problem("spec.analysis.stepWeight", text)
    if analysis.match:
        yield Problem("spec.analysis.match", "is no A/B test without iterations; set or remove it", blocks=False)
    if analysis.step_weight > 0 and analysis.step_weights:
        yield Problem(
            "spec.analysis.stepWeights", "has no effect beside stepWeight; remove one of the two", blocks=False
        )
    if 0 < analysis.max_weight < analysis.step_weight:
        text = f"is {analysis.max_weight}, and the first step goes to {analysis.step_weight}; make the step smaller"
        yield Problem("spec.analysis.maxWeight", text, blocks=False)
    yield from _steps(analysis)


def _steps(analysis: Analysis) -> Iterator[Problem]:
    before = 0
    for index, weight in enumerate(analysis.step_weights):
        path = f"spec.analysis.stepWeights[{index}]"
        if weight <= 0:
            yield Problem(path, f"is {weight}; use a share of 100, above 0")
        elif weight <= before:
            yield Problem(path, f"is {weight} after {before}; each step must be larger than the one before")
        elif weight > TOTAL:
            yield Problem(path, f"is {weight}, which means {TOTAL}; use a share of 100", blocks=False)
        before = max(before, weight)


def _affinity(analysis: Analysis, traits: Traits) -> Iterator[Problem]:
    affinity = analysis.session_affinity
    if affinity is None:
        return
    if affinity.cookie_name == affinity.primary_cookie_name:
        text = "can't use the same cookie name for both primary and cookie name; please update them to be different"
        yield Problem("spec.analysis.sessionAffinity.primaryCookieName", text)
    if not traits.session_affinity:
        yield Problem("spec.analysis.sessionAffinity", "this provider has no session affinity; remove it", blocks=False)


def _metric(metric: Metric, path: str) -> Iterator[Problem]:
    if not (metric.built_in or metric.template_ref or metric.query):
        text = (
            "has neither templateRef nor query, and the name is not request-success-rate or request-duration;"
            " add a templateRef"
        )
        yield Problem(path, text)
    if metric.template_ref is not None and not metric.template_ref.name:
        yield Problem(f"{path}.templateRef.name", "is required: name a MetricTemplate")
    yield from _bounds(metric, path)
    if not metric.template_ref:
        yield from _duration(metric.interval, f"{path}.interval")
    if metric.query and not metric.template_ref:
        yield from query_problems(metric.query, f"{path}.query")
    yield from _samples(metric, path)
    for field, policy in zip(
        metric.policies.__struct_encode_fields__, msgspec.structs.astuple(metric.policies), strict=True
    ):
        if policy not in ("", *POLICIES):
            yield Problem(f"{path}.policies.{field}", f"is {policy}; use one of {', '.join(POLICIES)}")


def _samples(metric: Metric, path: str) -> Iterator[Problem]:
    """How many samples a value needs, and how they are counted."""
    if metric.min_samples < 0:
        yield Problem(f"{path}.minSamples", f"is {metric.min_samples}; use 0 or more")
    if metric.samples_query:
        yield from query_problems(metric.samples_query, f"{path}.samplesQuery")
        if not metric.min_samples:
            yield Problem(f"{path}.samplesQuery", "has no effect without minSamples", blocks=False)
    elif metric.min_samples > 0 and (metric.template_ref or not metric.built_in):
        text = "is required beside minSamples: only the built-in checks know how to count their samples"
        yield Problem(f"{path}.samplesQuery", text)


def _bounds(metric: Metric, path: str) -> Iterator[Problem]:
    """The range of values that pass; without any, the bound is zero as in Flagger."""
    bounds = metric.threshold_range
    if bounds is None:
        if metric.threshold == 0:
            passes = "every value" if metric.name == "request-success-rate" else "nothing above 0"
            text = f"is missing, so that {passes} passes; set min, max or both"
            yield Problem(f"{path}.thresholdRange", text, blocks=False)
    elif bounds.min is None and bounds.max is None:
        yield Problem(
            f"{path}.thresholdRange", "is empty, so that every value passes; set min, max or both", blocks=False
        )
    elif bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
        yield Problem(f"{path}.thresholdRange", f"min {bounds.min:g} is above max {bounds.max:g}; swap them")
    least, _ = limits(metric)
    if metric.name == "request-success-rate" and least is not None and least > 100:
        field = "threshold" if bounds is None else "thresholdRange.min"
        yield Problem(f"{path}.{field}", f"is {least:g}, and no success rate is above 100; use 99 or so")


def query_problems(query: str, path: str) -> Iterable[Problem]:
    """What is wrong with the text of a query, such as a function nobody has."""
    try:
        check(query, QUERY_NAMES)
    except TemplateError as error:
        known = f"; known are {', '.join(QUERY_NAMES)}" if error.message.endswith("not defined") else ""
        return (Problem(path, f"{error.message}{known}"),)
    return ()


def _webhook(hook: Webhook, path: str) -> Iterator[Problem]:
    if hook.kind not in _HOOK_TYPES:
        yield Problem(f"{path}.type", f"is {hook.type}; use one of {', '.join(_HOOK_TYPES)}")
    if not hook.url.startswith(("http://", "https://")):
        yield Problem(f"{path}.url", "must begin with http:// or https://")
    if len(hook.timeout) > 1 and not _is_zero(hook.timeout):
        yield from _duration(hook.timeout, f"{path}.timeout")
    if hook.retries < 0:
        yield Problem(f"{path}.retries", f"is {hook.retries}; use 0 or more")
    yield from _duration(hook.retry_deadline, f"{path}.retryDeadline")
    yield from _duration(hook.deadline, f"{path}.deadline")
    if hook.deadline and hook.kind in _HOOK_TYPES and hook.kind not in _GATES:
        yield Problem(f"{path}.deadline", f"only gates have one, {hook.kind} is none; use one of {', '.join(_GATES)}")
    if hook.secret_ref is not None and not hook.secret_ref.name:
        yield Problem(f"{path}.secretRef.name", "is required: name a Secret in the Canary's namespace")


def _is_zero(duration: str) -> bool:
    """Whether it is the zero that means the default: every call has a deadline."""
    try:
        return parse_duration(duration) == 0
    except ValueError:
        return False


def _duration(text: str, path: str) -> Iterator[Problem]:
    """Nothing to say about a text that was left out."""
    if not text:
        return
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        yield Problem(path, str(error))
        return
    if seconds <= 0:
        yield Problem(path, f"is {text}; use a duration above 0, such as 30s")
