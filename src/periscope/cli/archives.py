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
    """Open the archive of this database, and make sure that it is this one's.

    Raises:
        ArchiveError: it cannot be opened, or is that of another database.
    """
    from periscope.archive import open_archive

    archive = await open_archive(periscope.settings.archive_place)
    try:
        await periscope.adopt_archive(archive)
        yield archive
    finally:
        await archive.close()
