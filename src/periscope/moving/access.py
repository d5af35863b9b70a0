"""API keys and accounts on their way to another server.

On the same server they stay where they are: their key belongs to no partition. Sessions and
lock-outs are not carried: people sign in again.
"""

from __future__ import annotations

from periscope.access_keys import AccessKeys
from periscope.moving.feeds import carry_hash, forget_key
from periscope.moving.side import Side


async def carry_access(source: Side, target: Side, move_id: str) -> None:
    """Copy keys and accounts to a server that is not a database yet. Repeatable.

    The source lets nobody change them from the note on the switch on, so none is lost that was
    revoked meanwhile.
    """
    await carry_hash(source, target, move_id, AccessKeys(source.namespace).access)


async def forget_access(side: Side) -> None:
    """Delete what was left behind: no key is good there any more. Repeatable."""
    await forget_key(side, AccessKeys(side.namespace).access)
