"""A stretch of time in equal parts: of a histogram."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from periscope.errors import UsageError

MOST_BUCKETS = 120
LAST_MS = 2**48


@dataclass(frozen=True, slots=True)
class Buckets:
    """From `from_ms` until `until_ms` (not included), in parts of `bucket_ms`; the last is cut."""

    from_ms: int
    until_ms: int
    bucket_ms: int

    @classmethod
    def of(cls, from_ms: int, until_ms: int, most: int) -> Buckets:
        """The stretch in at most so many parts, each of at least a millisecond.

        Raises:
            UsageError: it is none, or there are too many or too few.
        """
        if type(most) is not int or not 1 <= most <= MOST_BUCKETS:
            raise UsageError(f"buckets must be 1 to {MOST_BUCKETS}")
        if any(type(one) is not int or not 0 <= one < LAST_MS for one in (from_ms, until_ms)):
            raise UsageError("from and until must be milliseconds since 1970")
        if from_ms >= until_ms:
            raise UsageError("from must be before until")
        return cls(from_ms, until_ms, -(-(until_ms - from_ms) // most))

    @property
    def number(self) -> int:
        """How many parts there are."""
        return -(-(self.until_ms - self.from_ms) // self.bucket_ms)

    @property
    def edges(self) -> Iterator[tuple[int, int]]:
        """Where each part begins, and where it ends."""
        for low in range(self.from_ms, self.until_ms, self.bucket_ms):
            yield low, min(low + self.bucket_ms, self.until_ms)
