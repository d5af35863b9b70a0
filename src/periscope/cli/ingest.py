"""`periscope ingest`: the command and its answer; the work is in `ingest_run`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from periscope.cli import output
from periscope.cli.ingest_options import AS_THEY_ARE, FileOptions
from periscope.cli.ingest_tally import Tally
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.errors import StoreUnavailable

if TYPE_CHECKING:
    from periscope.periscope import Periscope

SOME_REJECTED = 3
MAX_REJECTIONS = 100_000
MAX_WAIT_S = 86_400.0
TRY_EVERY_S = 0.5
log = logging.getLogger("periscope")
WAITING = Parameter(
    help="Seconds to wait for a server that is full or away, at the start too, before giving up; "
    "then what was not stored is counted, and running the same again is safe.",
    validator=validators.Number(gte=0, lte=MAX_WAIT_S),
)


async def ingest(
    paths: Annotated[
        tuple[str, ...], Parameter(name="PATH", help="Files to take in; - is standard input.")
    ],
    /,
    *,
    files: FileOptions = AS_THEY_ARE,
    rejections: Annotated[
        int,
        Parameter(
            help="How many rejections to show.",
            validator=validators.Number(gte=0, lte=MAX_REJECTIONS),
        ),
    ] = 10,
    wait: Annotated[float, WAITING] = 60.0,
    quiet: Annotated[bool, Parameter(help="Show no progress.", show_default=False)] = False,
    dead_letters: Annotated[
        Literal["on", "off"],
        Parameter(help="Whether records that cannot be read are kept (periscope deadletters)."),
    ] = "on",
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Take in threats from files."""
    from periscope.cli.ingest_letters import letters_of
    from periscope.cli.ingest_progress import choose_progress
    from periscope.cli.ingest_run import Run

    progress = choose_progress(quiet=quiet, as_json=out.as_json)
    letters = letters_of(store.settings() if dead_letters == "on" else None)
    reading = (files.known_format(), files.read_options())
    run = Run(*reading, progress, letters, as_json=out.as_json, wait_s=wait)
    async with _opened(store, wait) as periscope:
        tally = await run.over(periscope, paths)
    if out.as_json:
        output.show_json(tally.document(rejections))
    else:
        output.write("".join(f"{line}\n" for line in tally.lines(rejections)))
    return _exit_code(tally)


@asynccontextmanager
async def _opened(store: StoreOptions, wait_s: float) -> AsyncIterator[Periscope]:
    """The open database; a server that is away now is waited for as one that goes away later."""
    now = asyncio.get_running_loop().time
    deadline, told = now() + wait_s, False
    while True:
        periscope = store.open()
        try:
            await periscope.start()
            break
        except StoreUnavailable as exc:
            if now() >= deadline:
                raise
            if not told:
                log.warning("waiting for up to %.0f s: %s", wait_s, exc)
            told = True
            await asyncio.sleep(min(TRY_EVERY_S, max(0.0, deadline - now())))
    try:
        yield periscope
    finally:
        await periscope.close()


def _exit_code(tally: Tally) -> int:
    if tally.stopped_by:
        return 128 + tally.stopped_by
    if tally.failures:
        return 1
    return SOME_REJECTED if tally.rejected else 0
