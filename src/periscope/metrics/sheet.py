"""Values by the table, and how the client library is given them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import metrics_core
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
)

from periscope.metrics.table import COUNTER, INFO, NAMESPACE, TABLE, Metric

MAX_LABEL_CHARS = 128  # of a value: names of feeds and routes are short


class Sheet:
    """Values of one moment, of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._values: dict[str, dict[tuple[str, ...], float]] = {}

    def put(self, name: str, value: float | bool | None, *labels: str) -> None:
        """Note the value of a metric of the table; None is left out."""
        if len(labels) != len(TABLE[name].labels):
            raise ValueError(f"{name} takes the labels {TABLE[name].labels}")
        if value is not None:
            fit = tuple(label[:MAX_LABEL_CHARS] for label in labels)
            self._values.setdefault(name, {})[fit] = float(value)

    def families(self) -> Iterator[metrics_core.Metric]:
        """The metrics that have values, in the order of the table."""
        for name, metric in TABLE.items():
            if name in self._values:
                yield self._family(metric, self._values[name])

    def _family(self, metric: Metric, values: dict[tuple[str, ...], float]) -> metrics_core.Metric:
        names = [NAMESPACE, *metric.labels]
        if metric.kind == INFO:
            info = InfoMetricFamily(metric.name.removesuffix("_info"), metric.help, labels=[])
            for labels in values:
                info.add_metric([], dict(zip(names, (self._namespace, *labels), strict=True)))
            return info
        kind = CounterMetricFamily if metric.kind == COUNTER else GaugeMetricFamily
        family = kind(metric.name, metric.help, labels=names)
        base = metric.name.removesuffix("_total")
        family.unit = metric.unit if base.endswith(f"_{metric.unit}") else ""
        for labels, value in values.items():
            family.add_metric([self._namespace, *labels], value)
        return family
