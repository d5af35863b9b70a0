"""Saved views on their way to another server.

On the same server they stay where they are: their key belongs to no partition. The timeline is not
carried: it is of the services that wrote it, and begins anew.
"""

from __future__ import annotations

from periscope.console_keys import console_keys
from periscope.moving.feeds import carry_hash, forget_key
from periscope.moving.side import Side


async def carry_views(source: Side, target: Side, move_id: str) -> None:
    """Copy saved views to a server that is not a database yet. Repeatable.

    The source lets nobody change them from the note on the switch on.
    """
    await carry_hash(source, target, move_id, console_keys(source.namespace).views)


async def forget_console(side: Side) -> None:
    """Delete what was left behind. Repeatable."""
    for key in console_keys(side.namespace).own:
        await forget_key(side, key)
