"""Every key name, built here and nowhere else; and the table of them that the docs print.

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
from typing import NamedTuple
from zlib import crc32

SLOTS = 16_384
TOUCH = b":touch"


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
        (
            "format, partitions, secret (keys fingerprints and cursors), policy, "
            "policy_revision, generation (of the tags), archive (its identity), clock (set while "
            "sweeps are paused), move (how far one has come), moved_to"
        ),
        "for ever",
        "periscope_control_2, periscope_set_policy, periscope_note, periscope_move",
    ),
    KeyKind(
        "feeds",
        "{ns:control}:feeds",
        "hash",
        "feed -> its definition as JSON, for those that were added by command or call",
        "until removed; 500 at most",
        "periscope_feed_define",
    ),
    KeyKind(
        "feed_state",
        "{ns:control}:feed_state",
        "hash",
        "feed -> a line of what the functions go by, then its status as JSON; '' -> last token",
        "until removed",
        "86_feeds.lua",
    ),
    KeyKind(
        "feed_position",
        "{ns:control}:feed_position",
        "hash",
        "feed -> how far it has come, as JSON",
        "until removed",
        "periscope_feed_keep, periscope_feed_release",
    ),
    KeyKind(
        "meta",
        "{ns:p}:meta",
        "hash",
        (
            "format, policy_revision; token (of the last claim), remembered_since, "
            "forgotten, event_bytes, events_lost, audit_bytes; moving, move (while fenced)"
        ),
        "for ever; a day more where a database was left behind",
        "periscope_prepare, periscope_fence, every function that writes",
    ),
    KeyKind(
        "record",
        "{ns:p}:t:<id>",
        "string",
        "88-byte header (header.py) + the report as JSON",
        "as long as the threat is in a level",
        "periscope_ingest_2, periscope_act",
    ),
    KeyKind(
        "analysts",
        "{ns:p}:a:<id>",
        "hash",
        (
            "analyst -> their interactions, last action, its time and id; '' -> the "
            "claim; '\\1' -> the revision that decided the status"
        ),
        "as the record",
        "periscope_act",
    ),
    KeyKind(
        "board",
        "{ns:p}:board",
        "sorted set",
        "id -> (status * 176 + bucket) * 2^42 + last_activity_ms, for every threat of level 1",
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "exceptions",
        "{ns:p}:exceptions",
        "sorted set",
        (
            "id -> class * 2^42 + ms, for level 1 threats whose end the board cannot "
            "tell: unseen ones with sightings (by severity; first_seen), open CRITICAL "
            "and HIGH ones with a dismissal, recalled ones (last_activity)"
        ),
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "promotable",
        "{ns:p}:promotable",
        "sorted set",
        "id -> score when its eligibility was latched",
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "claims",
        "{ns:p}:claims",
        "sorted set",
        "id -> end of the lease in ms",
        "for ever; ended ones go with the next act on the threat or its departure",
        "periscope_act",
    ),
    KeyKind(
        "short",
        "{ns:p}:short",
        "sorted set",
        "id -> ms when it entered level 2",
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "short_rank",
        "{ns:p}:short_rank",
        "sorted set",
        "confidence, last_activity and id as bytes that sort, for level 2",
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "long",
        "{ns:p}:long",
        "sorted set",
        "id -> ms when it entered level 3; inf while protected",
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "long_rank",
        "{ns:p}:long_rank",
        "sorted set",
        (
            "industry ('' for all), then as short_rank; what decays apart from what is "
            "protected, for level 3"
        ),
        "for ever",
        "12_index.lua",
    ),
    KeyKind(
        "sources",
        "{ns:p}:sources",
        "hash",
        "id -> the last words of its sources, for threats with more than one source",
        "as the record",
        "periscope_ingest_2",
    ),
    KeyKind(
        "ledger",
        "{ns:p}:ledger",
        "hash",
        "received, added, sightings, duplicates, suppressed, rejected, archived_*, removed",
        "for ever",
        "periscope_ingest_2, periscope_depart",
    ),
    KeyKind(
        "stubs",
        "{ns:p}:stubs",
        "hash",
        "id -> header, last words and analysts of a threat that departed",
        "7 days, 100,000 at most (policy)",
        "periscope_depart, periscope_ingest_2",
    ),
    KeyKind(
        "stub_ages",
        "{ns:p}:stub_ages",
        "sorted set",
        "id -> ms when it departed",
        "as the stub",
        "periscope_depart, periscope_ingest_2",
    ),
    KeyKind(
        "removed",
        "{ns:p}:removed",
        "hash",
        "id -> when, and by whom it was removed: it stays out",
        "until allowed again",
        "periscope_depart, periscope_act",
    ),
    KeyKind(
        "departures",
        "{ns:p}:departures",
        "hash",
        "batch -> which of its threats departed, until the archive has confirmed",
        "until confirmed",
        "periscope_depart, periscope_resolve, periscope_confirm",
    ),
    KeyKind(
        "events",
        "{ns:p}:events",
        "stream",
        "what happened, one entry a call, for whoever follows",
        "8 MiB (policy), oldest first",
        "every function that writes",
    ),
    KeyKind(
        "audit",
        "{ns:p}:audit",
        "stream",
        "what analysts did, one entry a call",
        "until it is in the archive",
        "periscope_act, periscope_depart, periscope_trim",
    ),
    KeyKind(
        "done",
        "{ns:p}:done",
        "hash",
        "interaction or request id -> what it did and its reply",
        "24 to 48 hours, 250,000 at most (policy)",
        "periscope_act",
    ),
    KeyKind(
        "done_before",
        "{ns:p}:done_before",
        "hash",
        "the same of the period before",
        "as done",
        "periscope_act",
    ),
    KeyKind(
        "reply",
        "{ns:p}:reply:<chunk>",
        "string",
        "the answer to a chunk, so that a repeated one counts once",
        "10 minutes",
        "periscope_ingest_2, periscope_act, periscope_promote_2, periscope_settle_2",
    ),
    KeyKind(
        "touch",
        "{ns:p}:touch",
        "string",
        (
            "nothing: written behind a change whose replicas or disk are waited for; "
            "{ns:control}:touch likewise"
        ),
        "a minute",
        "awaits.py",
    ),
)

# The keys that each partition has once, in the order in which every function that writes is given
# them (`partition_keys` in 00_prelude.lua): one order, so that no function has one of its own.
SINGLE_KEYS = (
    *("meta", "ledger", "board", "exceptions", "promotable", "claims"),
    *("short", "short_rank", "long", "long_rank", "sources"),
    *("stubs", "stub_ages", "removed", "departures", "events", "audit", "done", "done_before"),
)


class PartitionKeys:
    """The keys of one partition; `tag` is its hash tag with the braces.

    `singles` are all keys of SINGLE_KEYS, in that order; each has an attribute of its name as well.
    """

    __slots__ = ("number", "record_prefix", "singles", "tag", *SINGLE_KEYS)

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

    def __init__(self, number: int, tag: bytes) -> None:
        self.number = number
        self.tag = tag
        self.singles = tuple(tag + b":" + name.encode() for name in SINGLE_KEYS)
        for name, key in zip(SINGLE_KEYS, self.singles, strict=True):
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
