"""What a key or account may be, checked before anything is stored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import ceil, isfinite
from typing import Any
from unicodedata import normalize

from periscope.access.words import Limits, Scope
from periscope.acts import check_name
from periscope.errors import AccessInvalid, ActInvalid
from periscope.models import MAX_SOURCE_BYTES, Severity
from periscope.work import MAX_ANALYST_BYTES

MAX_KEY_NAME_BYTES = 100
ITSELF = "periscope"  # what the audit trail calls the program, and no account's name
KEY_NAMES = "key:"  # begins what the audit trail calls a key, and no account's name
MAX_LIMITS = 100
MAX_RATE = 1_000_000.0
MIN_RATE = 0.001
MAX_BURST = 10_000_000
LONGEST = timedelta(days=36_500)
TLP = ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")
MILLISECOND = timedelta(milliseconds=1)


def checked_name(name: Any, field: str, most: int = MAX_ANALYST_BYTES) -> str:
    """Return a name: 1 to `most` bytes, no control characters, no spaces at its ends.

    Raises:
        AccessInvalid: it is none.
    """
    try:
        check_name(name, field, most)
    except ActInvalid as exc:
        raise AccessInvalid(str(exc), field=field) from None
    return str(name)


def checked_account(name: Any, field: str = "name") -> str:
    """Return the name of an account: an analyst's id that is not what a key is called.

    Raises:
        AccessInvalid: it cannot be one.
    """
    if is_reserved(checked_name(name, field)):
        raise AccessInvalid(
            f"{field}: {KEY_NAMES} begins what API keys are called, {ITSELF} is Periscope itself",
            field=field,
        )
    return str(name)


def is_reserved(name: str) -> bool:
    """Would the audit trail, as it is read, take this for a key, or for Periscope itself?"""
    seen = normalize("NFKC", name).casefold()
    return seen.startswith(KEY_NAMES) or seen == ITSELF


def checked_scopes(scopes: Iterable[Any]) -> tuple[Scope, ...]:
    """Return scopes in their order, each once.

    Raises:
        AccessInvalid: there are none, or one is unknown.
    """
    given = [scopes] if isinstance(scopes, str) else list(scopes)
    for one in given:
        if one not in list(Scope):
            known = ", ".join(Scope)
            raise AccessInvalid(f"scopes: unknown {str(one)[:40]!r}; {known}", field="scopes")
    if not given:
        raise AccessInvalid("scopes: none given; it could do nothing", field="scopes")
    return tuple(scope for scope in Scope if scope in given)


def checked_limits(limits: Limits) -> Limits:
    """Return limits with their words as they are stored.

    Raises:
        AccessInvalid: a source, severity or TLP word that is none, or more than 100.
    """
    sources = tuple(_source(one) for one in _few(limits.sources, "sources"))
    severities = tuple(_severity(one) for one in _few(limits.severities, "severities"))
    tlp = tuple(_tlp(one) for one in _few(limits.tlp, "tlp"))
    return Limits(sources, severities, tlp)


def checked_rate(rate_per_s: Any, burst: Any) -> tuple[float | None, int | None]:
    """Return a rate and its burst; without a burst that of one second.

    Raises:
        AccessInvalid: one of them is out of bounds, or there is a burst and no rate.
    """
    if rate_per_s is None:
        if burst is not None:
            raise AccessInvalid("burst: without a rate it means nothing", field="burst")
        return None, None
    rate = float(rate_per_s)
    if not isfinite(rate) or not MIN_RATE <= rate <= MAX_RATE:
        reason = f"rate_per_s: {rate:g} is not within {MIN_RATE:g} and {MAX_RATE:,.0f}"
        raise AccessInvalid(reason, field="rate_per_s")
    most = max(1, ceil(rate)) if burst is None else burst
    if type(most) is not int or not 1 <= most <= MAX_BURST:
        raise AccessInvalid(f"burst: not within 1 and {MAX_BURST:,}", field="burst")
    return rate, most


def end_ms(expires: timedelta | datetime | None, now_ms: int) -> int | None:
    """Return when something ends that is to end after a while, or at a moment.

    Raises:
        AccessInvalid: in the past, more than 100 years ahead, or a moment without its zone.
    """
    if expires is None:
        return None
    if isinstance(expires, timedelta):
        found = now_ms + expires // MILLISECOND
    elif expires.tzinfo is None:
        raise AccessInvalid("expires: a moment needs its time zone", field="expires")
    else:
        found = int(expires.timestamp() * 1000)
    if not now_ms < found <= now_ms + LONGEST // MILLISECOND:
        raise AccessInvalid("expires: not within the next 100 years", field="expires")
    return found


def _few(given: Iterable[Any], field: str) -> list[Any]:
    found = [given] if isinstance(given, str) else list(dict.fromkeys(given))
    if len(found) > MAX_LIMITS:
        raise AccessInvalid(f"{field}: more than {MAX_LIMITS}", field=field)
    return found


def _source(text: Any) -> str:
    return checked_name(text, "sources", MAX_SOURCE_BYTES)


def _severity(word: Any) -> Severity:
    try:
        return Severity(str(word).upper())
    except ValueError:
        known = ", ".join(Severity)
        reason = f"severities: unknown {str(word)[:40]!r}; {known}"
        raise AccessInvalid(reason, field="severities") from None


def _tlp(word: Any) -> str:
    found = str(word).upper().removeprefix("TLP:")
    if found not in TLP:
        reason = f"tlp: unknown {str(word)[:40]!r}; {', '.join(TLP)}"
        raise AccessInvalid(reason, field="tlp")
    return found
