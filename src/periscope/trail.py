"""The audit trail as it stands in the store, on its way into the archive."""

from __future__ import annotations

from typing import Any

from periscope.archive import AuditEntry
from periscope.calls import decode
from periscope.keys import PartitionKeys
from periscope.reader import Reader

STEP = 100  # entries that are archived, and let go of, at a time: what delays others for 2 ms


async def entries(
    reader: Reader, keys: PartitionKeys, count: int, *, newest: bool = False
) -> list[tuple[str, list[AuditEntry]]]:
    """Entries of a partition's stream, oldest first: the first `count` of them, or the last."""
    verb, start, end = ("XREVRANGE", "+", "-") if newest else ("XRANGE", "-", "+")
    found = await reader.run(verb, keys.audit, start, end, "COUNT", count)
    return [
        (name.decode(), audit_of(keys.number, name.decode(), fields))
        for name, fields in (reversed(found) if newest else found)
    ]


def audit_of(partition: int, stream_id: str, fields: Any) -> list[AuditEntry]:
    """The acts of an entry of a partition's audit stream."""
    payload = fields[b"a"] if isinstance(fields, dict) else fields[1]
    at_ms, acts = decode(payload)
    return [
        AuditEntry(
            partition=partition,
            stream_id=stream_id,
            position=position,
            at_ms=at_ms,
            action=verb,
            threat_id=threat_id,
            analyst_id=analyst_id,
            request_id=request_id,
            detail=told,
        )
        for position, (verb, threat_id, analyst_id, request_id, told) in enumerate(acts)
    ]


def time_of(entry: AuditEntry) -> tuple[int, int, int, int, int]:
    """What entries of all partitions are sorted by."""
    moment, _, number = entry.stream_id.partition("-")
    return entry.at_ms, entry.partition, int(moment), int(number), entry.position
