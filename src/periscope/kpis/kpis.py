"""`kpis`: the key figures of a database, and their document."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from periscope import documents
from periscope.archive import Archive
from periscope.errors import UsageError
from periscope.kpis.figures import Bucket, Kpis, SourceRate, figures
from periscope.kpis.gathering import MOST, Gathering
from periscope.models import to_datetime
from periscope.periscope import Periscope

LONGEST = timedelta(days=366)
_MS = timedelta(milliseconds=1)
_EPOCH = to_datetime(0)


async def kpis(
    periscope: Periscope,
    archive: Archive,
    since: timedelta = timedelta(days=1),
    now: datetime | None = None,
    *,
    most: int = MOST,
) -> Kpis:
    """The key figures of the time from `since` before `now` (None: the server's) until then.

    They are exact over the audit trail, the threats that are there and the archive, as
    docs/reference/kpis.md says; of more than `most` acts, threats or departures so many are looked
    at, and `truncated` says so. Nothing is changed. It reads every threat once.

    Raises:
        UsageError: `since` is not more than 0, or more than 366 days; `now` has no time zone.
        PartitionsMissing: some partitions are away: the figures would not be exact.
        CursorStale: the policy changed meanwhile; start again.
    """
    if not timedelta(0) < since <= LONGEST:
        raise UsageError(f"since: {since} is not more than 0, or more than {LONGEST.days} days")
    if now is not None and now.tzinfo is None:
        raise UsageError("now: a moment without a time zone")
    until_ms = (await periscope.get_stats()).as_of_ms if now is None else (now - _EPOCH) // _MS
    since_ms = max(0, until_ms - since // _MS)
    found = Gathering(periscope, archive, since_ms, most)
    unknown = await found.gather()
    told = tuple(found.truncated)
    return await asyncio.to_thread(figures, found.lives, since_ms, until_ms, told, unknown)


def document(found: Kpis) -> dict[str, Any]:
    """The key figures as JSON: moments twice, spans in seconds."""
    return {
        **documents.times("since", found.since_ms),
        **documents.times("until", found.until_ms),
        "times": {
            name: {severity: asdict(one) for severity, one in spreads.items()}
            for name, spreads in found.times.items()
        },
        "sources": [_source(one) for one in found.sources],
        "bucket_seconds": found.bucket_ms // 1000,
        "flow": [_bucket(one) for one in found.flow],
        "change": found.change,
        "truncated": list(found.truncated),
        "unknown": found.unknown,
    }


def _source(one: SourceRate) -> dict[str, Any]:
    return {**asdict(one), "true_positive_rate": one.rate}


def _bucket(one: Bucket) -> dict[str, Any]:
    counts = {"seen": one.seen, "reopened": one.reopened}
    gone = {"decided": one.decided, "departed": one.departed}
    flows = {"inflow": one.inflow, "outflow": one.outflow}
    return {**documents.times("start", one.start_ms), **counts, **gone, **flows}
