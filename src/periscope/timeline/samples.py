"""Samples of the queue: what one says, how it is kept, how many are read."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from periscope.console_keys import console_keys
from periscope.errors import BugError
from periscope.functions import Functions
from periscope.ledger import Stats
from periscope.models import SEVERITIES, Status

EVERY_MS = 60_000
DAY_S = 24 * 60 * 60

log = logging.getLogger("periscope")


class Sample(msgspec.Struct, frozen=True):
    """The queue at one moment: open threats and the unseen among them by severity, the levels.

    `received` and `departed` are the ledger's counters since the beginning of the database.
    """

    at_ms: int
    open: dict[str, int]
    unseen: dict[str, int]
    level_1: int
    level_2: int
    level_3: int
    received: int
    departed: int


class Timeline(msgspec.Struct, frozen=True):
    """Samples from `since_ms` until `until_ms`, the oldest first; where nobody kept one is none."""

    since_ms: int
    until_ms: int
    every_ms: int
    samples: list[Sample]


def sample_of(stats: Stats) -> Sample:
    """Return what is kept of these counts."""
    ledger, counts = stats.ledger, stats.counts[Status.OPEN.value]
    return Sample(
        stats.as_of_ms,
        {one.value: counts[one.value] for one in SEVERITIES},
        {one.value: stats.unseen[one.value] for one in SEVERITIES},
        ledger.level_1,
        ledger.level_2,
        ledger.level_3,
        ledger.received,
        ledger.departed,
    )


def minute_of(moment_ms: int) -> int:
    """The ms at which the minute of a moment began."""
    return moment_ms - moment_ms % EVERY_MS


async def keep_sample(functions: Functions, namespace: str, sample: Sample) -> bool:
    """Keep the sample of its minute; False if somebody has kept one. Safe to repeat.

    Raises:
        StoreError: it is not kept.
    """
    keys = console_keys(namespace)
    args = (minute_of(sample.at_ms), msgspec.json.encode(sample), functions.moment)
    word = await functions.call("periscope_sample", [keys.control, keys.timeline], args, aside=True)
    if word not in (b"KEPT", b"THERE"):
        raise BugError(f"periscope_sample answered {word!r:.100}")
    return bool(word == b"KEPT")


async def read_timeline(functions: Functions, namespace: str, for_s: int = DAY_S) -> Timeline:
    """Read the samples of the last `for_s` seconds, by the server's clock: 1,440 at most."""
    keys, span_ms = console_keys(namespace), for_s * 1000
    now_ms, found = await functions.call(
        "periscope_timeline", [keys.timeline], (span_ms, functions.moment)
    )
    since_ms = max(0, now_ms - span_ms)
    return Timeline(since_ms, now_ms, EVERY_MS, _decoded(found))


def _decoded(found: Sequence[bytes]) -> list[Sample]:
    """Return what this program can read; the log says where there is more."""
    samples = []
    for one in found:
        try:
            samples.append(msgspec.json.decode(one, type=Sample))
        except msgspec.MsgspecError:
            log.warning("a sample of the timeline cannot be read by this program")
    return samples
