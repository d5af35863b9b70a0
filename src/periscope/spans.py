"""Durations as people write them: `90s`, `1h30m`, `0.5d`, `250ms`."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS_MS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
LONGEST = timedelta(days=36_500)
MILLISECOND = timedelta(milliseconds=1)

_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|[wdhms])")


def read_span(text: str) -> timedelta | None:
    """Return the sum of the parts; None if there are none, or something else between them."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    total_ms = round(sum(float(number) * UNITS_MS[unit] for number, unit in parts))
    try:
        return timedelta(milliseconds=total_ms)
    except OverflowError:
        return None


def short(span: timedelta) -> str:
    """Return the duration as `read_span` reads it, exact to the millisecond: `1h30m`, `0s`."""
    rest, parts = span // MILLISECOND, []
    for unit, unit_ms in UNITS_MS.items():
        count, rest = divmod(rest, unit_ms) if unit != "w" else (0, rest)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
