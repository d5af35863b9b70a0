"""GET /v1/export: whole lists, streamed; CSV that no spreadsheet takes for a program."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from periscope.access import Limits
from periscope.exporting import BEGINS_FORMULA, COLUMNS, UNSEEN, VISIBLE, safe_cell
from tests.api.conftest import Served

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " \u200b=cmd|' /C calc'!A0",
    "＝1",
    '"=1',
]


def reports(count: int) -> list[dict[str, Any]]:
    return [
        {
            "threat_id": f"{number:04d}",
            "content": FORMULAS[number % len(FORMULAS)],
            "severity": ("HIGH", "LOW")[number % 2],
            "metadata": {"title": "=HYPERLINK(1)", "tags": ["=a", "b"], "tlp": "GREEN"},
            "source": ("edr", "siem")[number % 2],
        }
        for number in range(count)
    ]


async def test_every_threat_comes_once_in_rank_order(served: Served) -> None:
    await served.admin.post("/v1/reports", json=reports(1203))
    answer = await served.admin.get("/v1/export")
    assert answer.headers["content-type"] == "application/x-ndjson"
    ids = [line for line in answer.text.splitlines() if line]
    page = (await served.admin.get("/v1/threats?limit=1000")).json()
    assert len(ids) == 1203
    assert f'"threat_id":"{page["items"][0]["threat_id"]}"' in ids[0]


async def test_a_table_holds_no_formula(served: Served) -> None:
    await served.admin.post("/v1/reports", json=reports(50))
    answer = await served.admin.get("/v1/export?format=csv&severity=HIGH")
    rows = list(csv.reader(io.StringIO(answer.content.decode(), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 26
    for row in rows[1:]:
        assert len(row) == len(COLUMNS)
        for name, cell in zip(COLUMNS, row, strict=True):
            if name in ("content", "title", "tags"):
                assert cell.startswith("'"), cell


async def test_a_limited_key_exports_what_it_may_see(served: Served) -> None:
    await served.admin.post("/v1/reports", json=reports(40))
    async with await served.key("read", limits=Limits(sources=("siem",))) as limited:
        answer = await limited.get("/v1/export")
    assert len(answer.text.splitlines()) == 20
    assert '"source":"edr"' not in answer.text


@pytest.mark.parametrize("query", ["level=4", "format=xml", "level=2&severity=HIGH", "x=1"])
async def test_what_is_wrong_is_said_before_anything_is_sent(served: Served, query: str) -> None:
    answer = await served.admin.get(f"/v1/export?{query}")
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@given(st.text())
def test_no_cell_begins_a_formula(text: str) -> None:
    cell = safe_cell(text)
    assert cell.lstrip(UNSEEN + '"')[:1] not in BEGINS_FORMULA or not cell.lstrip(UNSEEN + '"')
    assert cell.removeprefix("'").replace("'", "") == text.translate(VISIBLE).replace("'", "")


def test_no_cell_commands_a_terminal() -> None:
    assert safe_cell("a\x1b[2J\x9b2J\x07\x7f\0b\r\n\tc") == "a\ufffd[2J\ufffd2J\ufffd\ufffdb\r\n\tc"
    assert safe_cell("\u202e=1+1") == "'\u202e=1+1"
