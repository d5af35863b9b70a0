"""NDJSON and JSON: native fields, aliases, and what is wrong with a record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from periscope.errors import FeedError
from periscope.feeds import ReadOptions
from periscope.models import Report, Severity, Unreadable
from tests.feeds.support import lines, one, read, reasons, reports

NATIVE: dict[str, Any] = {
    "threat_id": "t-1",
    "content": "text",
    "severity": "HIGH",
    "metadata": {"a": 1},
    "source": "edr",
    "observed_at": 1_700_000_000_123,
}
MINIMAL = {"id": "x", "severity": "low"}
NOON_MS = 1_756_123_200_000


def test_native_records_pass_unchanged() -> None:
    (item,) = read(lines(NATIVE))
    assert item == Report("t-1", "text", Severity.HIGH, {"a": 1}, "edr", 1_700_000_000_123)


def test_ndjson_and_json_give_the_same_reports() -> None:
    records: list[dict[str, Any]] = [
        NATIVE,
        MINIMAL,
        {**NATIVE, "observed_at": "2025-08-25T12:00:00", "severity": "warn"},
    ]
    array = json.dumps(records, indent=1).encode()
    concatenated = "\n".join(json.dumps(record, indent=2) for record in records).encode()
    expected = read(lines(*records), "ndjson")
    assert read(array, "json") == read(concatenated, "json") == expected
    assert read(array) == read(concatenated) == read(lines(*records)) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (MINIMAL, Report("x", "x", Severity.LOW)),
        ({"uuid": "u", "level": "error", "message": "m"}, Report("u", "m", Severity.HIGH)),
        ({"id": 7, "priority": 1}, Report("7", "7", Severity.CRITICAL)),
        (
            {"threat_id": "a", "id": "b", "severity": "low"},
            Report("a", "a", Severity.LOW, {"id": "b"}),
        ),
        (
            {**MINIMAL, "title": "T", "description": "D"},
            Report("x", "D", Severity.LOW, {"title": "T"}),
        ),
        (
            {**MINIMAL, "metadata": {"host": "own"}, "host": "other", "port": 1},
            Report("x", "x", Severity.LOW, {"host": "own", "port": 1}),
        ),
        ({**MINIMAL, "metadata": None}, Report("x", "x", Severity.LOW)),
        ({**MINIMAL, "metadata": [1]}, Report("x", "x", Severity.LOW, {"metadata": [1]})),
        (
            {**MINIMAL, "source": {"ip": "i"}},
            Report("x", "x", Severity.LOW, {"source": {"ip": "i"}}),
        ),
        ({**MINIMAL, "time": "soon"}, Report("x", "x", Severity.LOW, {"time": "soon"})),
        (
            {**MINIMAL, "@timestamp": "2025-08-25T12:00:00Z"},
            Report("x", "x", Severity.LOW, None, "", NOON_MS),
        ),
        ({**MINIMAL, "time": 1756123200}, Report("x", "x", Severity.LOW, None, "", NOON_MS)),
        ({**MINIMAL, "time": "1756123200"}, Report("x", "x", Severity.LOW, None, "", NOON_MS)),
        ({**MINIMAL, "time": 1756123200.0}, Report("x", "x", Severity.LOW, None, "", NOON_MS)),
        ({**MINIMAL, "time": NOON_MS}, Report("x", "x", Severity.LOW, None, "", NOON_MS)),
        ({**MINIMAL, "time": NOON_MS * 10**6}, Report("x", "x", Severity.LOW, None, "", NOON_MS)),
        (
            {**MINIMAL, "created": "2025-08-25T14:00:00+0200"},
            Report("x", "x", Severity.LOW, None, "", NOON_MS),
        ),
        ({**MINIMAL, "severity": "unknown", "level": "info"}, Report("x", "x", Severity.LOW)),
    ],
)
def test_aliases(record: dict[str, Any], expected: Report) -> None:
    assert one(record) == expected


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"severity": "low"}, ["threat_id, id, uuid", "--map threat_id=FIELD"]),
        ({"id": "", "severity": "low"}, ["no id under"]),
        ({"threat_id": 1.5, "severity": "low"}, ["threat_id is a number"]),
        ({"threat_id": True, "severity": "low"}, ["threat_id is a boolean"]),
        ({"id": "x"}, ["give --severity"]),
        ({"id": "x", "severity": None}, ["give --severity"]),
        ({"id": "x", "severity": "banana"}, ["'banana'", "--severity-map"]),
        ({"id": "x", "level": 3}, ["level 3"]),
        ({"id": "x", "severity": ["high"]}, ["severity is a list"]),
        ({**MINIMAL, "content": 3}, ["content is a number"]),
        ({**MINIMAL, "observed_at": "soon"}, ["observed_at 'soon' is not a time"]),
        ({**MINIMAL, "observed_at": 1e300}, ["is not a time"]),
    ],
)
def test_bad_records_say_what_to_do(record: dict[str, Any], words: list[str]) -> None:
    item = one(record)
    assert isinstance(item, Unreadable)
    assert item.reason.startswith("record 1 (byte 0): ")
    assert "\n" not in item.reason
    for word in words:
        assert word in item.reason
    usable = record.get("id") or None
    assert item.threat_id == (usable if "threat_id" not in record else None)


def test_options() -> None:
    record = {
        "key": "k",
        "text": "words",
        "sev": "high",
        "at": "2025-08-25T12:00:00Z",
        "n": {"s": "z"},
    }
    columns = {
        "threat_id": "key",
        "content": "text",
        "severity": "sev",
        "observed_at": "at",
        "source": "n.s",
    }
    expected = Report("k", "words", Severity.HIGH, {"n": {"s": "z"}}, "z", NOON_MS)
    assert one(record, columns=columns) == expected
    assert read(lines(record), "ndjson", columns=columns) == [expected]
    (item,) = read(lines(NATIVE), source="mine")
    assert isinstance(item, Report)
    assert item.source == "mine"
    assert one({"id": "x"}, default_severity=Severity.HIGH) == Report("x", "x", Severity.HIGH)
    assert one(MINIMAL, default_severity=Severity.HIGH) == Report("x", "x", Severity.LOW)


def test_options_that_cannot_be() -> None:
    with pytest.raises(FeedError, match="no such field"):
        ReadOptions(columns={"id": "x"})
    with pytest.raises(FeedError, match="one character"):
        ReadOptions(delimiter="||")
    with pytest.raises(FeedError, match="at least 1"):
        ReadOptions(max_bytes=0)


BAD_VALUES = ["NaN", "Infinity", "1e309", "0x10", '"\\ud800"', '"a\nb"', '"\xff"', "01", "+1"]


@pytest.mark.parametrize("value", BAD_VALUES)
@pytest.mark.parametrize("ndjson", [True, False])
def test_one_bad_value_costs_one_record(value: str, *, ndjson: bool) -> None:
    if ndjson and "\n" in value:
        pytest.skip("a line end ends the record there")
    records = [json.dumps({"id": f"r{n}", "severity": "low"}) for n in range(1000)]
    records[500] = '{"id": "bad", "severity": "low", "n": ' + value + "}"
    text = "\n".join(records) if ndjson else "[" + ",\n".join(records) + "]"
    items = read(text.encode("latin-1"))
    assert len(items) == 1000
    assert len(reports(items)) == 999
    (reason,) = reasons(items)
    assert reason.startswith("line 501: " if ndjson else "record 501 (byte ")


def test_broken_json_ends_an_array_and_only_a_line() -> None:
    good = json.dumps(MINIMAL)
    broken = read(f'[{good}, {{"id": "y" "severity": "low"}}, {good}]'.encode())
    assert len(reports(broken)) == 1
    assert reasons(broken)[0].startswith("record 2 (byte 33): not valid JSON")
    items = read(f'{good}\n{{"id": "y" "severity": "low"}}\n\n{good}\n'.encode())
    assert len(reports(items)) == 2
    assert reasons(items)[0].startswith("line 2: not valid JSON")


@pytest.mark.parametrize(
    "tail", ["", ",", ', {"id"', ', {"id": "y\\', ", [", "]]", "] x", ",]", ",,]", "}"]
)
def test_what_came_before_a_break_stays(tail: str) -> None:
    items = read(f'[{{"id": "a", "severity": "low"}}, {json.dumps(MINIMAL)}{tail}'.encode())
    assert len(reports(items)) == 2
    assert len(reasons(items)) == 1


def test_duplicate_keys_last_wins() -> None:
    data = b'{"id": "a", "severity": "low", "id": "b", "metadata": {}, "metadata": {"x": 1}}\n'
    expected = [Report("b", "b", Severity.LOW, {"x": 1})]
    assert read(data, "ndjson") == read(data, "json") == expected
    native = b'{"threat_id": "a", "content": "", "severity": "LOW", "threat_id": "b"}\n'
    assert read(native) == [Report("b", "", Severity.LOW)]


def test_byte_order_mark_and_line_ends() -> None:
    text = b"\xef\xbb\xbf" + lines(MINIMAL, NATIVE).replace(b"\n", b"\r\n") + b"\r\n"
    assert len(reports(read(text))) == 2
    assert read(text, "json") == read(text, "ndjson") == read(text)


def test_awkward_text_comes_through_exactly() -> None:
    text = "{}:*?\r\n\0\u202e\u200b\U0001f600" + "x" * 70_000
    record = {"threat_id": text, "content": text, "severity": "LOW", "metadata": {text: text}}
    expected = [Report(text, text, Severity.LOW, {text: text})]
    for ascii_only in (True, False):
        data = json.dumps(record, ensure_ascii=ascii_only).encode()
        assert read(data, "json") == read(data, "ndjson") == expected
