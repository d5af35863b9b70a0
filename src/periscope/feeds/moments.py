"""Times as sources write them, turned into integer milliseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
LATEST_MS = (datetime(9999, 12, 31, tzinfo=UTC) - EPOCH) // MILLISECOND

SECONDS_BELOW = 1e11
MILLISECONDS_BELOW = 1e14
MICROSECONDS_BELOW = 1e17
ZONE = ("", "Z", "+", "-")
KNOWN, LONGEST_KNOWN = 2048, 40
"""Texts of times that are remembered with their meaning, and how long such a text may be."""


def moment_ms(value: object) -> int:
    """Milliseconds of an ISO 8601 text, or of a number of seconds, ms, us or ns since 1970.

    A text without zone is UTC; a date alone is its midnight. The unit of a number follows from its
    size: below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds.

    Raises:
        ValueError: it is no time, or one outside the years 1 to 9999.

    """
    if isinstance(value, str):
        if value[19:20] == "." and len(value) <= LONGEST_KNOWN:
            return _fraction_ms(value)
        return _known_ms(value) if len(value) <= LONGEST_KNOWN else _any_text_ms(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a time")
    return _number_ms(value)


def rfc3339(value: object) -> str:
    """Return the time as RFC 3339 text in UTC, to the millisecond; raises as `moment_ms` does."""
    return ms_text(moment_ms(value))


def ms_text(ms: int) -> str:
    """Return milliseconds since 1970 as RFC 3339 text."""
    second, part = divmod(ms, 1000)
    return f"{_second_text(second)}.{part:03}Z" if part else f"{_second_text(second)}Z"


@lru_cache(KNOWN)
def _second_text(second: int) -> str:
    return (EPOCH + timedelta(seconds=second)).isoformat().removesuffix("+00:00")


def _fraction_ms(text: str) -> int:
    """Milliseconds of a text with a fraction of a second, whose second is mostly known."""
    end = 26 if text[26:27] in ZONE else 23 if text[23:24] in ZONE else 29
    usual = text[13] == text[16] == ":" and text[10] in "T " and text[end : end + 1] in ZONE
    fraction = text[20:end]
    if not usual or len(fraction) < 3 or not (fraction.isascii() and fraction.isdigit()):
        return _any_text_ms(text)
    return _known_ms(text[:19] + text[end:]) + int(fraction[:3])


def _any_text_ms(text: str) -> int:
    number = _number(text)
    return _text_ms(text) if number is None else _number_ms(number)


_known_ms = lru_cache(KNOWN)(_any_text_ms)
"""A record often has one time in several places, and its neighbours have it too."""


def _number(text: str) -> int | float | None:
    whole, _, part = text.partition(".")
    if not (9 <= len(whole) <= 19 and whole.isascii() and whole.isdigit()):
        return None
    if not part:
        return int(whole)
    return float(text) if part.isascii() and part.isdigit() else None


def _text_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - EPOCH) // MILLISECOND
    except OverflowError:
        raise ValueError("not a time") from None


def _number_ms(number: float) -> int:
    if not 0 <= number < 1e20:
        raise ValueError("not a time")
    if number < SECONDS_BELOW:
        ms = int(number * 1000)
    elif number < MILLISECONDS_BELOW:
        ms = int(number)
    else:
        ms = int(number // 1000 if number < MICROSECONDS_BELOW else number // 1_000_000)
    if ms > LATEST_MS:
        raise ValueError("not a time")
    return ms
