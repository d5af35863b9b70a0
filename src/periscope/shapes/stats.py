"""Counts of what there is, the conservation law, and the formats that are read."""

from __future__ import annotations

from typing import Literal

import msgspec


class LedgerDocument(msgspec.Struct, frozen=True):
    """What came in against where it is now; `balanced` says whether it comes out.

    `records`, `faults` and `archived` are of a deep recount, else null or empty.
    """

    received: int
    added: int
    sightings: int
    duplicates: int
    suppressed: int
    rejected: int
    level_1: int
    level_2: int
    level_3: int
    archived_seen: int
    archived_unseen: int
    removed: int
    records: int | None
    faults: dict[str, int]
    archived: dict[str, int] | None
    in_levels: int
    departed: int
    balanced: bool


class ServerDocument(msgspec.Struct, frozen=True):
    """What the store is, and whether it takes changes; bytes are null where tenants share it."""

    kind: str
    version: str
    durability: str
    used_memory_bytes: int | None
    max_memory_bytes: int | None
    writable: Literal["yes", "full", "refused"]


class StatsDocument(msgspec.Struct, frozen=True):
    """Counts of one moment: of level 1 by status and severity, of the unseen, of what is held.

    `queue` are the open threats; `suppressed` counts ids that are set aside, by cause; `held` what
    waits or is remembered: entries, and bytes where the name says so.
    """

    as_of: str
    as_of_ms: int
    queue: int
    counts: dict[str, dict[str, int]]
    unseen: dict[str, int]
    ledger: LedgerDocument
    suppressed: dict[str, int]
    held: dict[str, int]
    server: ServerDocument


class FormatDocument(msgspec.Struct, frozen=True):
    """A format that reports are read in, and what becomes one report."""

    name: str
    title: str
    one_report_is: str


class FormatList(msgspec.Struct, frozen=True):
    """All formats, by name."""

    formats: list[FormatDocument]
