"""What a program that watches may know: one table of metrics, and what fills it.

Layers: `table` (every metric there is) · `sheet` (values by the table) · `forecast`, `watch`,
`reading` (what the store says) · `shared`, `own` (what is written on the sheet) · `metrics`.
"""

from periscope.metrics.metrics import Metrics, content_type
from periscope.metrics.own import IndexState
from periscope.metrics.reading import count_overdue
from periscope.metrics.table import TABLE, Metric
from periscope.metrics.watch import Watch, read_watch

__all__ = [
    "TABLE",
    "IndexState",
    "Metric",
    "Metrics",
    "Watch",
    "content_type",
    "count_overdue",
    "read_watch",
]
