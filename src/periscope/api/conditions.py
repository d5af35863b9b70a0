"""What threats can be asked for by, beyond what the board ranks by: declared once, for all lists.

A handler takes `where: NamedDependency[Where]` (with `dependencies=WHERE`), and so all parameters
of it; or `part: NamedDependency[Part]` (with `PART`) where it counts.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar.di import NamedDependency, Provide
from litestar.params import Parameter

from periscope.api.problems import RequestRefused
from periscope.functions import RankQuery
from periscope.index import Where
from periscope.models import SEVERITIES, Level, Severity, Status
from periscope.rank_queries import status_query

MOST_REPEATED = 20
_TEXT = msgspec.Meta(max_length=256)

Text = Annotated[
    str | None,
    Parameter(
        description="Words of title, content, id or indicators: all of them; a phrase in quotes; "
        "`*` at the end of a word for any further letters.",
        max_length=1024,
    ),
]
Source = Annotated[str | None, Parameter(description="Only of this source.", max_length=256)]
Tag = Annotated[str | None, Parameter(description="Only with this tag.", max_length=256)]
Tlp = Annotated[
    str | None, Parameter(description="Only marked so; empty: not marked.", max_length=32)
]
Indicator = Annotated[
    str | None,
    Parameter(
        description="Only with this indicator: a value, or `type:value`; `evil[.]example` is read "
        "as what it stands for.",
        max_length=4096,
    ),
]
Holder = Annotated[
    str | None,
    Parameter(description="Only what this analyst has claimed; empty: nobody.", max_length=128),
]
NotSource = Annotated[
    list[Annotated[str, _TEXT]] | None,
    Parameter(
        description="Not of this source; may be given several times.", max_items=MOST_REPEATED
    ),
]
NotTag = Annotated[
    list[Annotated[str, _TEXT]] | None,
    Parameter(
        description="Not with this tag; may be given several times.", max_items=MOST_REPEATED
    ),
]
NotTlp = Annotated[
    list[Annotated[str, _TEXT]] | None,
    Parameter(
        description="Not marked so, empty: marked; may be given several times.",
        max_items=MOST_REPEATED,
    ),
]
NotSeverity = Annotated[
    list[Severity] | None,
    Parameter(
        description="Not of this severity; may be given several times.", max_items=MOST_REPEATED
    ),
]
FirstSeenFrom = Annotated[
    int | None,
    Parameter(description="First seen then or later, in ms since 1970.", ge=0, lt=2**48),
]
FirstSeenUntil = Annotated[
    int | None, Parameter(description="First seen before, in ms since 1970.", ge=0, lt=2**48)
]
LastActivityFrom = Annotated[
    int | None,
    Parameter(description="Last active then or later, in ms since 1970.", ge=0, lt=2**48),
]
LastActivityUntil = Annotated[
    int | None, Parameter(description="Last active before, in ms since 1970.", ge=0, lt=2**48)
]


def _where(  # each is a parameter of every list
    text: Text = None,
    source: Source = None,
    tag: Tag = None,
    tlp: Tlp = None,
    indicator: Indicator = None,
    holder: Holder = None,
    not_source: NotSource = None,
    not_tag: NotTag = None,
    not_tlp: NotTlp = None,
    not_severity: NotSeverity = None,
    first_seen_from: FirstSeenFrom = None,
    first_seen_until: FirstSeenUntil = None,
    last_activity_from: LastActivityFrom = None,
    last_activity_until: LastActivityUntil = None,
) -> Where:
    return Where(
        text=text,
        source=source,
        tag=tag,
        tlp=tlp,
        indicator=indicator,
        holder=holder,
        not_sources=tuple(not_source or ()),
        not_tags=tuple(not_tag or ()),
        not_tlps=tuple(not_tlp or ()),
        not_severities=tuple(not_severity or ()),
        first_seen_from_ms=first_seen_from,
        first_seen_until_ms=first_seen_until,
        last_activity_from_ms=last_activity_from,
        last_activity_until_ms=last_activity_until,
    )


class Part(msgspec.Struct, frozen=True):
    """What is counted: of this part of level 1, or this level, or all (neither), what fits."""

    query: RankQuery | None
    level: Level | None
    where: Where


def _part(
    where: NamedDependency[Where],
    level: Annotated[
        Level | None,
        Parameter(description="Only this level: 1 work, 2 validated, 3 known; default: all."),
    ] = None,
    status: Annotated[
        Status | None, Parameter(description="Only this status of level 1; default: all levels.")
    ] = None,
    severity: Annotated[
        Severity | None, Parameter(description="Only this severity, in any level.")
    ] = None,
    overdue: Annotated[
        bool, Parameter(description="Only what is past its response target (level 1).")
    ] = False,
) -> Part:
    for name, given in (("status", status is not None), ("overdue", overdue)):
        if given and level not in (None, Level.WORKING):
            reason = f"{name} is about level 1"
            raise RequestRefused(422, "parameters-unfit", reason, field=name)
    if severity is not None:
        others = tuple(one for one in SEVERITIES if one is not severity)
        where = msgspec.structs.replace(where, not_severities=where.not_severities + others)
    if overdue:
        where = msgspec.structs.replace(where, overdue=True)
    return Part(None if status is None else status_query(status), level, where)


WHERE = {"where": Provide(_where, sync_to_thread=False)}
PART = {**WHERE, "part": Provide(_part, sync_to_thread=False)}
