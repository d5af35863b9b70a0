"""`periscope backup` and `periscope restore`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from periscope.cli import output
from periscope.cli.archives import archive_of
from periscope.cli.figures import count, size
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.text import safe
from periscope.documents import moment

if TYPE_CHECKING:
    from periscope.backup import Progress, Restored, Taken

TICK_S = 0.1
LINE_EVERY_S = 5.0

File = Annotated[str, Parameter(name="FILE", help="The backup file.")]
Quiet = Annotated[bool, Parameter(help="Show no progress.", show_default=False)]


async def backup(
    file: File,
    /,
    *,
    force: Annotated[
        bool,
        Parameter(
            help="Replace FILE if it is there, and FILE.part, which a killed backup leaves.",
            show_default=False,
        ),
    ] = False,
    quiet: Quiet = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Write everything into one file."""
    from periscope.backup import Progress, backup

    async with store.open() as periscope, archive_of(periscope) as archive:
        progress = Progress()
        async with shown(progress, quiet=quiet, as_json=out.as_json):
            taken = await backup(periscope, archive, file, force=force, progress=progress)
    if out.as_json:
        output.show_json(_taken(taken))
    else:
        output.write(
            f"{safe(file)}: {count(taken.threats, 'threat')}, {count(taken.keys, 'key')} and "
            f"{count(taken.rows, 'row')} of the archive in {size(taken.size_bytes)}, "
            f"as of {moment(taken.taken_ms)}\n"
        )
    return 0


async def restore(
    file: File,
    /,
    *,
    quiet: Quiet = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Fill an empty database and an empty archive from a file."""
    from periscope.archive import open_archive
    from periscope.backup import BackupReader, Progress, restore

    settings = store.settings()
    with BackupReader(Path(file)):
        pass  # no archive is made for what is no backup
    archive = await open_archive(settings.archive_place)
    try:
        progress = Progress()
        async with shown(progress, quiet=quiet, as_json=out.as_json):
            restored = await restore(settings, archive, file, progress=progress)
    finally:
        await archive.close()
    if out.as_json:
        output.show_json(_restored(restored))
    else:
        output.write(
            f"{safe(file)}: {count(restored.ledger.in_levels, 'threat')}, "
            f"{count(restored.keys, 'key')} and {count(restored.rows, 'row')} of the archive "
            f"restored as of {moment(restored.taken_ms)}; the ledger balances\n"
        )
    return 0


def _taken(taken: Taken) -> dict[str, Any]:
    return {
        "file": str(taken.path),
        "taken_ms": taken.taken_ms,
        "threats": taken.threats,
        "keys": taken.keys,
        "archive_rows": taken.rows,
        "bytes": taken.size_bytes,
        "ledger": taken.ledger,
    }


def _restored(restored: Restored) -> dict[str, Any]:
    from periscope import documents

    return {
        "file": str(restored.path),
        "taken_ms": restored.taken_ms,
        "threats": restored.ledger.in_levels,
        "keys": restored.keys,
        "archive_rows": restored.rows,
        "ledger": documents.ledger(restored.ledger),
    }


@asynccontextmanager
async def shown(progress: Progress, *, quiet: bool, as_json: bool) -> AsyncIterator[None]:
    """Tell people on standard error how far it is; beside JSON in a file or pipe, nobody."""
    if quiet or (as_json and not sys.stderr.isatty()):
        yield
        return
    terminal = output.console(sys.stderr).is_terminal
    watching = asyncio.create_task(_redraw(progress) if terminal else _tell(progress))
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _tell(progress: Progress) -> None:
    """A line now and then."""
    started = time.monotonic()
    while True:
        await asyncio.sleep(LINE_EVERY_S)
        output.note(f"{_figures(progress)} ({time.monotonic() - started:.0f} s)")


async def _redraw(progress: Progress) -> None:
    """One line that is redrawn, and gone at the end."""
    from rich.live import Live
    from rich.text import Text

    console = output.console(sys.stderr)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            line = Text(_figures(progress), no_wrap=True)
            line.truncate(max(1, console.width - 1))
            live.update(line, refresh=True)
            await asyncio.sleep(TICK_S)


def _figures(progress: Progress) -> str:
    if not progress.unit:
        return progress.stage
    if progress.unit == "bytes":
        return f"{progress.stage}: {size(progress.done)} of {size(progress.total)}"
    total = f" of {progress.total:,}" if progress.total else ""
    return f"{progress.stage}: {progress.done:,}{total} {progress.unit}"
