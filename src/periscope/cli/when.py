"""Durations and moments as people write them: `90s`, `1h30m`, `7d`, RFC 3339."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from periscope.errors import UsageError
from periscope.feeds.moments import moment_ms
from periscope.models import to_datetime

UNITS_MS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
LONGEST = timedelta(days=36_500)
MILLISECOND = timedelta(milliseconds=1)

_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|[wdhms])")


def duration(text: str, what: str) -> timedelta:
    """Return what `15m`, `1h30m`, `0.5d` or `250ms` mean; `what` names the place in the error.

    Raises:
        UsageError: no duration, or one of more than 100 years.
    """
    found = _read(text)
    if found is None:
        raise UsageError(f"{what} {text}: no duration; write it like 90s, 15m, 1h30m or 7d")
    if found > LONGEST:
        raise UsageError(f"{what} {text}: more than 100 years")
    return found


def since(text: str, now_ms: int, what: str = "--since") -> int:
    """Return the moment that `2h` (before now) or an RFC 3339 text means, in milliseconds.

    Raises:
        UsageError: neither of the two.
    """
    back = _read(text)
    if back is not None and back <= LONGEST:
        return max(0, now_ms - back // MILLISECOND)
    try:
        if not text[4:5] == "-":  # a bare number would be read as seconds since 1970
            raise ValueError
        return moment_ms(text)
    except ValueError:
        raise UsageError(
            f"{what} {text}: no time; write it like 2h, 7d or 2026-01-31T12:00:00Z"
        ) from None


def until(text: str, what: str = "--until") -> timedelta | datetime:
    """Return how long `7d` is (from now on), or the moment that an RFC 3339 text means.

    Raises:
        UsageError: neither of the two.
    """
    span = _read(text)
    if span is not None and span <= LONGEST:
        return span
    return at(text, what)


def at(text: str, what: str) -> datetime:
    """Return the moment that an RFC 3339 text means.

    Raises:
        UsageError: it means none.
    """
    try:
        if not text[4:5] == "-":  # a bare number would be read as seconds since 1970
            raise ValueError
        return to_datetime(moment_ms(text))
    except (ValueError, OverflowError):
        raise UsageError(f"{what} {text}: no time; write it like 2026-01-31T12:00:00Z") from None


def short(span: timedelta) -> str:
    """Return the duration as `duration` reads it, exact to the millisecond: `1h30m`, `0s`."""
    rest, parts = span // MILLISECOND, []
    for unit, unit_ms in UNITS_MS.items():
        count, rest = divmod(rest, unit_ms) if unit != "w" else (0, rest)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _read(text: str) -> timedelta | None:
    """Return the sum of the parts; None if there are none, or something else between them."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    total_ms = round(sum(float(number) * UNITS_MS[unit] for number, unit in parts))
    try:
        return timedelta(milliseconds=total_ms)
    except OverflowError:
        return None
