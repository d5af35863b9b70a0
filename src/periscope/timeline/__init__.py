"""How the queue was over the last day, minute by minute.

Layers: `samples` (what is kept, and the calls that keep and read it) · `sampler` (the worker).
"""

from periscope.timeline.sampler import Sampler, SampleStats
from periscope.timeline.samples import DAY_S, EVERY_MS, Sample, Timeline, read_timeline

__all__ = [
    "DAY_S",
    "EVERY_MS",
    "Sample",
    "SampleStats",
    "Sampler",
    "Timeline",
    "read_timeline",
]
