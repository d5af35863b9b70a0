"""What anybody's format must do, as one call for its tests: `check_format(MyFormat())`."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from io import BytesIO

from periscope.errors import FeedError
from periscope.feeds.feed import read_as
from periscope.feeds.format import Format, Item, Sample
from periscope.feeds.options import ReadOptions
from periscope.intake import Intake
from periscope.models import Report, Severity, Unreadable

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
FIELDS = {"threat_id", "content", "severity", "source", "observed_at", "metadata"}
LONGEST_REASON = 2_000
HOSTILE = (
    b"",
    b"\0" * 1000,
    b"\xff\xfe{\0}\0",
    b"\xef\xbb\xbf{}",
    b"{}\n[]\n",
    b'[1, null, "x", [], {}]',
    b'{"a": ' * 500,
    b'{"\\ud800": 1e999}',
    b'"' * 5000,
    b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    b"a,b\n" + b'"' + b"x" * 5000,
)
"""Inputs of which any reader must make a refusal or items, and nothing else."""


def check_format(one: Format, *samples: bytes) -> list[Report]:
    """Check a format by its example and by samples of yours; return the reports of the samples.

    It must recognise each of them, give the same items each time, from a file and from a stream,
    and only reports that the engine takes; and it must answer damaged and hostile input with a
    `FeedError` or an `Unreadable` of one line, and nothing else.

    Raises:
        AssertionError: it does not; says what and where.

    """
    _check_words(one)
    found = [list(_checked(one, data)) for data in (one.example, *samples)]
    for data in (*HOSTILE, *_damaged(one.example)):
        _harmless(one, data)
    return [item for items in found[1:] or found for item in items if isinstance(item, Report)]


def _check_words(one: Format) -> None:
    assert NAME.fullmatch(one.name), f"{one.name!r} is no name: use a-z, 0-9, - and _"
    assert one.title, "it has no title"
    assert one.one_report_is, "it does not say what one report is"
    for fields, source in one.mapping:
        for name in fields.split(","):
            known = name.strip().partition(".")[0] or "metadata"
            assert known in FIELDS, f"mapping: {name} is no field of a report"
        assert source, f"mapping: {fields} comes from nowhere"


def _checked(one: Format, data: bytes) -> Iterator[Item]:
    assert one.recognises(Sample(data[: 64 * 1024], len(data) <= 64 * 1024)), "not recognised"
    options = ReadOptions(default_severity=Severity.MEDIUM)
    first = read_as(one, BytesIO(data), options)
    assert first == read_as(one, BytesIO(data), options), "two readings differ"
    assert first == read_as(one, BytesIO(gzip.compress(data)), options), "packed, it differs"
    reports = [item for item in first if isinstance(item, Report)]
    assert reports, "it gives no report"
    _, rejected = Intake(bytes(16)).prepare(reports, 0)
    assert not rejected, f"the engine rejects it: {rejected[0]}"
    yield from first


def _damaged(data: bytes) -> Iterator[bytes]:
    step = max(1, len(data) // 40)
    for at in range(0, len(data), step):
        yield data[:at]
        yield data[:at] + b"\xff\0" + data[at:]
        yield data[:at] + data[at + step :]
    yield data.replace(b'"', b"'")
    yield re.sub(rb'"[^"]*"(?!\s*:)', b"[[]]", data)
    yield re.sub(rb'"[^"]*"(?!\s*:)', b"-1e308", data)
    yield re.sub(rb"\d+", b"99999999999999999999", data)


def _harmless(one: Format, data: bytes) -> None:
    one.recognises(Sample(data, True))
    try:
        items = read_as(one, BytesIO(data), ReadOptions())
    except FeedError as exc:
        assert "\n" not in str(exc), f"more than one line for {data[:40]!r}"
        return
    for item in items:
        if isinstance(item, Unreadable):
            assert item.reason, f"no reason for {data[:40]!r}"
            assert "\n" not in item.reason, f"more than one line for {data[:40]!r}"
            assert len(item.reason) <= LONGEST_REASON, f"too many words for {data[:40]!r}"
