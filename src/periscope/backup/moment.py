"""How a partition stands, so that a copy can be known to be of one moment.

Everything that a function can write shows here: reports count in the ledger, acts and promotions
append to a stream, departures change the ledger or the departures, what is forgotten or trimmed
changes a size. The counters and the last ids only ever grow, so that two equal looks mean that
nothing was written between them; answers of ended departures may come and go between the two, and
either way of them is right. (Remembered replies are not looked at: they end by themselves.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from periscope.connection import Connections
from periscope.functions import LEDGER_FIELDS
from periscope.key_table import KEY_TABLE
from periscope.keys import NOISE_KEYS, SINGLE_KEYS, PartitionKeys

SIZE_COMMANDS = {"hash": "HLEN", "sorted set": "ZCARD", "stream": "XLEN"}
TYPES = {kind.name: kind.type for kind in KEY_TABLE}
NO_ENTRY = b"0-0"


@dataclass(frozen=True, slots=True)
class Moment:
    """A partition at one moment; two equal ones with nothing written between them."""

    hashes: tuple[dict[bytes, bytes], ...]
    streams: tuple[bytes, ...]
    sizes: tuple[int, ...]

    @property
    def ledger(self) -> dict[str, int]:
        """The ledger's counters and the sizes of the levels, by the names of `Ledger`."""
        kept = self.hashes[1]
        sizes = dict(zip((*SINGLE_KEYS, *NOISE_KEYS), self.sizes, strict=True))
        levels = (sizes["board"], sizes["short"], sizes["long"])
        return {
            **{name: int(kept.get(name.encode(), 0)) for name in LEDGER_FIELDS},
            **{f"level_{level}": size for level, size in enumerate(levels, 1)},
        }

    @property
    def is_open(self) -> bool:
        """Could it be written to, or was it fenced, or left behind, by a repartition?"""
        return b"format" in self.hashes[0] and b"moving" not in self.hashes[0]

    @property
    def audited(self) -> tuple[int, int]:
        """The id of the last act of the audit trail."""
        ms, sequence = self.streams[1].split(b"-")
        return int(ms), int(sequence)


async def look(connections: Connections, keys: PartitionKeys) -> Moment:
    """Look at a partition, in one round trip."""
    pipeline = connections.client.pipeline(transaction=False)
    for key in (keys.meta, keys.ledger, keys.departures):
        pipeline.execute_command("HGETALL", key)
    for key in (keys.events, keys.audit):
        pipeline.execute_command("XINFO", "STREAM", key)
    names = (*SINGLE_KEYS, *NOISE_KEYS)
    for name, key in zip(names, (*keys.singles, *keys.noise), strict=True):
        pipeline.execute_command(SIZE_COMMANDS[TYPES[name]], key)
    replies = await connections.guarded(pipeline.execute(raise_on_error=False))
    for reply in replies:
        if isinstance(reply, Exception) and not _is_missing(reply):
            raise connections.explain(reply) from reply
    streams = tuple(map(_last_entry, replies[3:5]))
    return Moment(tuple(map(_as_dict, replies[:3])), streams, tuple(replies[5:]))


def _is_missing(reply: Any) -> bool:
    return isinstance(reply, ResponseError) and "no such key" in str(reply)


def _last_entry(reply: Any) -> bytes:
    if _is_missing(reply):
        return NO_ENTRY
    return bytes(_as_dict(reply)[b"last-generated-id"])


def _as_dict(reply: Any) -> dict[bytes, Any]:
    if isinstance(reply, dict):
        return reply
    return dict(zip(reply[::2], reply[1::2], strict=True))
