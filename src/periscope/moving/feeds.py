"""Feeds that are polled, on their way to another server.

On the same server they stay where they are: their keys belong to no partition.
"""

from __future__ import annotations

from periscope.feed_keys import feed_keys
from periscope.functions import Arg
from periscope.keys import control_key
from periscope.moving.side import Side, as_pairs

STEP = 50  # fields of one call


async def carry_feeds(source: Side, target: Side, move_id: str) -> None:
    """Copy definitions, states and positions to a server that is not a database yet. Repeatable.

    What a worker notes afterwards at the source is refused there once the move is noted; a slice
    that was acknowledged before and noted in between is read again, as duplicates.
    """
    for key in feed_keys(source.namespace).own:
        await carry_hash(source, target, move_id, key)


async def forget_feeds(side: Side) -> None:
    """Delete what was left behind. Repeatable."""
    for key in feed_keys(side.namespace).own:
        await forget_key(side, key)


async def carry_hash(source: Side, target: Side, move_id: str, key: bytes) -> None:
    """Copy a hash that stands beside the control key. Repeatable."""
    (found,) = await source.read([("HGETALL", key)])
    flat = [part for pair in as_pairs(found) for part in pair]
    await forget_key(target, key)
    step = 2 * STEP
    for first in range(0, len(flat), step):
        args: tuple[Arg, ...] = (move_id, "hash", *flat[first : first + step])
        await target.functions.call("periscope_fill", [control_key(source.namespace), key], args)


async def forget_key(side: Side, key: bytes) -> None:
    """Delete a key. Repeatable."""
    await side.connections.guarded(side.connections.run("UNLINK", key, key=key))
