"""/v1/policy: read, changed, refused; and its shape is the policy's."""

from __future__ import annotations

from typing import Any

import pytest

from periscope.access import Limits
from periscope.api.policy import document_of, policy_of
from periscope.policy import Policy
from periscope.shapes import PolicyDocument, PolicyShown
from tests.api.conftest import Served
from tests.api.shaped import remarks, shaped


def test_the_shape_is_the_policy() -> None:
    assert document_of(Policy()) == PolicyDocument()
    assert policy_of(PolicyDocument()) == Policy()


async def test_read_and_changed(served: Served) -> None:
    before = shaped(await served.admin.get("/v1/policy"), PolicyShown)
    assert before.policy == PolicyDocument()
    assert before.differing == []
    wanted = {"promote_score": 0.9, "working_ttl_ms": 7_200_000}
    after = shaped(await served.admin.put("/v1/policy", json=wanted), PolicyShown)
    assert (after.revision, after.differing) == (
        before.revision + 1,
        ["promote_score", "working_ttl_ms"],
    )
    assert (await served.tenant.periscope.get_policy()).promote_score == 0.9
    ((who, told),) = await remarks(served, "set_policy")
    assert (who, told["promote_score"]) == ("key:first", 0.9)
    back = shaped(await served.admin.put("/v1/policy", json={}), PolicyShown)
    assert back.differing == []


async def test_only_in_place_of_the_one_that_was_seen(served: Served) -> None:
    seen = (await served.admin.get("/v1/policy")).headers["etag"]
    first = await served.admin.put(
        "/v1/policy", json={"promote_score": 0.9}, headers={"If-Match": seen}
    )
    assert first.status_code == 200
    late = await served.admin.put(
        "/v1/policy", json={"promote_score": 0.5}, headers={"If-Match": seen}
    )
    assert (late.status_code, late.json()["type"]) == (412, "urn:periscope:problem:policy-changed")
    assert (await served.tenant.periscope.get_policy()).promote_score == 0.9


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"recency_constant_ms": 10}, 422, "recency_constant"),
        ({"decay_floor": 0}, 422, "decay_per_day"),
        ({"promote_score": 2}, 422, None),
        ({"promote_score": "x"}, 422, None),
        ({"unheard_of": 1}, 422, None),
        ({"interactions_cap": 9}, 422, None),
        ([], 422, None),
    ],
)
async def test_what_cannot_be(served: Served, body: Any, status: int, field: str | None) -> None:
    answer = await served.admin.put("/v1/policy", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json().get("field") == field or field is None
    assert (await served.tenant.periscope.get_policy()) == Policy()


async def test_readers_see_it_and_change_nothing(served: Served) -> None:
    reader = await served.key("read")
    assert (await reader.get("/v1/policy")).status_code == 200
    assert (await reader.put("/v1/policy", json={})).status_code == 403
    limited = await served.key("admin", limits=Limits(("siem",)))
    assert (await limited.get("/v1/policy")).status_code == 200
    assert (await limited.put("/v1/policy", json={})).status_code == 403
