"""What tests of routes have in common: threats to work on, and answers that are what they say."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from httpx import Response

from tests.api.conftest import Served

T = TypeVar("T")


def fits(answer: Response, kind: type[T], status: int = 200) -> Any:
    """The document of an answer, which must be what the shape says: no field more, none less."""
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert msgspec.to_builtins(msgspec.convert(document, kind)) == document
    return document


def refused(answer: Response, status: int, kind: str, field: str | None = None) -> str:
    """The detail of an answer, which must be this problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told = answer.json()
    found = (answer.status_code, told["type"].removeprefix("urn:periscope:problem:"))
    assert found == (status, kind), answer.text
    assert told.get("field") == field, answer.text
    return str(told["detail"])


async def put(served: Served, *ids: str, **more: Any) -> None:
    """Store threats of these ids."""
    usual = {"content": "beacon", "severity": "HIGH", **more}
    result = await served.tenant.periscope.add_threats_batch(
        [{"threat_id": one, **usual} for one in ids]
    )
    assert result.rejected_count == 0, result.rejected


async def to_level_two(served: Served, threat_id: str) -> None:
    """Promote a threat by what its analysts did."""
    p = served.tenant.periscope
    for analyst in ("ann", "bob", "carl"):
        await p.record_interaction(threat_id, analyst, "escalate")
        await p.record_interaction(threat_id, analyst, "investigate")
    assert threat_id in (await p.promote_eligible_threats()).promoted_ids
