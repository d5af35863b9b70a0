"""The seam between the archive and a database: what both dialects offer, and nothing more.

A session is one connection, used by one thread at a time. Its SQL is the shared one, with `?` for
parameters. Every failure leaves it as `ArchiveError`, one line that names the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol

Row = tuple[Any, ...]

# read: a snapshot. write: alone among all writers of all hosts until the end, so that a statement
# may rely on what the one before it saw. make: the same, when there are no tables yet.
Mode = Literal["read", "write", "make"]


class Session(Protocol):
    """One connection to one archive."""

    number_type: str  # the column type of a row number that the database hands out
    bytes_type: str

    @property
    def lost(self) -> bool:
        """Whether the connection is gone, so that a new one may succeed."""

    def begin(self, mode: Mode) -> None:
        """Start a transaction; waits for other writers for as long as the session allows."""

    def commit(self) -> None:
        """End the transaction; what it wrote is on disk afterwards."""

    def rollback(self) -> None:
        """Undo the transaction; harmless without one."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run one statement; returns how many rows it changed."""

    def run_many(self, sql: str, parameters: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each set of parameters; returns how many rows changed in all."""

    def has_table(self, name: str) -> bool:
        """Whether the table is there."""

    def is_foreign(self) -> bool:
        """Whether the place clearly belongs to another program."""

    def renumber(self, table: str) -> None:
        """Let the numbers that the database hands out go on after the highest in the table."""

    def scrub(self) -> None:
        """Remove what committed changes left of the old content, as far as the database can."""

    def close(self) -> None:
        """Close the connection, undoing an open transaction; never fails."""


@contextmanager
def transaction(session: Session, mode: Mode) -> Iterator[None]:
    """All of the block or nothing of it."""
    session.begin(mode)
    try:
        yield
        session.commit()
    except BaseException:
        session.rollback()
        raise
