"""`periscope repartition` and `periscope rebuild`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from periscope.cli import output
from periscope.cli.backups import Quiet, shown
from periscope.cli.figures import count
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.policy import changed, read_changes
from periscope.cli.text import safe
from periscope.errors import UsageError

if TYPE_CHECKING:
    from periscope.archive import Archive
    from periscope.backup import Progress
    from periscope.moving import Moved
    from periscope.policy import Policy
    from periscope.settings import Settings

GivenUp = Annotated[
    bool,
    Parameter(
        help="Give up the one that was interrupted: the database is as it was before.",
        show_default=False,
    ),
]


async def repartition(
    *,
    partitions: Annotated[
        int | None, Parameter(help="How many partitions it is to have, 1 to 1,024.")
    ] = None,
    to: Annotated[
        str | None,
        Parameter(help="Move it to this server, which holds nothing of the namespace yet."),
    ] = None,
    delete_source: Annotated[
        bool,
        Parameter(
            help="With --to: delete what is left behind, once the other server has everything.",
            show_default=False,
        ),
    ] = False,
    abort: GivenUp = False,
    quiet: Quiet = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Give the database another number of partitions, or another server."""
    from periscope.backup import Progress
    from periscope.moving import repartition

    settings, progress = store.settings(), Progress()
    if abort:
        return await _give_up(store, out, to=to)
    if partitions is None:
        raise UsageError("how many partitions? give --partitions N (or --abort)")
    async with _at_work(settings, progress, out, quiet=quiet) as archive:
        moved = await repartition(
            settings, archive, partitions, to=to, delete_source=delete_source, progress=progress
        )
    where = f" at {safe(moved.to)}" if moved.to else ""
    _show(moved, out, f"{count(moved.partitions, 'partition')}{where}")
    return 0


async def rebuild(
    *,
    changes: Annotated[
        tuple[str, ...],
        Parameter(
            name="--set",
            consume_multiple=True,
            help="NAME=VALUE ... of the policy, as for periscope policy set.",
            show_default=False,
        ),
    ] = (),
    policy: Annotated[
        str | None,
        Parameter(help="A file with the whole policy: a JSON object of names and values."),
    ] = None,
    abort: GivenUp = False,
    quiet: Quiet = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Put a policy in force that boards and ranks must be built anew for."""
    from periscope.backup import Progress
    from periscope.moving import rebuild

    settings, progress = store.settings(), Progress()
    if abort:
        return await _give_up(store, out, to=None)
    wanted, whole = read_changes(changes), _policy_of(policy) if policy else None
    if not wanted and whole is None:
        raise UsageError("which policy? give --set NAME=VALUE ... or --policy FILE (or --abort)")
    async with _at_work(settings, progress, out, quiet=quiet) as archive:
        moved = await rebuild(
            settings, archive, lambda now: changed(whole or now, wanted), progress=progress
        )
    _show(moved, out, "boards and ranks as the new policy says")
    return 0


@asynccontextmanager
async def _at_work(
    settings: Settings, progress: Progress, out: OutputOptions, *, quiet: bool
) -> AsyncIterator[Archive]:
    """The archive, opened, while people are told how far it is."""
    from periscope.archive import open_archive
    from periscope.moving import archive_place

    async with archive_place(settings) as place:
        archive = await open_archive(place)
        try:
            async with shown(progress, quiet=quiet, as_json=out.as_json):
                yield archive
        finally:
            await archive.close()


async def _give_up(store: StoreOptions, out: OutputOptions, *, to: str | None) -> int:
    from periscope.moving import abort

    given_up = await abort(store.settings(), to=to)
    if out.as_json:
        output.show_json({"given_up": given_up})
    else:
        output.write("Given up.\n" if given_up else "There is nothing to give up.\n")
    return 0


def _policy_of(name: str) -> Policy:
    """The policy in a file; what it leaves out is at its default.

    Raises:
        UsageError: it cannot be read, or is no policy.
    """
    import msgspec

    from periscope.policy import Policy

    try:
        values = msgspec.json.decode(Path(name).read_bytes(), type=dict[str, int | float | str])
    except OSError as exc:
        raise UsageError(f"cannot read {name}: {exc.strerror or exc}") from None
    except msgspec.DecodeError as exc:
        raise UsageError(f"{name} is no JSON object of names and values: {exc}") from None
    return changed(Policy(), {key: str(value) for key, value in values.items()})


def _show(moved: Moved, out: OutputOptions, what: str) -> None:
    if out.as_json:
        output.show_json(_document(moved))
        return
    proved = "compared before, in an earlier run"
    if moved.ledger:
        proved = f"{count(moved.ledger.in_levels, 'threat')}, the ledger balances"
    output.write(
        f"{what}: {proved}, {moved.seconds:.1f} s. "
        "Programs that have the database open are to be started again.\n"
    )


def _document(moved: Moved) -> dict[str, Any]:
    from periscope import documents

    return {
        "partitions": moved.partitions,
        "generation": moved.generation,
        "to": moved.to or None,
        "resumed": moved.resumed,
        "seconds": round(moved.seconds, 3),
        "ledger": documents.ledger(moved.ledger) if moved.ledger else None,
    }
