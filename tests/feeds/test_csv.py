"""CSV: header, mapping, delimiters, and rows that are wrong."""

from __future__ import annotations

import pytest

from periscope.errors import FeedError
from periscope.models import Report, Severity
from tests.feeds.support import read, real_data, reasons, reports

LOW = Severity.LOW


@pytest.mark.parametrize("delimiter", list(",;\t|"))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_dialects(delimiter: str, end: str, bom: bytes) -> None:
    rows = [
        ["ID", "Severity", "Message", "host"],
        ["a", "Low", '"x, y; z\t|"', "h"],
        ["b", "HIGH", '""', ""],
    ]
    data = bom + end.join(delimiter.join(row) for row in rows).encode() + end.encode()
    assert read(data) == [
        Report("a", "x, y; z\t|", LOW, {"host": "h"}),
        Report("b", "b", Severity.HIGH),
    ]


def test_quotes_line_ends_and_nul_in_cells() -> None:
    data = b'id,severity,message\r\n1,low,"ha\r\n""ha""\nha"\r\n2,low,n\0l\r\n'
    assert read(data, "csv") == [Report("1", 'ha\r\n"ha"\nha', LOW), Report("2", "n\0l", LOW)]


def test_a_bad_row_costs_itself() -> None:
    good = b'id,severity,message\n1,low,"two\nlines"\n'
    data = good + b"2,low\n3,low,a,b\n4,low,\xff\n5,bad,x\n\n,low,x\n6,low,ok\n"
    items = read(data)
    assert [report.threat_id for report in reports(items)] == ["1", "6"]
    assert [reason.split(": ")[0] for reason in reasons(items)] == [
        f"line {n}" for n in (4, 5, 6, 7, 9)
    ]
    assert "2 cells where the header has 3" in reasons(items)[0]
    assert "UTF-8" in reasons(items)[2]


def test_columns_are_matched_in_any_case_and_listed_when_missing() -> None:
    data = b"Value,Kind\nevil.example,domain\n"
    columns = {"threat_id": "value", "content": "KIND"}
    assert read(data, columns=columns, default_severity=LOW) == [
        Report("evil.example", "domain", LOW)
    ]
    with pytest.raises(FeedError, match=r"--map threat_id=COLUMN.*'Number', 'Kind'"):
        read(b"Number,Kind\n17,domain\n", default_severity=LOW)
    with pytest.raises(FeedError, match=r"--map threat_id=nope: no such column.*'Value', 'Kind'"):
        read(data, columns={"threat_id": "nope"})
    with pytest.raises(FeedError, match="give --severity"):
        read(data, columns={"threat_id": "Value"})


def test_without_header_line() -> None:
    header = ["id", "", "note", "note"]
    items = read(b"a,1,x,y\nb,2,,\n", header=header, default_severity=LOW)
    assert items == [
        Report("a", "a", LOW, {"column_2": "1", "note": "x", "note_4": "y"}),
        Report("b", "b", LOW, {"column_2": "2"}),
    ]


def test_delimiter_can_be_given() -> None:
    assert read(b"id!severity\na,b!low\n", "csv", delimiter="!") == [Report("a,b", "a,b", LOW)]


def test_long_rows() -> None:
    data = b"id,severity,message\n1,low,a\n2,low," + b"x" * 200_000 + b"\n3,low,c\n"
    items = read(data, max_record_bytes=100_000)
    assert [report.threat_id for report in reports(items)] == ["1", "3"]
    assert reasons(items) == [
        "line 3: longer than the limit of 100,000 bytes; raise max_record_bytes"
    ]
    assert len(reports(read(data))) == 3


def test_an_open_quote_ends_the_reading() -> None:
    data = b'id,severity,message\n1,low,a\n2,low,"open\n' + b"3,low,c\n" * 50_000
    items = read(data, max_record_bytes=100_000)
    assert [report.threat_id for report in reports(items)] == ["1"]
    assert reasons(items)[0].startswith("line 3: the row does not end within 100,000 bytes")


def test_header_only_and_bad_header() -> None:
    assert read(b"id,severity\n") == []
    with pytest.raises(FeedError, match="header line cannot be read"):
        read(b"id,severity,\xff\n", "csv")


def test_the_same_twice() -> None:
    path = real_data("ioc_csv", "tweetfeed-20250615.csv")
    header = ["observed", "user", "type", "value", "tags", "url"]
    columns = {"threat_id": "value", "observed_at": "observed", "content": "url"}
    first = read(path, header=header, columns=columns, default_severity=Severity.MEDIUM)
    assert len(first) == len(reports(first)) == 674
    assert first == read(path, header=header, columns=columns, default_severity=Severity.MEDIUM)
