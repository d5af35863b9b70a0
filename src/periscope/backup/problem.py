"""What goes wrong with a backup, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from periscope.errors import BackupError

__all__ = ["BackupError", "saying"]


@contextmanager
def saying(what: str, path: Path) -> Iterator[None]:
    """Turn an error of the system into one line: `cannot write FILE: No space left on device`."""
    try:
        yield
    except OSError as exc:
        raise BackupError(f"cannot {what} {path}: {exc.strerror or exc}") from exc
