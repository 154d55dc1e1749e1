"""The operator's own metrics, from a page that it renders."""

from __future__ import annotations

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from samples import canary
from tables import code, table

from gradatim.api.canary import Metric as Check
from gradatim.api.status import CanaryStatus, Phase
from gradatim.core.weights import split
from gradatim.engine.telemetry import BUCKETS, Telemetry

_HEAD = """\
# Metrics of the operator

`/metrics` on `-port` (8080 unless set) has these series. Names, labels and values are Flagger's, so that dashboards and
rules go on working. `name` and `workload` are those of the target, not of the Canary.

"""
_TAIL = f"""
* `flagger_canary_metric_analysis` is in the unit of the check: percent for `request-success-rate`, **seconds** for
  `request-duration`, the value as it came for everything else.
* `flagger_canary_duration_seconds` is the time of one look that judged or stepped, not of a release. Its buckets end at
  {", ".join(f"{bound:g}" for bound in BUCKETS)} seconds and infinity.
* `deployment_strategy` is `canary`, `blue-green` or `ab-testing`; `analysis_status` is `completed`, or `skipped` for a
  promotion with `skipAnalysis`.
* Series of a Canary go with the Canary. Flagger keeps them until it is restarted.
* A rule that many have: `flagger_canary_status > 1` for a minute.

Beside them are the usual series of a Python process: `process_…` and `python_…`.

`/healthz` answers `OK` as long as the program runs. `/readyz` answers 503, with the reason, when the API server has not
been heard of for a minute.
"""


def page() -> str:
    """The whole page."""
    return _HEAD + table(("Series", "Type", "Labels", "Value"), map(_row, _families())) + _TAIL


def _families() -> list[Metric]:
    telemetry, sample = Telemetry("0", "nginx"), canary()
    telemetry.census(lambda: {sample.namespace: 1})
    running = CanaryStatus(phase=Phase.FINALISING)
    for phase in (Phase.SUCCEEDED, Phase.FAILED):
        telemetry.observe(sample, running, CanaryStatus(phase=phase), split(10))
    telemetry.measured(sample, Check(name="request-success-rate"), 100.0)
    telemetry.lasted(sample, 0.1)
    return list(text_string_to_metric_families(telemetry.render()))


def _row(family: Metric) -> tuple[str, str, str, str]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
    return code(name), family.type, ", ".join(map(code, labels)), family.documentation
