"""What is on record: `history` of departures and of one threat, `audit` of analysts' acts."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple

from cyclopts import Group, Parameter, validators

from periscope import documents
from periscope.archive import AuditEntry, Departure
from periscope.cli import grid, output
from periscope.cli.archives import archive_of
from periscope.cli.figures import count as counted
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.trail import describe
from periscope.cli.when import since as since_ms_of
from periscope.cli.words import chosen
from periscope.documents import moment
from periscope.errors import UsageError
from periscope.models import Severity
from periscope.past import Past, Wanted, past_document, read_past, read_trail

if TYPE_CHECKING:
    from periscope.archive import Archive
    from periscope.periscope import Periscope

WHICH = Group("Which entries", sort_key=10)

Since = Annotated[
    str | None,
    Parameter(group=WHICH, help="Only from then on: 2h, 7d, or an RFC 3339 time.", metavar="TIME"),
]
Count = Annotated[
    int, Parameter(help="The newest so many.", validator=validators.Number(gte=1, lte=10_000))
]
Row = tuple[int, Departure]


class Reason(StrEnum):
    """Why a threat left."""

    EXPIRED_SEEN = "expired_seen"
    EXPIRED_UNSEEN = "expired_unseen"
    REMOVED = "removed"


class Filters(NamedTuple):
    """Which departures; what is None does not matter."""

    since_ms: int | None
    reason: str | None
    severity: str | None
    source: str | None

    @property
    def of_departures_only(self) -> bool:
        """Say whether they choose by what an act does not have."""
        return any(one is not None for one in (self.reason, self.severity, self.source))


@Parameter(name="*")
@dataclass(frozen=True)
class DepartureOptions:
    """Which departures, as they are asked for."""

    reason: Annotated[
        str | None,
        Parameter(
            name="--reason",
            group=WHICH,
            help="expired_seen, expired_unseen or removed.",
            metavar="WORD",
        ),
    ] = None
    severity: Annotated[
        str | None,
        Parameter(
            name="--severity", group=WHICH, help="CRITICAL, HIGH, MEDIUM or LOW.", metavar="WORD"
        ),
    ] = None
    source: Annotated[
        str | None,
        Parameter(
            name="--source",
            group=WHICH,
            help="Exactly this source.",
            metavar="NAME",
            allow_leading_hyphen=True,
        ),
    ] = None

    def filters(self) -> Filters:
        """Return what they mean; from when on is not known yet.

        Raises:
            UsageError: an unknown word.
        """
        reason = None if self.reason is None else chosen(Reason, self.reason, "--reason")
        severity = None if self.severity is None else chosen(Severity, self.severity, "--severity")
        return Filters(None, reason and reason.value, severity and severity.value, self.source)


ALL_DEPARTURES = DepartureOptions()


async def history(
    threat_id: Annotated[
        str | None, Parameter(name="ID", help="Only this threat, with all that was done to it.")
    ] = None,
    /,
    *,
    since: Since = None,
    wanted: DepartureOptions = ALL_DEPARTURES,
    count: Count = 100,
    before: Annotated[
        int | None,
        Parameter(
            help="Go on where the last answer ended: the row that it named.",
            validator=validators.Number(gte=1, lte=2**63 - 1),
            metavar="ROW",
        ),
    ] = None,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show what departed, or all that is on record about one threat."""
    filters = wanted.filters()
    if threat_id is not None and before is not None:
        raise UsageError("--before is for the list of departures; leave it out with an ID")
    async with store.open() as periscope, archive_of(periscope) as archive:
        filters = filters._replace(since_ms=await _moment(periscope, since))
        if threat_id is not None:
            past = await _past_of(periscope, archive, threat_id, filters, count)
            _show_past(threat_id, past, out)
            return 0
        rows = await archive.history(**filters._asdict(), limit=count, before=before)
    more = rows[-1][0] if len(rows) == count else None
    if out.as_json:
        items = [documents.departure(*row) for row in rows]
        output.show_json({"items": items, "next_before": more})
    else:
        _show_departures(rows, _next(filters, count, more, since))
    return 0


async def audit(
    *,
    analyst: Annotated[
        str | None, Parameter(group=WHICH, help="Only what this analyst did.", metavar="NAME")
    ] = None,
    threat: Annotated[
        str | None, Parameter(group=WHICH, help="Only what was done to this threat.", metavar="ID")
    ] = None,
    since: Since = None,
    count: Count = 100,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show who did what."""
    async with store.open() as periscope, archive_of(periscope) as archive:
        wanted = Wanted(analyst, threat, await _moment(periscope, since))
        entries = (await read_trail(periscope, archive, wanted, count))[::-1]
    if out.as_json:
        output.show_json({"items": [documents.audit_entry(one) for one in entries]})
    elif not entries:
        output.write("Nothing is on record.\n")
    else:
        heads = ("AT", "ANALYST", "ACTION", "THREAT", "DETAIL")
        grid.show(heads, [_cells_of_act(one) for one in entries])
    return 0


def _cells_of_act(one: AuditEntry) -> tuple[str, ...]:
    return (moment(one.at_ms), one.analyst_id, one.action, one.threat_id, describe(one))


async def _moment(periscope: Periscope, since: str | None) -> int | None:
    """Return when the wanted stretch begins, by the server's clock, which set all the times."""
    if since is None:
        return None
    return since_ms_of(since, (await periscope.get_stats()).as_of_ms)


async def _past_of(
    periscope: Periscope, archive: Archive, threat_id: str, filters: Filters, count: int
) -> list[Past]:
    """Return the newest `count` departures and acts of one threat, in time order."""
    with_acts = not filters.of_departures_only
    which = filters._asdict()
    return await read_past(periscope, archive, threat_id, count, with_acts=with_acts, **which)


def _show_past(threat_id: str, past: list[Past], out: OutputOptions) -> None:
    if out.as_json:
        output.show_json({"threat_id": threat_id, "items": [past_document(one) for one in past]})
    elif not past:
        output.write("Nothing is on record about this threat.\n")
    else:
        grid.show(("AT", "WHAT", "WHO", "DETAIL"), [_cells_of_past(one) for one in past])


def _cells_of_past(one: Past) -> tuple[str, ...]:
    if isinstance(one, AuditEntry):
        return (moment(one.at_ms), one.action, one.analyst_id, describe(one))
    return (moment(one.departed_at_ms), f"LEFT: {one.reason}", one.actor, _told(one))


def _told(one: Departure) -> str:
    """Return how a threat stood when it left."""
    words = [
        f"from level {one.level}",
        f"{counted(one.interactions, 'interaction')}, {counted(one.escalations, 'escalation')}",
        *([f"outcome {one.outcome}"] if one.outcome else []),
        *([f"note: {one.note}"] if one.note else []),
        *(["(erased)"] if one.erased else []),
    ]
    return "; ".join(words)


def _show_departures(rows: list[Row], following: str | None) -> None:
    if not rows:
        output.write("Nothing has departed that matches.\n")
        return
    heads = ("DEPARTED", "REASON", "SEVERITY", "L", "ID", "INT/ESC/SEE", "TITLE")
    grid.show(heads, [_cells_of_departure(one) for _, one in rows])
    if following is not None:
        output.write(f"Next page: {following}\n")


def _cells_of_departure(one: Departure) -> tuple[str, ...]:
    counts = f"{one.interactions}/{one.escalations}/{one.sightings}"
    title = "(erased)" if one.erased else one.title
    when = moment(one.departed_at_ms)
    return (when, one.reason, one.severity, str(one.level), one.threat_id, counts, title)


def _next(filters: Filters, count: int, more: int | None, since: str | None) -> str | None:
    """Return the command for the next page; the store's options are to be given again."""
    if more is None:
        return None
    given = {
        "--since": since,
        "--reason": filters.reason,
        "--severity": filters.severity,
        "--source": filters.source,
        "--count": str(count),
        "--before": str(more),
    }
    words = [word for name, value in given.items() if value for word in (name, value)]
    return shlex.join(["periscope", "history", *words])
