"""The rows of the bench by name, and which of them to run."""

from __future__ import annotations

from collections.abc import Sequence

from periscope.bench.plan import Row
from periscope.bench.row_awaits import awaits_row
from periscope.bench.row_feeds import feeds_row
from periscope.bench.row_http import http_row
from periscope.bench.row_ingest import durability_row, ingest_row, limit_row, resident_row
from periscope.bench.row_interactions import interactions_row
from periscope.bench.row_lost import lost_row
from periscope.bench.row_membership import exists_row, seen_row
from periscope.bench.row_memory import memory_row
from periscope.bench.row_pages import pages_row
from periscope.bench.row_partitions import partitions_row
from periscope.bench.row_promote import promote_row
from periscope.bench.row_queries import queries_row
from periscope.bench.row_replicated import replicated_row
from periscope.bench.row_restart import restart_row
from periscope.bench.row_stop import stop_row
from periscope.bench.row_sweep import sweep_row
from periscope.errors import UsageError

ROWS: dict[str, Row] = {
    "limit": limit_row,
    "ingest": ingest_row,
    "ingest-resident": resident_row,
    "durability": durability_row,
    "feeds": feeds_row,
    "http": http_row,
    "replicated": replicated_row,
    "queries": queries_row,
    "pages": pages_row,
    "partitions": partitions_row,
    "memory": memory_row,
    "interactions": interactions_row,
    "awaits": awaits_row,
    "exists": exists_row,
    "seen": seen_row,
    "promote": promote_row,
    "sweep": sweep_row,
    "stop": stop_row,
    "restart": restart_row,
    "lost": lost_row,
}


def choose(names: Sequence[str] | None) -> dict[str, Row]:
    """The rows of these names in the order of the table; all of them for None.

    `ingest` measures the limit in its own turns, so `limit` beside it would only do it twice.

    Raises:
        UsageError: there is no such row.
    """
    wanted = set(ROWS if names is None else names)
    for name in sorted(wanted - set(ROWS)):
        raise UsageError(f"no row {name!r}; the rows are {', '.join(ROWS)}")
    if "ingest" in wanted:
        wanted.discard("limit")
    return {name: row for name, row in ROWS.items() if name in wanted}
