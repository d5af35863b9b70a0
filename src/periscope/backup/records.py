"""What a backup file consists of.

    8 bytes    PSCBACK and a line feed
    2 bytes    version of this layout, the highest byte first
    ...        zstd frames, one after the other: records, each as 4 bytes of length and msgpack
    8 bytes    how many records
    32 bytes   blake2b of everything before

The records, in this order: one `Head`; the keys about feeds, if there are any; for each partition
its keys; the keys of rules and lists and of saved views, if there are any; the rows of the archive;
the control key; one `End`. Feeds come first, because a position may never be ahead of the reports
that it covers; the control key comes last, because a partition may never be of a newer policy than
it.
"""

from __future__ import annotations

from typing import Any

import msgspec

MAGIC = b"PSCBACK\n"
VERSION = 1
VERSION_BYTES = 2
LENGTH_BYTES = 4
COUNT_BYTES = 8
DIGEST_BYTES = 32
START_BYTES = len(MAGIC) + VERSION_BYTES
FINISH_BYTES = COUNT_BYTES + DIGEST_BYTES
ASIDE_FORMAT = 3
VIEWS_FORMAT = 4
# What a server takes as one value (proto-max-bulk-len), and room for the names around it.
MAX_RECORD_BYTES = 512 * 2**20 + 4096


class Head(msgspec.Struct, frozen=True, tag="head", array_like=True):
    """Of which database, on which server, when (its time).

    `record_format` is 2 for a database that was repartitioned: programs before 0.3 refuse it. It
    is 3 where there are feeds, suppression rules or warninglists: programs before 0.4 refuse it. It
    is 4 where there are saved views: programs that know of none refuse it.
    """

    namespace: str
    partitions: int
    record_format: int
    taken_ms: int
    server: str
    program: str
    generation: int = 0


class Key(msgspec.Struct, frozen=True, tag="key", array_like=True):
    """A key as the server dumped it; `expires_ms` is 0 where it never does."""

    name: bytes
    payload: bytes
    expires_ms: int


class ArchiveRow(msgspec.Struct, frozen=True, tag="row", array_like=True):
    """A row as `Archive.export` gives it."""

    row: dict[str, Any]


class End(msgspec.Struct, frozen=True, tag="end", array_like=True):
    """The ledger of what is in the file (its counters and levels), and how many threats."""

    ledger: dict[str, int]
    threats: int


Record = Head | Key | ArchiveRow | End
