"""Hostile input by every format: one line, quickly, in bounded memory. See also `test_inputs.py`.

Each shape is a file that a process of its own reads by every format there is, so that time and
memory are those of the reading alone, native memory with it.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from periscope.errors import FeedError
from periscope.feeds import format_names, open_feed
from periscope.feeds.format import GENERAL
from periscope.feeds.registry import all_formats, by_name
from periscope.intake import Intake
from periscope.models import Severity
from tests.feeds.support import MIB, REPO, Pipe, read, real_data, reasons, refusal, reports
from tests.support.patience import PATIENCE

DEEP = 100_000
GROWTH_KIB = 64 * 1024
SECONDS_A_PART, PART_BYTES = 1.0, 64 * 1024
SECONDS_IN_ALL = 20.0  # for a hundred megabytes that are passed over
HEAD = b'{"id": "x", "severity": "low", "message": '


def times(part: bytes, size: int) -> Iterator[bytes]:
    """So many bytes of a part, a piece at a time."""
    piece = part * max(1, MIB // len(part))
    for _ in range(max(1, size // len(piece))):
        yield piece


def gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    yield from map(packer.compress, chunks)
    yield packer.flush()


def zstd(chunks: Iterable[bytes], window_log: int = 20) -> Iterator[bytes]:
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    yield from map(packer.compress, chunks)
    yield packer.flush()


SHAPES: dict[str, Callable[[], Iterable[bytes]]] = {
    "deep": lambda: (b"[" * DEEP,),
    "deep and closed": lambda: (b"[" * DEEP, b"]" * DEEP),
    "deep objects": lambda: (b'{"a":' * DEEP,),
    "deep in a record": lambda: (HEAD, b"[" * DEEP, b"]" * DEEP, b"}\n"),
    "many items that are none": lambda: (b"[", b"10," * 100_000, b"1]"),
    "ten million items in a record": lambda: (HEAD, b"[", *times(b"1,", 20 * MIB), b"1]}\n"),
    "half a million keys": lambda: (
        b"{",
        *(b'"%d":1,' % n for n in range(500_000)),
        b'"a":1}',
    ),
    "the same key for ever": lambda: (b"{", *times(b'"id":"x",', 8 * MIB), b'"id":"x"}\n'),
    "a string of 100 MB": lambda: (HEAD, b'"', *times(b"a", 100 * MIB), b'"}\n'),
    "a string without end": lambda: (b'[{"id": "', *times(b"a", 100 * MIB)),
    "a number of 10 MB": lambda: (HEAD, *times(b"1", 10 * MIB), b"}\n"),
    "arrays under every key": lambda: (
        b"{",
        b'"a":[],"alerts":[],"Findings":[],"objects":[],"value":[],"findings":[],' * 3_000,
        b'"x":1}',
    ),
    "deep with arrays beside": lambda: (b'{"a":[],' * 30_000,),
    "too deep again and again": lambda: (b"[", (b"[" * 70 + b"]" * 70 + b",") * 3_000, b"1]"),
    "small bad documents": lambda: (b"[.]" * 40_000,),
    "a million columns": lambda: (b"id,severity\n", b"a," * 1_000_000, b"\n"),
    "a row of a million cells": lambda: (b"id,severity\n", b"10," * 1_000_000, b"\n"),
    "a million names": lambda: (*(b"c%d," % n for n in range(1_000_000)), b"id\n1,2\n"),
    "a quote without end": lambda: (b'id,severity\n1,"', *times(b"a,\n", MIB)),
    "quotes": lambda: (b'id,severity\n"', *times(b'""', 10 * MIB)),
    "short rows": lambda: (b"id,severity,message\n", b"a\n" * 100_000),
    "a line without end": lambda: times(b"203.0.113.7 ", 20 * MIB),
    "blank": lambda: (b" \t\r\n" * 60_000,),
    "zeros": lambda: times(b"\0", 10 * MIB),
    "UTF-16 without end": lambda: (b"\xff\xfe", *times("é".encode("utf-16-le"), 10 * MIB)),
    "UTF-16 of halves": lambda: (b"\xff\xfe", b"\0\xd8a\0\n\0" * 50_000),
    "YAML of aliases": lambda: (
        b"title: &a [x, x, x]\nlogsource: &b [*a, *a, *a]\ndetection: [*b, *b, *b]\n",
    ),
    "YAML, deep": lambda: (
        b"title: x\nlogsource: {}\ndetection: ",
        b"[" * 50_000,
    ),
    "gzip bomb": lambda: gzipped(times(b" ", 256 * MIB)),
    "gzip bomb in a string": lambda: gzipped((HEAD, b'"', *times(b"a", 256 * MIB))),
    "zstd bomb": lambda: zstd(times(b" ", 256 * MIB)),
    "zstd bomb of a large window": lambda: zstd(times(b"\0", 256 * MIB), 25),
    "zstd of a larger window": lambda: zstd(times(b"a\n", 64 * MIB), 27),
    "gzip in gzip": lambda: (gzip.compress(gzip.compress(b" " * MIB)),),
    "zstd in gzip": lambda: gzipped(zstd(times(b" ", 64 * MIB))),
    "members without end": lambda: (gzip.compress(b"") * 50_000,),
    "frames without end": lambda: (zstandard.ZstdCompressor().compress(b"") * 50_000,),
    "gzip and junk": lambda: (gzip.compress(HEAD + b'"m"}\n'), b"junk" * 10_000),
    "gzip, cut short": lambda: (gzip.compress(bytes(range(256)) * 1000)[:-100],),
    "entities": lambda: (
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "',
        *times(b"&b;", MIB),
        b'">]><rss>&c;</rss>',
    ),
}


@pytest.fixture(params=sorted(SHAPES))
def shape(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "hostile"
    with path.open("wb") as file:
        file.writelines(SHAPES[request.param]())
    return path


def readings(path: Path, *names: str) -> list[dict[str, Any]]:
    """What each format took for a file, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.feeds.reading", str(path), *names],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert (done.returncode, done.stderr[-2_000:]) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_hostile_shapes_cost_nothing(shape: Path) -> None:
    allowed = min(SECONDS_IN_ALL, SECONDS_A_PART * (1 + shape.stat().st_size / PART_BYTES))
    found = readings(shape)
    assert [one["format"] for one in found] == [None, *format_names()]
    for one in found:
        assert one["first"] < PATIENCE, one
        assert one["seconds"] < allowed * PATIENCE, one
        assert one["grown_kib"] < GROWTH_KIB, one
        for text in one["told"]:
            refusal(FeedError(text))


PARTS = (
    *('{"a":', '{"id":"x",', '"a":[],', '"objects":[', "[", "]", "{", "}", "{}", "[]", ",", '"'),
    *(
        "\\",
        "1",
        "a",
        " ",
        "\n",
        "\t",
        ";",
        ":",
        "- ",
        "a: ",
        "&a ",
        "*a",
        "---\n",
        "|",
        "#",
        "x=y ",
    ),
    *(
        '""',
        "'",
        "203.0.113.7",
        "example.com,",
        "CVE-2024-0001 ",
        "[.]",
        "\x00",
        "\u00e9",
        '"type":',
    ),
)


@settings(deadline=None)
@given(
    st.sampled_from((None, *format_names())),
    st.lists(st.sampled_from(PARTS), max_size=4).map("".join),
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=5).map("".join),
)
def test_no_repetition_takes_long(name: str | None, head: str, part: str) -> None:
    data = (head + part * (PART_BYTES // len(part.encode()))).encode()
    began = time.process_time()
    try:
        read(data, name, default_severity=Severity.LOW)
    except FeedError as exc:
        refusal(exc)
    assert time.process_time() - began < SECONDS_A_PART * PATIENCE


def test_xml_is_named_whatever_format_is_asked_for(tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    entity = f'<!DOCTYPE r [<!ENTITY e SYSTEM "{aside.as_uri()}">]><rss>&e;</rss>'.encode()
    for name in (None, *format_names()):
        with pytest.raises(FeedError, match="XML is not read here; this is an RSS feed"):
            read(entity, name)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_of_windows_is_read(encoding: str) -> None:
    mark = "\ufeff".encode(encoding)
    for one in all_formats():
        text = one.example.decode().replace("\n", "\r\n")
        with_mark = mark + text.encode(encoding)
        assert read(with_mark) == read(Pipe(with_mark)) == read(text.encode()), one.name
        assert read(gzip.compress(with_mark)) == read(text.encode())
    line = '{"id": "a", "severity": "low"}\n'.encode(encoding)
    (cut,) = reasons(read(mark + line + line[:-1], "ndjson"))
    assert "ends in the middle of a character" in cut


def test_half_a_surrogate_pair_in_utf16_costs_its_record() -> None:
    good = '{"id": "a", "severity": "low"}\n'.encode("utf-16-le")
    half = good.replace("a".encode("utf-16-le"), b"\0\xd8", 1)
    items = read(b"\xff\xfe" + good + half + good, "ndjson")
    assert [type(item).__name__ for item in items] == ["Report", "Unreadable", "Report"]


def json_names() -> list[str]:
    """Formats whose example is JSON, whole or by lines."""
    return [one.name for one in all_formats() if one.example[:1] in (b"{", b"[")]


@pytest.mark.parametrize("name", ["-", *json_names()])
def test_all_of_jsontestsuite(name: str) -> None:
    for path in sorted(real_data("nasty", "json").iterdir()):
        for text in readings_here(path, None if name == "-" else name):
            refusal(FeedError(text))


def readings_here(path: Path, name: str | None) -> list[str]:
    """Why a file, or what is in it, is refused; what the engine takes is none of it."""
    try:
        with open_feed(path, format=name) as feed:
            items = list(feed)
    except FeedError as exc:
        return [str(exc)]
    _, rejected = Intake(bytes(16)).prepare(reports(items), 0)
    assert not rejected, path.name
    assert not path.name.startswith("n_") or not reports(items), path.name
    return reasons(items)


def texts_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every text inside a value."""
    found = enumerate(value) if isinstance(value, list) else ()
    for key, one in value.items() if isinstance(value, dict) else found:
        if isinstance(one, str):
            yield (*path, key)
        yield from texts_in(one, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at a path."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = new if len(path) == 1 else changed(copy[path[0]], path[1:], new)
    return copy


def examples(name: str) -> list[Any]:
    """Records of a JSON format's example."""
    text = by_name(name).example
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]


def taken(data: bytes, name: str) -> None:
    """What is made of it, the engine takes; what is said of it, stands on one line."""
    try:
        items = read(data, name, default_severity=Severity.LOW)
    except FeedError as exc:
        refusal(exc)
        return
    _, rejected = Intake(bytes(16)).prepare(reports(items), 0)
    told = [one for one in rejected if not str(one.reason).startswith("observed_at")]
    assert not told or by_name(name).rank >= GENERAL, told[0]  # general ones: as it is, or not
    assert all("\n" not in reason for reason in reasons(items))


@pytest.mark.parametrize("name", json_names())
def test_naughty_strings_in_every_text(name: str) -> None:
    naughty: list[str] = json.loads(real_data("nasty", "strings", "blns.json").read_text())
    for record in examples(name):
        for path in texts_in(record):
            lines = [json.dumps(changed(record, path, text)) for text in naughty]
            taken("\n".join(lines).encode("utf-8", "surrogatepass"), name)


WORST = (" ", "1", "A.", "a-", "| ", ", ", ":", "[.]", "hxxp", "a b ", "CVE-", "\\", "'", "=", "a@")


@pytest.mark.parametrize("name", json_names())
def test_no_pattern_is_slow_on_its_worst_food(name: str) -> None:
    for record in examples(name):
        for path in texts_in(record):
            for food in WORST:
                text = food * (60_000 // len(food))
                began = time.process_time()
                taken(json.dumps(changed(record, path, text + "\0")).encode(), name)
                assert time.process_time() - began < PATIENCE, (path, food)
