"""Who takes in a batch can have each rejected item, as it was given."""

from __future__ import annotations

from typing import Any

from periscope import Periscope, Rejection
from periscope.models import Unreadable

GOOD = {"threat_id": "a", "content": "c", "severity": "LOW"}
BAD = Unreadable("line 3: nonsense", None, "line 3", b"{nonsense")


async def test_each_rejected_item_is_told_with_its_reason(periscope: Periscope) -> None:
    told: list[tuple[Rejection, Any]] = []
    odd = {**GOOD, "threat_id": ""}
    items = [*[GOOD] * 700, odd, *[GOOD] * 700, BAD, 7]
    result = await periscope.add_threats_batch(
        items, rejected=lambda rejection, item: told.append((rejection, item))
    )
    assert [(one.index, item) for one, item in told] == [(700, odd), (1401, BAD), (1402, 7)]
    assert [one for one, _ in told] == result.rejected
    assert (result.rejected_count, result.committed) == (3, 1400)
