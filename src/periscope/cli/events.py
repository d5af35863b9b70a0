"""`periscope events`: what happens, as it happens."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter, validators

from periscope import documents
from periscope.cli import output
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.text import safe

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from periscope.work import Event

MOST_SHOWN = 3  # threats of one event


async def events(
    *,
    since: Annotated[
        str | None,
        Parameter(
            help="Go on after this position, which --json tells; 0-0: all that is still kept.",
            metavar="POSITION",
        ),
    ] = None,
    count: Annotated[
        int | None,
        Parameter(help="End after so many.", validator=validators.Number(gte=1)),
    ] = None,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Follow what happens; while the store is away it waits, and goes on where it was."""
    told = 0
    async with store.open() as periscope:
        stream = cast("AsyncGenerator[Event, Any]", periscope.events(since))
        async with aclosing(stream) as found:
            async for event in found:
                if out.as_json:
                    output.show_json(documents.event(event))
                else:
                    output.write(f"{_line(event)}\n")
                told += 1
                if told == count:
                    break
    return 0


def _line(event: Event) -> str:
    """Return an event as one line: when, what, to which threats, by whom, and where they are."""
    ids = [safe(one) for one in event.threat_ids[:MOST_SHOWN]]
    more = len(event.threat_ids) - len(ids)
    words = [documents.moment(event.at_ms), safe(event.kind), ", ".join(ids)]
    if more:
        words.append(f"and {more:,} more")
    if event.analyst_id:
        words.append(f"by {safe(event.analyst_id)}")
    if event.level is not None and event.status is not None:
        words.append(f"(level {event.level.value}, {event.status.value})")
    return " ".join(word for word in words if word)
