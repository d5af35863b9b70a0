"""What became of everything that was read, as lines for people and as a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from periscope.cli.figures import count, span
from periscope.cli.text import cut, safe
from periscope.models import BatchResult, Rejection

ID_CELLS = 60
LABEL_CELLS = 12
OUTCOMES = ("added", "sightings", "duplicates", "suppressed")
NOT_STORED = {
    "refused": "not stored; run it again",
    "unknown": "sent and not answered; running it again is safe",
}


@dataclass
class FileTally:
    """One file: what was read, and what the engine made of it.

    `refused` were certainly not stored; `unknown` were sent and not answered.
    """

    name: str
    format: str | None = None
    read: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    result: BatchResult = field(default_factory=BatchResult)
    refused: int = 0
    unknown: int = 0
    failure: str | None = None
    interrupted: bool = False

    @property
    def accounted(self) -> int:
        """Records of which it is said what became of them; all that were read."""
        return self.result.received + self.skipped.total() + self.refused + self.unknown

    def document(self) -> dict[str, Any]:
        """Return the counts as JSON."""
        return {
            "file": self.name,
            "format": self.format,
            "read": self.read,
            **counts([self]),
            "failure": self.failure,
        }


@dataclass
class Tally:
    """A whole run; `stopped_by` is the signal that ended it early, or 0."""

    files: list[FileTally] = field(default_factory=list)
    seconds: float = 0.0
    stopped_by: int = 0
    kept: int = 0
    """Records that could not be used, and are kept as dead letters."""

    @property
    def read(self) -> int:
        """Records read from all files."""
        return sum(one.read for one in self.files)

    @property
    def committed(self) -> int:
        """Reports that the server acknowledged."""
        return sum(one.result.committed for one in self.files)

    @property
    def rejected(self) -> int:
        """Reports that were not stored because of what they are."""
        return sum(one.result.rejected_count for one in self.files)

    @property
    def failures(self) -> list[str]:
        """One line for each file that could not be read or stored to its end."""
        return [one.failure for one in self.files if one.failure]

    @property
    def per_second(self) -> float:
        """Records a second, over all files."""
        return self.read / self.seconds if self.seconds else 0.0

    def rejections(self) -> Iterator[tuple[FileTally, Rejection]]:
        """Those that were kept, file by file."""
        for one in self.files:
            for rejection in one.result.rejected:
                yield one, rejection

    def document(self, shown: int) -> dict[str, Any]:
        """Return the run as JSON, with the first `shown` rejections."""
        first = list(zip(range(shown), self.rejections(), strict=False))
        return {
            "read": self.read,
            **counts(self.files),
            "rejections": [
                {"file": one.name, **rejection._asdict()} for _, (one, rejection) in first
            ],
            "seconds": round(self.seconds, 3),
            "per_second": round(self.per_second, 1),
            "stopped": bool(self.stopped_by),
            "dead_letters": self.kept,
            "files": [one.document() for one in self.files],
        }

    def lines(self, shown: int) -> Iterator[str]:
        """Return the run for people, safe for a terminal."""
        if len(self.files) > 1:
            yield from (_file_line(one) for one in self.files)
        figures = counts(self.files)
        yield _line("read", self.read, _where(self.files))
        for name in OUTCOMES:
            if figures[name] or name != "suppressed":
                yield _line(name, figures[name])
        yield _line("skipped", figures["skipped"], _reasons(figures["skipped_by_reason"]))
        yield _line("rejected", self.rejected)
        yield from self._rejection_lines(shown)
        if self.kept:
            yield "  they are kept: periscope deadletters list ingest"
        for name, more in NOT_STORED.items():
            if figures[name]:
                yield _line(name, figures[name], more)
        yield f"{'rate':{LABEL_CELLS}}{self.per_second:,.0f} records/s, {span(self.seconds)}"

    def _rejection_lines(self, shown: int) -> Iterator[str]:
        several = len(self.files) > 1
        for _, (one, rejection) in zip(range(shown), self.rejections(), strict=False):
            yield f"  {safe(one.name) + ': ' if several else ''}{rejection_line(rejection)}"
        if shown and self.rejected > shown:
            yield f"  and {self.rejected - shown:,} more; --rejections shows as many as you like"


def rejection_line(rejection: Rejection) -> str:
    """Place, id and reason; a feed's own reason names a more exact place than the number."""
    known = f", id {cut(safe(rejection.threat_id), ID_CELLS)}" if rejection.threat_id else ""
    return f"report {rejection.index + 1:,}{known}: {safe(rejection.reason)}"


def counts(files: list[FileTally]) -> dict[str, Any]:
    """Return the sums over some files."""
    skipped: Counter[str] = Counter()
    for one in files:
        skipped.update(one.skipped)
    return {
        "received": sum(one.result.received for one in files),
        **{name: sum(getattr(one.result, name) for one in files) for name in OUTCOMES},
        "skipped": skipped.total(),
        "skipped_by_reason": dict(skipped.most_common()),
        "rejected": sum(one.result.rejected_count for one in files),
        **{name: sum(getattr(one, name) for one in files) for name in NOT_STORED},
    }


def _file_line(one: FileTally) -> str:
    if one.failure and not one.read:
        return f"{safe(one.name)}: not read"
    result = one.result
    return (
        f"{safe(one.name)} ({one.format}): {one.read:,} read, {result.added:,} added, "
        f"{result.rejected_count:,} rejected" + (", interrupted" if one.failure else "")
    )


def _where(files: list[FileTally]) -> str:
    if len(files) != 1:
        return f"from {count(len(files), 'file')}"
    (one,) = files
    return f"from {safe(one.name)}" + (f" ({one.format})" if one.format else "")


def _reasons(skipped: dict[str, int]) -> str:
    return ", ".join(f"{safe(reason)} {number:,}" for reason, number in skipped.items())


def _line(label: str, number: int, more: str = "") -> str:
    return f"{label:{LABEL_CELLS}}{number:>12,}" + (f"  {more}" if more else "")
