"""Documents spliced from stored bytes say what the same threats say when they are read whole."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from periscope import Page, Policy, StoreDamaged, documents
from periscope.header import (
    HEADER_BYTES,
    REPORT_BYTES,
    Header,
    pack_header,
    read_threat,
    unpack_header,
)
from periscope.intake import Intake
from periscope.spliced import Splicer
from periscope.threat import Record, RecordPage

INTAKE = Intake(bytes(16))
MOMENTS = st.integers(1, 2**41)
COUNTS = st.integers(0, 40)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
HARD = st.sampled_from(
    ['","severity":"LOW', '\\","metadata":{', '"', "\\", "\x00\u202e", "</script>"]
)
REPORTS = st.fixed_dictionaries(
    {
        "threat_id": TEXTS.filter(bool) | HARD,
        "content": TEXTS | HARD,
        "severity": st.sampled_from(["CRITICAL", "HIGH", "MEDIUM", "LOW"]),
        "metadata": st.dictionaries(TEXTS | HARD, TEXTS | HARD | st.integers(-9, 9), max_size=3),
    },
    optional={"source": TEXTS | HARD, "observed_at": st.integers(1, 2**41)},
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A record with any header that the functions may leave, around a body as it is stored."""
    threat_id, packed = INTAKE.one(draw(REPORTS))[:2]
    blank = bytes([1]) + bytes(HEADER_BYTES - REPORT_BYTES - 1)
    said = unpack_header(blank + packed[:REPORT_BYTES])
    levels = (1, 2, 3), (0, 1, 2, 3), (0, 1, 2, 3), (0, 1, 2, 3), range(16), range(8)
    drawn = [1, *(draw(st.sampled_from(one)) for one in levels), draw(st.integers(1, 2**32 - 1))]
    drawn += [draw(COUNTS) for _ in range(7)]
    moments = [draw(MOMENTS), draw(MOMENTS), *(draw(MOMENTS | st.just(0)) for _ in range(2))]
    severity = draw(st.integers(said.severity, 3))  # that of another source may be the higher one
    observed = said.observed_at or draw(MOMENTS | st.just(0))  # or what the source said before
    rest = (observed, said.fingerprint, said.source)
    header = Header._make([*drawn, *moments, draw(st.floats(0, 1)), severity, *rest])
    return Record(threat_id, bytes(pack_header(header)) + packed[REPORT_BYTES:])


@given(records(), MOMENTS, st.sampled_from([Policy(), Policy(severity_weight=0.17)]))
def test_a_spliced_document_is_the_document(record: Record, at: int, policy: Policy) -> None:
    whole = documents.threat(read_threat(*record, at, policy))
    spliced = Splicer(policy).threat(*record, at)
    assert _once_each(spliced) == json.loads(json.dumps(whole))


@given(st.lists(records(), max_size=3), MOMENTS, st.none() | TEXTS)
def test_a_spliced_page_is_the_page(found: list[Record], at: int, cursor: str | None) -> None:
    policy = Policy()
    threats = [read_threat(*one, at, policy) for one in found]
    whole = documents.page(Page(threats, cursor, at, 7))
    spliced = Splicer(policy).page(RecordPage(found, cursor, at, 7))
    assert _once_each(spliced) == json.loads(json.dumps(whole))


@given(records(), st.integers(0, 120))
def test_a_damaged_record_is_named(record: Record, size: int) -> None:
    with pytest.raises(StoreDamaged):
        Splicer(Policy()).threat(record.threat_id, record.record[:size], 1)


def _once_each(text: bytes) -> Any:
    """The document, strictly read: no field twice."""
    msgspec.json.decode(text)
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs)
    return found
