"""The fence of a partition: whose it is, and how everybody is let in again."""

from __future__ import annotations

from periscope.keys import Keyspace, PartitionKeys
from periscope.moving.calls import MoverCalls
from periscope.moving.side import Side


async def fenced_by(side: Side, keys: PartitionKeys) -> str:
    """The id of the move whose fence stands there; '' for none."""
    (found,) = await side.read([("HGET", keys.meta, "move")])
    return bytes(found or b"").decode()


async def let_in(side: Side, keyspace: Keyspace) -> bool:
    """Lift every fence of a database that no move is valid for; were there any?

    Also those of a program that stood still while its move was given up, and then went on.
    """
    found = False
    for keys in keyspace.partitions:
        if move_id := await fenced_by(side, keys):
            await MoverCalls(side.functions, move_id).unfence(keys)
            found = True
    return found
