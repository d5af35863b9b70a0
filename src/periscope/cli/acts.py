"""What analysts do to a threat: `act`, `comment`, `decide`, `reopen`, `undo`, `recall`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope.cli.act_told import Told, tell
from periscope.cli.options import (
    ACTING,
    ANY_STORE,
    FOR_PEOPLE,
    MYSELF,
    AnalystOptions,
    OutputOptions,
    StoreOptions,
)
from periscope.cli.words import chosen
from periscope.errors import NotLast, UsageError
from periscope.models import Action, Decision

if TYPE_CHECKING:
    from periscope.periscope import Periscope
    from periscope.threat import Threat

ThreatId = Annotated[
    str, Parameter(name="ID", help="The threat's id; put -- before one with a hyphen in front.")
]
Note = Annotated[
    str | None,
    Parameter(
        group=ACTING,
        help="Why; it stays on record.",
        metavar="TEXT",
        allow_leading_hyphen=True,
    ),
]
DONE = {
    Action.VIEW: "viewed",
    Action.ESCALATE: "escalated",
    Action.DISMISS: "dismissed",
    Action.MONITOR: "monitored",
    Action.INVESTIGATE: "investigated",
}


async def act(
    threat_id: ThreatId,
    action: Annotated[
        str, Parameter(name="ACTION", help="view, escalate, dismiss, monitor or investigate.")
    ],
    /,
    *,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Record an interaction with a threat."""
    wanted = chosen(Action, action, "ACTION")
    async with store.open() as periscope:
        analyst = who.name(periscope.settings)
        threat = await periscope.record_interaction(threat_id, analyst, wanted)
    tell(threat, Told(wanted.value, DONE[wanted], analyst, can_undo=True), out)
    return 0


async def comment(
    threat_id: ThreatId,
    text: Annotated[str, Parameter(name="TEXT", help="The comment; kept in the audit trail.")],
    /,
    *,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Put a comment on record."""
    async with store.open() as periscope:
        analyst = who.name(periscope.settings)
        threat = await periscope.comment(threat_id, analyst, text)
    tell(threat, Told("comment", "commented", analyst), out)
    return 0


async def decide(
    threat_id: ThreatId,
    outcome: Annotated[str, Parameter(name="OUTCOME", help="One of the outcomes named above.")],
    /,
    *,
    note: Note = None,
    duplicate_of: Annotated[
        str | None,
        Parameter(group=ACTING, help="Of which threat it is a duplicate.", metavar="ID"),
    ] = None,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Close a threat with an outcome."""
    decision = chosen(Decision, outcome, "OUTCOME")
    if (decision is Decision.DUPLICATE) != (duplicate_of is not None):
        raise UsageError("--duplicate-of ID belongs to the outcome duplicate; give both or neither")
    async with store.open() as periscope:
        analyst = who.name(periscope.settings)
        threat = await periscope.decide(
            threat_id, analyst, decision, note, duplicate_of=duplicate_of
        )
    tell(threat, Told("decide", "decided", analyst, can_undo=not is_final(decision)), out)
    return 0


def is_final(decision: Decision) -> bool:
    """Say whether the outcome promotes at once, which nothing takes back (true positives)."""
    return decision in (Decision.TRUE_POSITIVE_IMPACT, Decision.TRUE_POSITIVE_NO_IMPACT)


async def reopen(
    threat_id: ThreatId,
    /,
    *,
    note: Note = None,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Open a threat again, without outcome."""
    async with store.open() as periscope:
        analyst = who.name(periscope.settings)
        threat = await periscope.reopen(threat_id, analyst, note)
    tell(threat, Told("reopen", "reopened", analyst, can_undo=True), out)
    return 0


async def recall(
    threat_id: ThreatId,
    /,
    *,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Bring a threat of level 2 or 3 back to work."""
    async with store.open() as periscope:
        analyst = who.name(periscope.settings)
        threat, level = await periscope.recall(threat_id, analyst)
    past = f"recalled from level {int(level)}" if level != threat.level else "in level 1 already"
    tell(threat, Told("recall", past, analyst, {"from_level": int(level)}), out)
    return 0


async def undo(
    what: Annotated[
        str,
        Parameter(
            name="ID",
            help="The id that the act gave, or a threat's id: then your last act on that threat.",
        ),
    ],
    /,
    *,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Take an act of one's own back."""
    async with store.open() as periscope:
        analyst = who.name(periscope.settings)
        request = await _request_of(periscope, what, analyst)
        threat = await periscope.undo(request, analyst)
    tell(threat, Told("undo", "act taken back", analyst, {"undone": request}), out)
    return 0


async def _request_of(periscope: Periscope, what: str, analyst: str) -> str:
    """Return the id of an act: `what` itself, or of the analyst's last act on the threat `what`.

    Raises:
        NotLast: it is a threat to which the analyst did nothing.
    """
    threat: Threat | None = await periscope.get_threat(what)
    if threat is None:
        return what
    desk = await periscope.get_desk(what)
    mine = (one.interaction_id for one in desk.acts if one.analyst_id == analyst)
    request = next(mine, "")
    if not request:
        raise NotLast(f"{analyst!r} did nothing to threat {what!r} that could be taken back")
    return request
