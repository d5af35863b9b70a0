"""Moments as they are asked for: RFC 3339, or so long ago (`2h`, `7d`)."""

from __future__ import annotations

from typing import Annotated

from litestar.params import Parameter

from periscope.api.problems import RequestRefused
from periscope.feeds.moments import moment_ms
from periscope.periscope import Periscope
from periscope.spans import LONGEST, MILLISECOND, read_span

Since = Annotated[
    str | None,
    Parameter(description="Only from then on: an RFC 3339 time, or `2h`, `7d`.", max_length=64),
]
Until = Annotated[
    str | None,
    Parameter(description="Only until then: an RFC 3339 time, or `2h`, `7d`.", max_length=64),
]


async def moment_of(periscope: Periscope, text: str | None, field: str) -> int | None:
    """Return the moment that a text means, in milliseconds; spans count back by the server's clock.

    Raises:
        RequestRefused: it means none.
    """
    if text is None:
        return None
    back = read_span(text)
    if back is not None and back <= LONGEST:
        return max(0, (await periscope.get_stats()).as_of_ms - back // MILLISECOND)
    try:
        if text[4:5] != "-":  # a bare number would be read as seconds since 1970
            raise ValueError
        return moment_ms(text)
    except (ValueError, OverflowError):
        reason = f"{field}: no time; write it like 2h, 7d or 2026-01-31T12:00:00Z"
        raise RequestRefused(422, "parameters-unfit", reason, field=field) from None
