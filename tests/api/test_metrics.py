"""GET /metrics as a scraper reads it: a media type that strict parsers take, and a text."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.api.conftest import Served

OPEN = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (OPEN, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ],
)
async def test_no_parameter_of_the_media_type_is_there_twice(
    served: Served, accept: str, kind: str
) -> None:
    answer = await served.admin.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    is_open = kind.startswith("application/")
    read = openmetrics.text_string_to_metric_families if is_open else text_string_to_metric_families
    assert any(family.name.startswith("periscope_reports") for family in read(answer.text))


async def test_what_is_not_there_says_where_to_look(served: Served) -> None:
    answer = await served.admin.get("/v1/threads")
    assert (answer.status_code, "/openapi.json" in answer.json()["detail"]) == (404, True)
    answer = await served.admin.delete("/v1/threats")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "OPTIONS"}
    assert "Allow" in answer.json()["detail"]
