"""Who has which threat: `claim`, `next`, `release`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope import documents
from periscope.cli import output
from periscope.cli.acts import ThreatId
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
from periscope.cli.when import duration
from periscope.cli.words import chosen
from periscope.documents import moment
from periscope.errors import ClaimLost
from periscope.models import Severity

if TYPE_CHECKING:
    from datetime import timedelta

    from periscope.cli.show import Look
    from periscope.periscope import Periscope
    from periscope.work import Claim

Lease = Annotated[
    str,
    Parameter(
        group=ACTING, help="How long; your interactions with it renew that.", metavar="DURATION"
    ),
]
QUARTER = "15m"


async def claim(
    threat_id: ThreatId,
    /,
    *,
    lease: Lease = QUARTER,
    take_over: Annotated[
        bool,
        Parameter(
            group=ACTING, help="Even if somebody else has it; on record.", show_default=False
        ),
    ] = False,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Take a threat for oneself."""
    span = duration(lease, "--lease")
    async with store.open() as periscope:
        analyst = who.name(periscope.settings)
        got = await periscope.claim(threat_id, analyst, span, take_over=take_over)
    if out.as_json:
        output.show_json(documents.claim(got))
    else:
        output.write(f"{said(got)}\n")
    return 0


def said(claim: Claim) -> str:
    """Return who has what until when, in one line."""
    until = moment(claim.until_ms)
    return f"{safe(claim.threat_id)} claimed: {safe(claim.analyst_id)} has it until {until}"


async def next_threat(
    *,
    severity: Annotated[
        str | None,
        Parameter(group=ACTING, help="Only this: CRITICAL, HIGH, MEDIUM or LOW.", metavar="WORD"),
    ] = None,
    lease: Lease = QUARTER,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Take what is to be looked at next."""
    from periscope.cli.show import show

    span = duration(lease, "--lease")
    wanted = None if severity is None else chosen(Severity, severity, "--severity")
    async with store.open() as periscope:
        taken = await _take(periscope, who.name(periscope.settings), span, wanted)
    if taken is None:
        output.complain("nothing is left to claim", "NothingLeft", json_wanted=out.as_json)
        return 1
    got, look = taken
    if out.as_json:
        output.show_json({"claim": documents.claim(got), "threat": look.document()})
    else:
        output.write(f"{said(got)}\n\n")
        show(look)
    return 0


async def _take(
    periscope: Periscope, analyst: str, span: timedelta, severity: Severity | None
) -> tuple[Claim, Look] | None:
    """Claim the next threat and look at it; one that is removed in between is passed over."""
    from periscope.cli.show import Look

    while (got := await periscope.claim_next(analyst, span, severity=severity)) is not None:
        look = await Look.at(periscope, got.threat_id)
        if look is not None:
            return got, look
    return None


async def release(
    threat_id: ThreatId,
    /,
    *,
    who: AnalystOptions = MYSELF,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Give a threat back."""
    async with store.open() as periscope:
        analyst = who.name(periscope.settings)
        held = (await periscope.get_desk(threat_id)).claim
        await periscope.release(_own(held, threat_id, analyst))
    if out.as_json:
        output.show_json({"released": threat_id, "analyst_id": analyst})
    else:
        output.write(f"{safe(threat_id)} released\n")
    return 0


def _own(held: Claim | None, threat_id: str, analyst: str) -> Claim:
    """Return the claim if it is this analyst's.

    Raises:
        ClaimLost: nobody has the threat, or somebody else.
    """
    if held is None:
        raise ClaimLost(f"nobody holds threat {threat_id!r}; there is nothing to release")
    if held.analyst_id != analyst:
        raise ClaimLost(f"{held.analyst_id!r} holds threat {threat_id!r}, not {analyst!r}")
    return held
