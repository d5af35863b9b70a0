"""Which archive is whose: the default place of a database's archive.

One data directory may see several databases of one namespace: the embedded one, a cluster for
trying things out, servers by URL. Each has an archive of its own, found by what does not change
when a database moves: its secret, of which a fingerprint stands in its archive.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from pathlib import Path

from periscope.archive.archive import open_archive
from periscope.settings import Settings

NAME_DIGITS = 12


def fingerprint_of(secret: bytes) -> str:
    """What an archive knows its database by: 32 hex digits that tell nothing of the secret."""
    return blake2b(secret, digest_size=16).hexdigest()


async def find_archive(settings: Settings, database: str) -> str | Path:
    """The place of the archive of a database (by its fingerprint), whether or not it is there.

    The setting says it. Else it is `archive-<namespace>-<part of the fingerprint>.db` in the data
    directory; or `archive-<namespace>.db`, if that is this database's, or if this is the embedded
    one and nobody has that file yet.

    Raises:
        ArchiveError: a file of that name is there, and cannot be read.
    """
    if settings.archive:
        return settings.archive
    usual = Path(settings.archive_place)
    own = usual.with_name(f"{usual.stem}-{database[:NAME_DIGITS]}.db")
    if await asyncio.to_thread(own.exists):
        return own
    owner = await _owner(usual) if await asyncio.to_thread(usual.exists) else ""
    return usual if owner == database or (not owner and settings.url is None) else own


async def _owner(file: Path) -> str:
    archive = await open_archive(file)
    try:
        return await archive.owner()
    finally:
        await archive.close()
