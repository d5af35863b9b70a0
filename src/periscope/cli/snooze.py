"""`periscope snooze`: threats out of the queue for a while, or until they get worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope.cli import output
from periscope.cli.act_told import Told, tell
from periscope.cli.acts import Note
from periscope.cli.options import (
    ACTING,
    ANY_STORE,
    FOR_PEOPLE,
    MYSELF,
    AnalystOptions,
    OutputOptions,
    StoreOptions,
)
from periscope.cli.when import at, duration
from periscope.errors import ActRefused, UsageError

if TYPE_CHECKING:
    from datetime import datetime, timedelta


@Parameter(name="*")
@dataclass(frozen=True)
class EndOptions:
    """When a snooze ends, as it is asked for."""

    for_so_long: Annotated[
        str | None,
        Parameter(name="--for", group=ACTING, help="So long: 2h, 3d.", metavar="DURATION"),
    ] = None
    until: Annotated[
        str | None,
        Parameter(
            name="--until",
            group=ACTING,
            help="Until then: an RFC 3339 time, such as 2026-01-31T12:00:00Z.",
            metavar="TIME",
        ),
    ] = None
    until_worse: Annotated[
        bool,
        Parameter(
            name="--until-worse",
            negative="",
            group=ACTING,
            help="Only until its severity rises above what it is now; the other two end by that "
            "as well.",
            show_default=False,
        ),
    ] = False

    def end(self) -> datetime | timedelta | None:
        """Return when it ends; None if only a raise ends it.

        Raises:
            UsageError: not exactly one is given, or it is no time.
        """
        if sum((self.for_so_long is not None, self.until is not None, self.until_worse)) != 1:
            raise UsageError("until when? give one of --for DURATION, --until TIME, --until-worse")
        if self.for_so_long is not None:
            return duration(self.for_so_long, "--for")
        return None if self.until is None else at(self.until, "--until")


OPEN_END = EndOptions()


async def snooze(
    *threat_ids: Annotated[
        str,
        Parameter(name="ID", help="The threats' ids; put -- before those with a hyphen in front."),
    ],
    ends: EndOptions = OPEN_END,
    note: Note = None,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Take threats out of the queue until a time, or until they get worse."""
    if not threat_ids:
        raise UsageError("which threats? give one ID or more")
    end, refused = ends.end(), 0
    async with store.open() as periscope:
        analyst = who.name(periscope.settings)
        for one in threat_ids:
            try:
                threat = await periscope.snooze(one, analyst, end, note)
            except ActRefused as exc:
                refused += 1
                told = str(exc) if len(threat_ids) == 1 else f"{one}: {exc}"
                output.complain(told, type(exc).__name__, json_wanted=out.as_json)
            else:
                tell(threat, Told("snooze", "out of the queue", analyst, can_undo=True), out)
    return 1 if refused else 0
