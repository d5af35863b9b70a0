"""The one shape of an error: problem details (RFC 9457)."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong, and what to do about it.

    `type` is stable: programs tell problems apart by it. `instance` is the id of the request, which
    the server's log has as well. `field` names the part of the request that is at fault.
    `retry_after_s` says when it makes sense to try again. Of an ingest that ended early the counts
    say what became of each report; sending all of it again is safe.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    field: str | None = None
    retry_after_s: float | None = None
    received: int | None = None
    added: int | None = None
    sightings: int | None = None
    duplicates: int | None = None
    suppressed: int | None = None
    recorded: int | None = None
    repeated: int | None = None
    rejected: int | None = None
    refused: int | None = None
    unknown: int | None = None
