"""What metrics tell, read by the client library's own parsers."""

from __future__ import annotations

from typing import Any

from prometheus_client import metrics_core, parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from periscope.metrics import Metrics

Families = list[metrics_core.Metric]


async def families(metrics: Metrics, *, openmetrics: bool = False) -> Families:
    text = (await metrics.render(openmetrics)).decode()
    read: Any = openmetrics_parser if openmetrics else parser
    return list(read.text_string_to_metric_families(text))


async def told(metrics: Metrics) -> dict[str, dict[tuple[str, ...], float]]:
    """Each sample's value by its name and the values of its labels, in the order of their names."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in await families(metrics):
        for one in family.samples:
            labels = {name: value for name, value in one.labels.items() if name != "namespace"}
            values = tuple(value for _, value in sorted(labels.items()))
            found.setdefault(one.name, {})[values] = one.value
    return found


class Clock:
    """A steady clock in the test's hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s
