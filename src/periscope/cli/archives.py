"""The archive that belongs to a database, opened for one command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from periscope.archive import Archive
    from periscope.periscope import Periscope


@asynccontextmanager
async def archive_of(periscope: Periscope) -> AsyncIterator[Archive]:
    """Open the archive of this database, which no other one shares.

    Raises:
        ArchiveError: it cannot be opened, or is that of another database.
    """
    archive = await periscope.open_archive()
    try:
        yield archive
    finally:
        await archive.close()
