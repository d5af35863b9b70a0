"""Suppression rules and warninglists on their way to another server.

On the same server they stay where they are: their key belongs to no partition.
"""

from __future__ import annotations

from periscope.errors import MoveError
from periscope.moving.side import Side
from periscope.noise import NoiseCalls, Warninglist
from periscope.noise.calls import SET

GONE = "rules or warninglists of the source cannot be read whole; run the same command again"
TAKEN = "somebody else has written suppression rules at the target meanwhile"


async def carry_noise(source: Side, target: Side, move_id: str) -> None:
    """Copy rules and lists to the server of the target, which is not a database yet. Repeatable.

    Raises:
        MoveError: the source changes, or somebody else writes at the target.
    """
    here = NoiseCalls(source.functions, source.namespace)
    there = NoiseCalls(target.functions, target.namespace, move_id)
    _, index = await here.index()
    revision, copied = await there.index()
    if copied == index:
        return
    for about in index.lists:
        if not await there.put(revision, await _pieces(here, about)):
            raise MoveError(TAKEN)
    word, _ = await there.commit(revision, index)
    if word != SET and (await there.index())[1] != index:
        raise MoveError(TAKEN)


async def _pieces(here: NoiseCalls, about: Warninglist) -> dict[str, bytes]:
    found = await here.pieces(about)
    if found is None:
        raise MoveError(GONE)
    return dict(zip(about.pieces, found, strict=True))


async def forget_noise(side: Side) -> None:
    """Delete the rules and lists that were left behind. Repeatable."""
    await NoiseCalls(side.functions, side.namespace).delete()
