"""Reports that are marked as noise, for tests of what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from periscope import BatchResult, Periscope
from periscope.marks import Marker
from periscope.models import Mark


async def mark_with(p: Periscope, marker: Marker | None) -> None:
    """Let this say from now on what is noise."""
    p._engine.marker = marker


async def add_marked(
    p: Periscope, reports: Iterable[dict[str, Any]], whose: Iterable[Mark | None], **options: Any
) -> BatchResult:
    """Take in reports, each with its mark (None: none)."""
    given = list(reports)
    found = {id(one): mark for one, mark in zip(given, whose, strict=True)}
    await mark_with(p, lambda fields: found.get(id(fields)))
    try:
        return await p.add_threats_batch(given, **options)
    finally:
        await mark_with(p, None)
