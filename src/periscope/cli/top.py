"""`periscope top`: the head of the queue, once or followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from periscope.cli import output
from periscope.cli.look import caption, document, look
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.errors import UsageError

if TYPE_CHECKING:
    from periscope.threat import Threat


async def top(
    *,
    limit: Annotated[
        int, Parameter(help="How many to show.", validator=validators.Number(gte=1, lte=100_000))
    ] = 20,
    watch: Annotated[
        bool, Parameter(help="Follow the queue until Ctrl-C.", show_default=False)
    ] = False,
    interval: Annotated[
        float,
        Parameter(
            help="Seconds between looks with --watch.",
            validator=validators.Number(gte=0.1, lte=3600),
        ),
    ] = 1.0,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show the head of the queue."""
    if watch:
        from periscope.cli.watch import watch_json, watch_screen

        if out.as_json:
            return await watch_json(store, limit, interval)
        if not output.console().is_terminal:
            raise UsageError("--watch needs a terminal; add --json for a stream of documents")
        return await watch_screen(store, limit, interval)
    async with store.open() as periscope:
        threats, queue = await look(periscope, limit)
    if out.as_json:
        output.show_json(document(threats, queue))
    else:
        _print(threats, queue)
    return 0


def _print(threats: Sequence[Threat], queue: int) -> None:
    from periscope.cli.queue import QueueTable

    if not threats:
        output.write("The queue is empty: no open threats.\n")
        return
    table = QueueTable(threats, output.console().width, plain=output.is_plain())
    output.show_lines([table.header(), *table.rows(threats), caption(threats, queue)])
