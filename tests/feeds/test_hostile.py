"""Hostile input by every format: one line, quickly, in bounded memory. See also `test_inputs.py`.

Each shape is a file that a process of its own reads by every format there is, so that time and
memory are those of the reading alone, native memory with it.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from periscope.errors import FeedError
from periscope.feeds import ReadOptions, format_names, open_feed
from periscope.feeds.registry import all_formats, by_name
from periscope.intake import Intake
from periscope.models import Severity, Unreadable
from tests.feeds.support import MIB, REPO, read, real_data, refusal, reports

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
    "many items that are none": lambda: (b"[", b"1," * 200_000, b"1]"),
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
    "small bad documents": lambda: (b"[.]" * 40_000,),
    "a million columns": lambda: (b"id,severity\n", b"a," * 1_000_000, b"\n"),
    "a million names": lambda: (*(b"c%d," % n for n in range(1_000_000)), b"id\n1,2\n"),
    "a quote without end": lambda: (b'id,severity\n1,"', *times(b"a,\n", MIB)),
    "quotes": lambda: (b'id,severity\n"', *times(b'""', 10 * MIB)),
    "short rows": lambda: (b"id,severity,message\n", b"a\n" * 100_000),
    "a line without end": lambda: times(b"203.0.113.7 ", 20 * MIB),
    "blank": lambda: times(b" \t\r\n", 5 * MIB),
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
    "zstd of a larger window": lambda: zstd(times(b"a\n", 256 * MIB), 27),
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
        **{"cwd": REPO, "capture_output": True, "text": True, "timeout": 280, "check": False},
    )
    assert (done.returncode, done.stderr[-2_000:]) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(300)
def test_hostile_shapes_cost_nothing(shape: Path) -> None:
    allowed = min(SECONDS_IN_ALL, SECONDS_A_PART * (1 + shape.stat().st_size / PART_BYTES))
    found = readings(shape)
    assert [one["format"] for one in found] == [None, *format_names()]
    for one in found:
        assert one["first"] < 1, one
        assert one["seconds"] < allowed, one
        assert one["grown_kib"] < GROWTH_KIB, one
        for text in one["told"]:
            refusal(FeedError(text))
