"""Every key name, built here and nowhere else; and the table of them that the docs print.

A database is a namespace, divided into P partitions. All keys of partition p start with the same
hash tag, so that they share a cluster slot; the tags are chosen so that P slots lie evenly over the
16,384. What belongs to no partition lives under the control tag. A namespace cannot hold braces,
so no threat id can forge a tag: everything after the prefix is the id, byte for byte.
"""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple
from zlib import crc32

SLOTS = 16_384


class KeyKind(NamedTuple):
    """A row of the key table."""

    name: str
    pattern: str
    type: str
    holds: str
    lifetime: str
    owner: str


KEY_TABLE = (
    KeyKind(
        "control",
        "{ns:control}",
        "hash",
        "format, partitions, secret (keys fingerprints and cursors), policy, policy_revision",
        "for ever",
        "periscope_control, periscope_set_policy",
    ),
    KeyKind(
        "meta",
        "{ns:p}:meta",
        "hash",
        "format, policy_revision of the partition",
        "for ever",
        "periscope_prepare",
    ),
    KeyKind(
        "record",
        "{ns:p}:t:<id>",
        "string",
        "88-byte header (header.py) + the report as JSON",
        "as long as the threat is in a level",
        "periscope_ingest",
    ),
    KeyKind(
        "board",
        "{ns:p}:board",
        "sorted set",
        "id -> (status * 176 + bucket) * 2^42 + last_activity_ms, for every threat of level 1",
        "for ever",
        "periscope_ingest",
    ),
    KeyKind(
        "sources",
        "{ns:p}:sources",
        "hash",
        "id -> the last words of its sources, for threats with more than one source",
        "as the record",
        "periscope_ingest",
    ),
    KeyKind(
        "ledger",
        "{ns:p}:ledger",
        "hash",
        "received, added, sightings, duplicates, suppressed, rejected, archived_*, removed",
        "for ever",
        "periscope_ingest",
    ),
    KeyKind(
        "reply",
        "{ns:p}:reply:<chunk>",
        "string",
        "the answer to a chunk, so that a repeated one counts once",
        "10 minutes",
        "periscope_ingest",
    ),
    KeyKind(
        "short_term",
        "{ns:p}:short",
        "sorted set",
        "threats of level 2 (counted; filled by promotion, from a later version on)",
        "for ever",
        "periscope_stats reads it",
    ),
    KeyKind(
        "long_term",
        "{ns:p}:long",
        "sorted set",
        "threats of level 3 (counted; filled by promotion, from a later version on)",
        "for ever",
        "periscope_stats reads it",
    ),
)


@dataclass(frozen=True, slots=True)
class PartitionKeys:
    """The keys of one partition; `tag` is its hash tag with the braces."""

    number: int
    tag: bytes

    @property
    def meta(self) -> bytes:  # noqa: D102
        return self.tag + b":meta"

    @property
    def board(self) -> bytes:  # noqa: D102
        return self.tag + b":board"

    @property
    def sources(self) -> bytes:  # noqa: D102
        return self.tag + b":sources"

    @property
    def ledger(self) -> bytes:  # noqa: D102
        return self.tag + b":ledger"

    @property
    def short_term(self) -> bytes:  # noqa: D102
        return self.tag + b":short"

    @property
    def long_term(self) -> bytes:  # noqa: D102
        return self.tag + b":long"

    @property
    def record_prefix(self) -> bytes:
        """What stands before the id in a record's key."""
        return self.tag + b":t:"

    def record(self, threat_id: bytes) -> bytes:
        """The key of a threat's record."""
        return self.record_prefix + threat_id

    def reply(self, chunk_id: bytes) -> bytes:
        """The key of a chunk's remembered reply."""
        return self.tag + b":reply:" + chunk_id


@dataclass(frozen=True, slots=True)
class Keyspace:
    """All keys of a namespace with P partitions."""

    namespace: str
    partitions: tuple[PartitionKeys, ...]

    @classmethod
    def of(cls, namespace: str, count: int) -> Keyspace:
        """Return the key names of `count` partitions; the same for the same arguments, always."""
        tags = partition_tags(namespace, count)
        return cls(namespace, tuple(PartitionKeys(p, tag) for p, tag in enumerate(tags)))

    def partition_of(self, threat_id: bytes) -> PartitionKeys:
        """Return the partition that holds the threat: crc32(id) mod P."""
        if len(self.partitions) == 1:
            return self.partitions[0]
        return self.partitions[crc32(threat_id) % len(self.partitions)]


def control_key(namespace: str) -> bytes:
    """Return the key of what belongs to no partition."""
    return b"{%s:control}" % namespace.encode()


@cache
def partition_tags(namespace: str, count: int) -> tuple[bytes, ...]:
    """Hash tags whose slots lie evenly over the cluster: tag p is in stretch p of `count`."""
    if count == 1:
        return (b"{%s:0}" % namespace.encode(),)
    return tuple(_tag_in_stretch(namespace, p, count) for p in range(count))


def _tag_in_stretch(namespace: str, p: int, count: int) -> bytes:
    first, after = p * SLOTS // count, (p + 1) * SLOTS // count
    salt = 0
    while True:
        body = f"{namespace}:{p}.{salt}".encode()
        if first <= slot_of(body) < after:
            return b"{%s}" % body
        salt += 1


def slot_of(tag_body: bytes) -> int:
    """Cluster slot of a hash tag (without braces): CRC-16/XMODEM modulo 16,384."""
    return crc_hqx(tag_body, 0) % SLOTS
