"""One look at the head of the queue: what `top` shows once, and with --watch again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from periscope import documents
from periscope.cli.figures import count
from periscope.documents import moment

if TYPE_CHECKING:
    from rich.text import Text

    from periscope import Periscope, Threat


async def look(periscope: Periscope, limit: int) -> tuple[list[Threat], int]:
    """Return the head of the queue and how long the queue is."""
    return await periscope.get_top_threats(limit), (await periscope.get_stats()).queue


def document(threats: Sequence[Threat], queue: int) -> documents.Document:
    """One look as JSON; `as_of` is null when the queue is empty."""
    as_of_ms = threats[0].as_of_ms if threats else None
    return {
        "items": [documents.threat(one) for one in threats],
        "total": queue,
        **documents.times("as_of", as_of_ms),
    }


def caption(threats: Sequence[Threat], queue: int) -> Text:
    """How much of the queue this is, and of when."""
    from rich.text import Text

    shown = f"{len(threats):,} of {count(queue, 'open threat')}"
    return Text(f"{shown}, as of {moment(threats[0].as_of_ms)}", style="dim")
