"""How long the oldest wait, and how much analysts did: the reply of `periscope_watch`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from periscope.errors import PartitionsMissing
from periscope.functions import Functions
from periscope.keys import PartitionKeys
from periscope.models import SEVERITIES
from periscope.periscope import Periscope
from periscope.reader import over, steady
from periscope.rules import Rules

LATCHED = len(SEVERITIES)  # its place behind those of the severities


@dataclass(frozen=True, slots=True)
class Watch:
    """Since when the oldest wait, in ms of the server's clock at `as_of_ms`; None: nothing waits.

    `unseen_since_ms` is by severity, since the threat was first seen; `latched_since_ms` since the
    last activity of what waits for its promotion and is not held. `acts` are counts by action.
    """

    as_of_ms: int
    unseen_since_ms: dict[str, int | None]
    latched_since_ms: int | None
    acts: dict[str, int]

    def waiting_s(self, since_ms: int | None) -> float:
        """How long that is ago; 0 where nothing waits."""
        return 0.0 if since_ms is None else max(0, self.as_of_ms - since_ms) / 1000


@dataclass(frozen=True, slots=True)
class WatchPart:
    """What one partition says; moments in the order of the severities, then what is latched."""

    now_ms: int
    since_ms: list[int]
    acts: dict[str, int]


async def read_watch(periscope: Periscope) -> Watch:
    """Read it of all partitions, in bounded steps.

    Raises:
        PartitionsMissing: some are away; what the others say is in `partial`.
    """
    functions, partitions = periscope.functions, periscope.keyspace.partitions

    async def read(_: Rules) -> Watch:
        try:
            return watch_of(await over(partitions, lambda keys: read_part(functions, keys)))
        except PartitionsMissing as exc:
            partial = watch_of(exc.partial) if exc.partial else None
            raise exc.having(partial) from exc.__cause__

    return await steady(functions, read)


async def read_part(functions: Functions, keys: PartitionKeys) -> WatchPart:
    """Read it of one partition."""
    offsets, since_ms = [0] * (LATCHED + 1), [0] * (LATCHED + 1)
    while True:
        now_ms, found, offsets, acts = await functions.call(
            "periscope_watch", keys.singles, (functions.moment, *offsets)
        )
        since_ms = [_earlier(*pair) for pair in zip(since_ms, found, strict=True)]
        if max(offsets) < 0:
            counts = zip(acts[::2], acts[1::2], strict=True)
            return WatchPart(now_ms, since_ms, {verb.decode(): count for verb, count in counts})


def watch_of(parts: Sequence[WatchPart]) -> Watch:
    """What partitions say together."""
    since_ms, acts = [0] * (LATCHED + 1), Counter[str]()
    for part in parts:
        since_ms = [_earlier(*pair) for pair in zip(since_ms, part.since_ms, strict=True)]
        acts.update(part.acts)
    told = [moment or None for moment in since_ms]
    unseen = {one.value: told[one.rank] for one in SEVERITIES}
    return Watch(parts[0].now_ms, unseen, told[LATCHED], dict(acts))


def _earlier(one_ms: int, other_ms: int) -> int:
    """The earlier of two moments, 0 being none."""
    return min(one_ms or other_ms, other_ms or one_ms)
