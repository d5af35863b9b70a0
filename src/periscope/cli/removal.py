"""Taking threats out by hand: `remove`, `allow`, `erase`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from periscope.cli import output
from periscope.cli.acts import Note, ThreatId
from periscope.cli.archives import archive_of
from periscope.cli.figures import count
from periscope.cli.options import (
    ACTING,
    ANY_STORE,
    FOR_PEOPLE,
    MYSELF,
    AnalystOptions,
    OutputOptions,
    StoreOptions,
)
from periscope.cli.text import safe
from periscope.errors import UsageError


async def remove(
    threat_id: ThreatId,
    /,
    *,
    note: Note = None,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Move a threat into the archive, and keep its id out."""
    async with store.open() as periscope, archive_of(periscope) as archive:
        analyst = who.name(periscope.settings)
        await periscope.remove(archive, threat_id, analyst, note or "")
    if out.as_json:
        output.show_json({"removed": threat_id, "analyst_id": analyst})
    else:
        output.write(
            f"{safe(threat_id)} removed: it is in the archive, and reports of it are suppressed "
            "until it is allowed again\n"
        )
    return 0


async def allow(
    threat_id: ThreatId,
    /,
    *,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Let reports of a removed id in again."""
    async with store.open() as periscope:
        analyst = who.name(periscope.settings)
        await periscope.allow(threat_id, analyst)
    if out.as_json:
        output.show_json({"allowed": threat_id, "analyst_id": analyst})
    else:
        output.write(f"{safe(threat_id)} allowed: the next report of it is taken in\n")
    return 0


async def erase(
    threat_id: ThreatId,
    /,
    *,
    yes: Annotated[
        bool,
        Parameter(group=ACTING, help="Yes, for good: there is no way back.", show_default=False),
    ] = False,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Remove a threat and blank all that is written about it."""
    if not yes:
        raise UsageError(f"erasing {threat_id!r} cannot be undone; add --yes if you mean it")
    async with store.open() as periscope, archive_of(periscope) as archive:
        analyst = who.name(periscope.settings)
        blanked = await periscope.erase(archive, threat_id, analyst)
    if out.as_json:
        output.show_json({"erased": threat_id, "analyst_id": analyst, "rows_blanked": blanked})
    else:
        rows = count(blanked, "row")
        output.write(f"{safe(threat_id)} erased: {rows} of the archive blanked\n")
    return 0
