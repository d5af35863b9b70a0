"""`ReadOptions`: what a caller may say about a file that the file does not say itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from periscope.errors import FeedError
from periscope.feeds.severity import SeverityTable
from periscope.models import Severity

MAX_RECORD_BYTES = 4 * 1024 * 1024
MAX_BYTES = 8 * 1024 * 1024 * 1024
RAW_BYTES = 1024
MOST_RAW_BYTES = 16 * 1024
REPORT_FIELDS = ("threat_id", "content", "severity", "source", "observed_at")
UNIFORM_FIELDS = (
    *("title", "type", "tags", "tlp", "references", "first_observed", "last_observed"),
    *("industry", "indicator", "indicator_type"),
)
"""Keys of uniform metadata; `indicator` is a value, typed by its form or by `indicator_type`."""
MAPPABLE = (*REPORT_FIELDS, *UNIFORM_FIELDS)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read; every field may be left out.

    `columns` maps a report's field, or a key of uniform metadata (`MAPPABLE`), to the column (CSV)
    or key (JSON) that holds it. `header` names
    the columns of a CSV file that has no header line. `default_severity` is for records that state
    none; `severity_map` translates those that do. `source` replaces the source of every report.
    `fingerprint` names the fields of a record (dots for nested ones) that make its id, so that what
    has the same values there is the same threat. `raw_bytes` of a record are kept in its report's
    `raw`, by the formats that do so. `max_record_bytes` bounds one record, `max_bytes` the whole
    input after decompression.

    Raises:
        FeedError: `columns` names a field that reports do not have, or a limit is not positive.

    """

    columns: dict[str, str] = field(default_factory=dict)
    header: list[str] | None = None
    delimiter: str | None = None
    default_severity: Severity | None = None
    severity_map: SeverityTable = field(default_factory=SeverityTable.load)
    source: str | None = None
    fingerprint: tuple[str, ...] = ()
    raw_bytes: int = RAW_BYTES
    max_record_bytes: int = MAX_RECORD_BYTES
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        for name in self.columns:
            if name not in MAPPABLE:
                known = ", ".join(MAPPABLE)
                raise FeedError(f"--map {name}: reports have no such field; one of {known}")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise FeedError("the delimiter must be one character, and no quote or line end")
        if min(self.max_record_bytes, self.max_bytes) < 1:
            raise FeedError("max_record_bytes and max_bytes must be at least 1")
        if not 0 <= self.raw_bytes <= MOST_RAW_BYTES:
            raise FeedError(f"raw_bytes must be from 0 to {MOST_RAW_BYTES:,}")
        if not all(self.fingerprint):
            raise FeedError("fingerprint: the name of a field is empty")
