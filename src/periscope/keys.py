"""Every key name, built here and nowhere else; `key_table.py` says what each holds.

A database is a namespace, divided into P partitions. All keys of partition p start with the same
hash tag, so that they share a cluster slot; the tags are chosen so that P slots lie evenly over the
16,384. A database that was repartitioned or rebuilt has other tags than before (its generation), so
that no key has two meanings. What belongs to no partition lives under the control tag. A namespace
cannot hold braces, so no threat id can forge a tag: everything after the prefix is the id, byte for
byte.
"""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass
from functools import cache
from zlib import crc32

SLOTS = 16_384
TOUCH = b":touch"


# The keys that each partition has once, in the order in which every function that writes is given
# them (`partition_keys` in 00_prelude.lua): one order, so that no function has one of its own.
SINGLE_KEYS = (
    *("meta", "ledger", "board", "exceptions", "promotable", "claims"),
    *("short", "short_rank", "long", "long_rank", "sources"),
    *("stubs", "stub_ages", "removed", "departures", "events", "audit", "done", "done_before"),
)

# Those of what is suppressed, which came later: functions that need them are given them after the
# single ones, so that the order of those stays what older programs know.
NOISE_KEYS = ("suppressed", "suppressed_ages", "suppressed_causes")


class PartitionKeys:
    """The keys of one partition; `tag` is its hash tag with the braces.

    `singles` are all keys of SINGLE_KEYS, in that order, and `noise` those of NOISE_KEYS; each has
    an attribute of its name as well.
    """

    __slots__ = ("noise", "number", "record_prefix", "singles", "tag", *SINGLE_KEYS, *NOISE_KEYS)

    meta: bytes
    ledger: bytes
    board: bytes
    exceptions: bytes
    promotable: bytes
    claims: bytes
    short: bytes
    short_rank: bytes
    long: bytes
    long_rank: bytes
    sources: bytes
    stubs: bytes
    stub_ages: bytes
    removed: bytes
    departures: bytes
    events: bytes
    audit: bytes
    done: bytes
    done_before: bytes
    suppressed: bytes
    suppressed_ages: bytes
    suppressed_causes: bytes

    def __init__(self, number: int, tag: bytes) -> None:
        self.number = number
        self.tag = tag
        self.singles = tuple(tag + b":" + name.encode() for name in SINGLE_KEYS)
        self.noise = tuple(tag + b":" + name.encode() for name in NOISE_KEYS)
        names, keys = (*SINGLE_KEYS, *NOISE_KEYS), (*self.singles, *self.noise)
        for name, key in zip(names, keys, strict=True):
            setattr(self, name, key)
        self.record_prefix = tag + b":t:"

    def record(self, threat_id: bytes) -> bytes:
        """The key of a threat's record."""
        return self.record_prefix + threat_id

    def analysts(self, threat_id: bytes) -> bytes:
        """The key of what analysts did to a threat."""
        return self.tag + b":a:" + threat_id

    def reply(self, chunk_id: bytes) -> bytes:
        """The key of a chunk's remembered reply."""
        return self.tag + b":reply:" + chunk_id


@dataclass(frozen=True, slots=True)
class Keyspace:
    """All keys of a namespace with P partitions, in one generation of its tags."""

    namespace: str
    partitions: tuple[PartitionKeys, ...]
    generation: int = 0

    @classmethod
    def of(cls, namespace: str, count: int, generation: int = 0) -> Keyspace:
        """Return the key names of `count` partitions; the same for the same arguments, always.

        Two generations have no key in common.
        """
        tags = partition_tags(namespace, count, generation)
        partitions = tuple(PartitionKeys(p, tag) for p, tag in enumerate(tags))
        return cls(namespace, partitions, generation)

    def partition_of(self, threat_id: bytes) -> PartitionKeys:
        """Return the partition that holds the threat: crc32(id) mod P."""
        if len(self.partitions) == 1:
            return self.partitions[0]
        return self.partitions[crc32(threat_id) % len(self.partitions)]


CONTROL_FORMAT = 2  # of the control key once a database was repartitioned or rebuilt; 1 before


def control_key(namespace: str) -> bytes:
    """Return the key of what belongs to no partition."""
    return b"{%s:control}" % namespace.encode()


def noise_key(namespace: str) -> bytes:
    """Return the key of suppression rules and warninglists; it shares the control key's slot."""
    return control_key(namespace) + b":noise"


def touch_key(key: bytes) -> bytes:
    """Return the key of the small write that follows a change of `key`, in the same slot."""
    return key[: key.find(b"}") + 1] + TOUCH


@cache
def partition_tags(namespace: str, count: int, generation: int = 0) -> tuple[bytes, ...]:
    """Hash tags whose slots lie evenly over the cluster: tag p is in stretch p of `count`.

    The numbers in a tag are one (P = 1) or two of generation 0, three of any later one.
    """
    if count == 1 and not generation:
        return (b"{%s:0}" % namespace.encode(),)
    suffix = f".{generation}" if generation else ""
    return tuple(_tag_in_stretch(namespace, p, count, suffix) for p in range(count))


def _tag_in_stretch(namespace: str, p: int, count: int, suffix: str) -> bytes:
    first, after = p * SLOTS // count, (p + 1) * SLOTS // count
    salt = 0
    while True:
        body = f"{namespace}:{p}.{salt}{suffix}".encode()
        if first <= slot_of(body) < after:
            return b"{%s}" % body
        salt += 1


def slot_of_key(key: bytes) -> int:
    """Cluster slot of a key: that of its hash tag, if it has one."""
    start = key.find(b"{")
    end = key.find(b"}", start + 1) if start >= 0 else -1
    return slot_of(key[start + 1 : end] if end > start + 1 else key)


def slot_of(tag_body: bytes) -> int:
    """Cluster slot of a hash tag (without braces): CRC-16/XMODEM modulo 16,384."""
    return crc_hqx(tag_body, 0) % SLOTS
