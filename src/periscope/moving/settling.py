"""What is between store and archive when a partition is fenced: departures, and the audit trail."""

from __future__ import annotations

from typing import Any

from periscope.archive import Archive
from periscope.calls import VOID
from periscope.keeping import departed
from periscope.keys import Keyspace, PartitionKeys
from periscope.moving.calls import MoverCalls
from periscope.moving.side import Side
from periscope.trail import STEP, audit_of


async def settle(side: Side, keyspace: Keyspace, calls: MoverCalls, archive: Archive) -> None:
    """Settle every open departure, and bring the whole audit trail into the archive.

    The fence stands: no departure can happen any more, and no act be recorded. What is in the trail
    stays there (a move that is given up goes on with it); the archive knows each act by its entry,
    so that none is in it twice.
    """
    for batch in await archive.pending():
        keys = keyspace.partitions[batch.partition % len(keyspace.partitions)]
        words = await calls.resolve(keys, batch.batch_id)
        pending = {one.batch_id for one in await archive.pending()}
        if words != VOID or batch.batch_id in pending:
            await archive.confirm(batch.batch_id, departed(words, len(batch.threat_ids)))
    for keys in keyspace.partitions:
        await _archive_audit(side, keys, archive)


async def _archive_audit(side: Side, keys: PartitionKeys, archive: Archive) -> None:
    after = "-"
    while True:
        command = ("XRANGE", keys.audit, after, "+", "COUNT", STEP)
        (found,) = await side.read([command])
        entries: list[tuple[str, Any]] = [(name.decode(), fields) for name, fields in found]
        if not entries:
            return
        acts = [act for name, fields in entries for act in audit_of(keys.number, name, fields)]
        await archive.write_audit(acts)
        after = f"({entries[-1][0]}"
