"""A suppression rule: conditions, a reason, an author, an end, a rate beyond which it yields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

import msgspec

from periscope.acts import check_name
from periscope.errors import ActInvalid, NoiseInvalid
from periscope.models import SEVERITIES, Mark, to_datetime
from periscope.noise.condition import Condition, read_where
from periscope.noise.fields import Fields
from periscope.noise.holding import holds
from periscope.work import MAX_ANALYST_BYTES

MAX_REASON_BYTES = 1_000
MAX_MOST = 1_000_000_000
MAX_SPAN = timedelta(days=3_660)
MILLISECOND = timedelta(milliseconds=1)


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """More than `most` reports of one threat within `window_ms`: it is not suppressed any more."""

    most: int
    window_ms: int

    def __str__(self) -> str:
        """In words: `100 in 3,600 s`."""
        return f"{self.most:,} in {self.window_ms / 1000:,.6g} s"


class SuppressionRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is noise to this team, by whose word, and until when.

    All conditions in `where` must hold. `until_ms` 0 is for ever; `ended_ms` and `ended_by` are
    set once somebody ended it. Times are milliseconds since 1970, UTC, by the server's clock.
    """

    id: str
    where: tuple[Condition, ...]
    reason: str
    author: str
    created_ms: int
    until_ms: int = 0
    rate: Rate | None = None
    ended_ms: int = 0
    ended_by: str = ""

    @property
    def active(self) -> bool:
        """Has nobody ended it? It may have come to its end by itself: see `in_force`."""
        return not self.ended_ms

    def in_force(self, now_ms: int) -> bool:
        """Does it suppress at this moment?"""
        return self.active and (not self.until_ms or now_ms < self.until_ms)

    @property
    def created(self) -> datetime:
        """When it was added."""
        return to_datetime(self.created_ms)

    @property
    def until(self) -> datetime | None:
        """When it ends by itself; None if it does not."""
        return to_datetime(self.until_ms) if self.until_ms else None

    @property
    def mark(self) -> Mark:
        """What a report is given for which all conditions hold."""
        most, window_ms = (self.rate.most, self.rate.window_ms) if self.rate else (0, 0)
        return Mark(f"rule:{self.id}", most, window_ms, self.until_ms)


def new_rule(
    where: Any,
    reason: str,
    author: str,
    now_ms: int,
    until: datetime | timedelta | None = None,
    rate: tuple[int, timedelta] | Rate | None = None,
    *,
    force: bool = False,
) -> SuppressionRule:
    """A rule as it is to be stored.

    Raises:
        NoiseInvalid: a condition is wrong, there is none, or they hold for whatever comes (not with
            `force`); no reason; an end or a rate that is none.
    """
    conditions = read_where(where)
    if not force:
        check_worth(conditions)
    return SuppressionRule(
        id=token_hex(4),
        where=conditions,
        reason=_reason(reason),
        author=checked_name(author, "author"),
        created_ms=now_ms,
        until_ms=_until_ms(until, now_ms),
        rate=_rate(rate),
    )


def check_worth(conditions: tuple[Condition, ...]) -> None:
    """Refuse a rule that tells nothing apart.

    Raises:
        NoiseInvalid: it has no condition, or reports fulfil it that have nothing in common.
    """
    if not conditions:
        raise NoiseInvalid("where: no condition; such a rule would suppress everything")
    fulfilled = holds(conditions)
    if all(map(fulfilled, _PROBES)):
        raise NoiseInvalid(
            "where: holds for reports that have nothing in common, so nearly everything would be "
            "suppressed; say more, or force it"
        )


def _probe(rank: int, word: str, metadata: dict[str, Any]) -> Fields:
    return {
        "threat_id": f"{word}-{rank}",
        "content": f"{word} was seen {rank} times",
        "severity": SEVERITIES[rank].value,
        "source": word,
        "metadata": metadata,
    }


# Reports that have nothing in common but to be reports.
_PROBES: tuple[Fields, ...] = tuple(
    _probe(rank, f"{word}{rank}", metadata)
    for rank in range(len(SEVERITIES))
    for word, metadata in (
        ("qorvath", {}),
        ("Zellig", {"title": f"Zellig{rank} rises", "type": "zellig", "tags": ["zellig", "b:1"]}),
    )
)


def checked_name(name: Any, what: str) -> str:
    """The name of whoever acts.

    Raises:
        NoiseInvalid: it is none.
    """
    try:
        check_name(name, what, MAX_ANALYST_BYTES)
    except ActInvalid as exc:
        raise NoiseInvalid(str(exc)) from None
    return str(name)


def _reason(reason: Any) -> str:
    if not isinstance(reason, str) or not reason.strip():
        raise NoiseInvalid("reason: say why this is noise; others will ask")
    try:
        size = len(reason.encode())
    except UnicodeEncodeError:
        raise NoiseInvalid("reason: not valid UTF-8 (a lone surrogate)") from None
    if size > MAX_REASON_BYTES:
        raise NoiseInvalid(f"reason: {size:,} bytes, more than {MAX_REASON_BYTES:,}")
    return reason.strip()


def _until_ms(until: Any, now_ms: int) -> int:
    if until is None:
        return 0
    now = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=now_ms)
    if isinstance(until, timedelta):
        span = until
    elif isinstance(until, datetime) and until.tzinfo is not None:
        span = until - now
    else:
        raise NoiseInvalid("until: must be an aware datetime, or a timedelta from now")
    if not MILLISECOND <= span <= MAX_SPAN:
        raise NoiseInvalid("until: must be in the future, and within ten years")
    return now_ms + span // MILLISECOND


def _rate(rate: Any) -> Rate | None:
    match rate:
        case None:
            return None
        case Rate(most=most, window_ms=window_ms):
            pass
        case (most, timedelta() as window):
            window_ms = min(window, MAX_SPAN * 2) // MILLISECOND
        case _:
            raise NoiseInvalid("rate: must be how many, and the timedelta in which")
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MAX_MOST:
        raise NoiseInvalid("rate: how many must be a whole number from 1 on")
    if not 1000 <= window_ms <= MAX_SPAN // MILLISECOND:
        raise NoiseInvalid("rate: the time must be from one second to ten years")
    return Rate(most, window_ms)
