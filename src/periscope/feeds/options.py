"""`ReadOptions`: what a caller may say about a file that the file does not say itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from periscope.errors import FeedError
from periscope.feeds.severity import SeverityTable
from periscope.models import Severity

MAX_RECORD_BYTES = 4 * 1024 * 1024
MAX_BYTES = 8 * 1024 * 1024 * 1024
MAPPABLE = ("threat_id", "content", "severity", "source", "observed_at")


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read; every field may be left out.

    `columns` maps a report's field to the column (CSV) or key (JSON) that holds it. `header` names
    the columns of a CSV file that has no header line. `default_severity` is for records that state
    none; `severity_map` translates those that do. `source` replaces the source of every report.
    `fingerprint` names fields of a generic record (dots for nested ones) whose values make its id:
    the same values are the same threat. `max_record_bytes` bounds one record, `max_bytes` the
    whole input after decompression.

    Raises:
        FeedError: `columns` names a field that reports do not have, or a limit is not positive.

    """

    columns: dict[str, str] = field(default_factory=dict)
    header: list[str] | None = None
    delimiter: str | None = None
    default_severity: Severity | None = None
    severity_map: SeverityTable = field(default_factory=SeverityTable.load)
    source: str | None = None
    max_record_bytes: int = MAX_RECORD_BYTES
    max_bytes: int = MAX_BYTES
    fingerprint: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.columns:
            if name not in MAPPABLE:
                known = ", ".join(MAPPABLE)
                raise FeedError(f"--map {name}: reports have no such field; one of {known}")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise FeedError("the delimiter must be one character, and no quote or line end")
        if min(self.max_record_bytes, self.max_bytes) < 1:
            raise FeedError("max_record_bytes and max_bytes must be at least 1")
