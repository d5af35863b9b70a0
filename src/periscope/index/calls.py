"""Typed calls of the functions about chosen threats: where they stand, who has them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain
from struct import iter_unpack

from periscope.errors import BugError
from periscope.functions import Functions
from periscope.keys import PartitionKeys
from periscope.rules import Rules

PLACES = 1_000  # ids of one call: what a server does within a millisecond or two
HOLDERS = 250
_ENTRY = "<dd"
_ENTRY_BYTES = 16


async def places_of(
    functions: Functions,
    keys: PartitionKeys,
    rules: Rules,
    ids: Sequence[bytes],
    as_of_ms: int | None,
) -> tuple[int, list[tuple[float, float]]]:
    """(server time, [(place, score at that time)]) of up to `PLACES` ids; place -1: not there."""
    moment = functions.moment if as_of_ms is None else as_of_ms
    names = [keys.meta, keys.board]
    now_ms, packed = await functions.call("periscope_places", names, (rules.packed, moment, *ids))
    if len(packed) != len(ids) * _ENTRY_BYTES:
        raise BugError(f"periscope_places answered {len(packed)} bytes to {len(ids)} ids")
    return now_ms, list(iter_unpack(_ENTRY, packed))


async def holders_of(
    functions: Functions, keys: PartitionKeys, ids: Sequence[bytes]
) -> list[tuple[str, int]]:
    """(analyst, until in ms) of each id's claim; ('', 0) where nobody has it now.

    Calls of bounded size, all of them in one turn.
    """

    async def ask(start: int) -> list[tuple[str, int]]:
        names = [keys.meta, *map(keys.analysts, ids[start : start + HOLDERS])]
        _, flat = await functions.call("periscope_holders", names, (functions.moment,))
        pairs = zip(flat[1::2], flat[::2], strict=True)
        return [(holder.decode(), int(until_ms)) for holder, until_ms in pairs]

    found = await asyncio.gather(*map(ask, range(0, len(ids), HOLDERS)))
    return list(chain.from_iterable(found))
