"""A row says of a record what the whole threat says, in one line, however hostile the report is."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from periscope import Policy, StoreDamaged, documents
from periscope.header import HEADER_BYTES, read_threat
from periscope.intake import Intake
from periscope.rows import REMEMBERED, Holder, Rows, row_document
from periscope.shapes import ThreatRow
from periscope.threat import Record, Threat
from tests.test_spliced import MOMENTS, records

INTAKE = Intake(bytes(16))
HEADER = bytes([1, 1]) + bytes(HEADER_BYTES - 2 - 21)
OF_A_ROW = {"title", "tlp", "industry", "tags", "indicator", "indicators"}
OF_A_CLAIM = {"holder", "holder_until_ms"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "value"]), inner),
    max_leaves=8,
)
METADATA = st.dictionaries(
    st.sampled_from(["title", "tlp", "tags", "indicators", "industry", "industries", "x"]), VALUES
)


def record(content: str = "c", **metadata: Any) -> Record:
    """A new threat as it is stored."""
    report = {"threat_id": "t", "content": content, "severity": "HIGH", "metadata": metadata}
    threat_id, packed = INTAKE.one(report)[:2]
    return Record(threat_id, HEADER + packed)


def whole(one: Record, at: int = 1) -> Threat:
    return read_threat(*one, at, Policy())


def row(one: Record) -> ThreatRow:
    return Rows().row(one, 1, Policy())


@given(records(), MOMENTS, st.sampled_from([Holder(), Holder("ann", 7)]))
def test_a_row_says_what_the_document_says(one: Record, at: int, holder: Holder) -> None:
    threat, rows = whole(one, at), Rows()
    document = documents.threat(threat)
    told = msgspec.to_builtins(rows.row(one, at, Policy(), holder))
    same = told.keys() - OF_A_ROW - OF_A_CLAIM
    assert {name: told[name] for name in same} == {name: document[name] for name in same}
    assert told["holder"] == (holder.analyst_id or None)
    assert rows.row(one, at, Policy(), holder) == row_document(threat, holder)


@given(METADATA, st.text(st.characters(codec="utf-8")))
def test_whatever_a_report_says_fits_a_line(metadata: Any, content: str) -> None:
    one = record(content, **metadata)
    found = row(one)
    assert found == row_document(whole(one))
    assert len(found.title) <= 200
    assert "".join(found.title.splitlines()) == found.title
    assert (len(found.tags) <= 8, len(found.tlp) <= 64, len(found.industry) <= 64) == (True,) * 3
    assert msgspec.json.decode(msgspec.json.encode(found), type=ThreatRow) == found


@pytest.mark.parametrize(
    ("content", "metadata", "title"),
    [
        ("first line\nsecond", {}, "first line"),
        ("content", {"title": "Said"}, "Said"),
        ("content", {"title": " \n\t"}, "content"),
        ("content", {"title": 7}, "content"),
        ("\n \n  after blanks \r\nmore", {}, "after blanks"),
        ("c", {"title": "a\nb\x00\x1b[31mc\u2028d\u202ee\x85f"}, "a b [31mc d e f"),
        ("c", {"title": "x" * 65_000}, "x" * 200),
        (" " * 65_000, {}, ""),
        ("\u00e9" * 300, {"title": ""}, "\u00e9" * 200),
    ],
)
def test_titles(content: str, metadata: dict[str, Any], title: str) -> None:
    assert row(record(content, **metadata)).title == title


def test_what_a_row_takes_from_metadata() -> None:
    shown = row(
        record(
            tlp="tlp:amber+strict",
            tags=["One", "one", 7, *map(str, range(20)), "x" * 900],
            industries=["", 7, "\nx" * 90, " Energy ", "Health"],
            indicators=[{"value": 7}, {"type": "url", "value": "u" * 900}, {"value": "v"}, "w"],
        )
    )
    assert (shown.tlp, shown.industry) == ("AMBER+STRICT", "Energy")
    assert shown.tags == ["one", *map(str, range(7))]
    assert shown.indicator is not None
    assert (shown.indicator.type, shown.indicator.value) == ("url", "u" * 256)
    assert shown.indicators == 2
    assert row(record(tags="alone", industry="Mining")).tags == ["alone"]
    bare = row(record())
    assert (bare.tlp, bare.industry, bare.tags, bare.indicator) == ("", "", [], None)


def test_rows_of_large_reports_are_small() -> None:
    fat = record("\x01" * 10_000, title="\u20ac" * 9000, tags=["\u20ac" * 2000] * 5)
    assert len(msgspec.json.encode(row(fat))) < 3000


def test_what_was_said_is_remembered_until_it_is_said_otherwise() -> None:
    rows = Rows(most=2)
    for title in ("a", "b", "a", "c", "a"):
        assert rows.row(record(title=title), 1, Policy()).title == title
    assert len(rows._said) == 2
    assert REMEMBERED >= 1000  # a whole page at least


@pytest.mark.parametrize(
    "bad",
    [
        HEADER,
        HEADER + bytes(21),
        HEADER + bytes(21) + b'{"content":7}',
        b"\2" + record().record[1:],
        record().record[:-1],
    ],
)
def test_a_damaged_record_names_its_threat_and_no_content(bad: bytes) -> None:
    with pytest.raises(StoreDamaged):
        row(Record(b"t", bad))


def test_a_row_has_the_fields_of_its_shape_in_json() -> None:
    told = json.loads(msgspec.json.encode(row(record())))
    assert set(told) == set(ThreatRow.__struct_fields__)
