"""Files and streams: detection, compression, bombs, limits, and what cannot be opened."""

from __future__ import annotations

import gzip
import json
import os
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
import zstandard

from periscope.errors import FeedError
from periscope.feeds import ReadOptions, format_names, open_feed
from periscope.feeds.format import Item
from tests.feeds.support import (
    MIB,
    SAMPLES,
    Pipe,
    lines,
    read,
    real_data,
    reasons,
    refusal,
    reports,
)
from tests.support.patience import PATIENCE

SAMPLE_FORMATS = {
    "kev-sample.json": "kev",
    "stix-sample.json": "stix",
    "ndjson-sample.ndjson": "ndjson",
}
GOOD = {"id": "x", "severity": "low"}


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


PACKERS: list[Callable[[bytes], bytes]] = [gzip.compress, zstd]


def test_formats() -> None:
    assert {"csv", "json", "kev", "ndjson", "stix"} <= set(format_names())


@pytest.mark.parametrize("name", SAMPLE_FORMATS)
def test_samples_are_recognised_and_read_whole(name: str) -> None:
    with open_feed(SAMPLES / name) as feed:
        items = list(feed)
    assert feed.format == SAMPLE_FORMATS[name]
    assert feed.name == str(SAMPLES / name)
    assert items == reports(items)
    assert items == read(SAMPLES / name)


@pytest.mark.parametrize("name", SAMPLE_FORMATS)
@pytest.mark.parametrize("pack", PACKERS)
def test_compressed_samples_give_the_same(name: str, pack: Callable[[bytes], bytes]) -> None:
    data = (SAMPLES / name).read_bytes()
    expected = read(data)
    half = len(data) // 2
    assert read(pack(data)) == expected
    assert read(Pipe(pack(data))) == expected
    assert read(pack(data[:half]) + pack(b"") + pack(data[half:])) == expected, "many members"


def test_zstd_skippable_frames_and_gzip_padding() -> None:
    data = lines(GOOD)
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    assert len(reports(read(skippable + zstd(data) + skippable))) == 1
    assert reasons(read(gzip.compress(data) + b"\0" * 1000)) == []


@pytest.mark.parametrize("pack", PACKERS)
def test_truncated_archives_keep_what_came_before(pack: Callable[[bytes], bytes]) -> None:
    records = lines(
        *({"id": f"{n}-{os.urandom(8).hex()}", "severity": "low"} for n in range(20_000))
    )
    packed = pack(records)
    items = read(packed[: len(packed) // 2])
    assert len(reports(items)) > 5_000
    assert "cut short" in reasons(items)[-1]
    assert len(reasons(items)) == 1


@pytest.mark.parametrize("pack", PACKERS)
def test_trailing_junk_and_damage(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(lines(*[GOOD] * 100))
    items = read(packed + b"some junk that is not compressed")
    assert len(reports(items)) == 100
    assert "remove them or fetch the file again" in reasons(items)[0]
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0xFF
    assert not read_quietly(bytes(damaged)) or reasons(read_quietly(bytes(damaged)))


def read_quietly(data: bytes) -> list[Item]:
    try:
        return read(data)
    except FeedError as exc:
        refusal(exc)
        return []


@pytest.mark.parametrize("first", PACKERS)
@pytest.mark.parametrize("second", PACKERS)
def test_compressed_twice(
    first: Callable[[bytes], bytes], second: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(FeedError, match="compressed twice; unpack it first"):
        read(second(first(lines(GOOD))))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"PK\x03\x04rest", "a ZIP archive"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\x00rest", "xz"),
        ("{}".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        ("{}".encode("utf-32"), "UTF-32"),
        (b"%PDF-1.7", "a PDF document"),
        (b"a.json" + bytes(251) + b"ustar", "a tar archive"),
        (b"\x1f\x8b", "cut short"),
        (b"\x1f\x8bjunkjunkjunk", "damaged"),
        (b"*", "look like none of"),
        (b"<rss/>", "an RSS feed"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html>\n<HTML>", "a page of HTML"),
        (b"<?xml version='1.0'?><!-- of --><cvrf:cvrfdoc>", "take the CSAF file"),
        (b"<NessusClientData_v2>", "export it as CSV"),
        (b"<x>", "a document of <x>"),
        (b"\x89PNG\r\n\x1a\n\0\0", "look like none of"),
        (b" " * 70_000, "look like none of"),
    ],
)
def test_what_cannot_be_read_at_all(head: bytes, words: str) -> None:
    with pytest.raises(FeedError, match=words) as caught:
        read(head)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0), zstd(b"")]
)
@pytest.mark.parametrize("name", [None, "stix", "csv"])
def test_empty_inputs_are_empty_feeds(data: bytes, name: str | None) -> None:
    assert read(data, name) == []
    assert read(Pipe(data), name) == []


def test_paths(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match=r"none\.json: cannot be opened: No such file"):
        open_feed(tmp_path / "none.json")
    with pytest.raises(FeedError, match=r"[Dd]irectory"):
        open_feed(tmp_path)
    with pytest.raises(FeedError, match="cannot be opened"):
        open_feed("a\0b")
    (tmp_path / "x").write_bytes(lines(GOOD))
    with pytest.raises(FeedError, match=f"one of {', '.join(format_names())}"):
        open_feed(tmp_path / "x", format="xml")
    with open_feed(str(tmp_path / "x"), format="NDJSON") as feed:
        assert len(list(feed)) == 1
        assert list(feed) == []


def test_a_stream_of_the_caller_stays_open() -> None:
    stream = BytesIO(b"prefix" + lines(GOOD))
    stream.seek(6)
    with open_feed(stream) as feed:
        assert len(reports(list(feed))) == 1
        assert feed.bytes_total is None
        assert feed.name == "standard input"
    assert not stream.closed


def test_closing_ends_iteration(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(lines(*[GOOD] * 10))
    feed = open_feed(path)
    next(feed)
    feed.close()
    feed.close()
    assert list(feed) == []
    assert feed.read == 1


def test_reading_is_lazy() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield lines(*[GOOD] * 100)

    class Endless(Pipe):
        def __init__(self) -> None:
            super().__init__()
            self.parts = endless()

        def read1(self, size: int | None = -1, /) -> bytes:
            return next(self.parts)

    with open_feed(Endless()) as feed:
        for _ in range(5_000):
            next(feed)
        assert feed.bytes_read < MIB


def test_a_given_format_needs_no_sample() -> None:
    """`tail -f log | periscope ingest --format ndjson -` must not wait for 64 KiB."""

    class Slow(Pipe):
        def read1(self, size: int | None = -1, /) -> bytes:
            assert self.tell() == 0, "read more than was there"
            return super().read(1000)

    data = lines(*[GOOD] * 3)
    with open_feed(Slow(data), format="ndjson") as feed:
        assert [next(feed), next(feed)]


class Watch:
    """Time and Python memory that a block took."""

    def __enter__(self) -> Watch:
        tracemalloc.start()
        self._began = time.perf_counter()
        return self

    def __exit__(self, *exc: object) -> None:
        self.seconds = time.perf_counter() - self._began
        self.peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


def gzip_zeros(size: int, byte: bytes) -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    for _ in range(size // MIB):
        yield packer.compress(byte * MIB)
    yield packer.flush()


def bomb(kind: str) -> bytes:
    if kind == "gzip":
        return b"".join(gzip_zeros(256 * MIB, b" "))
    if kind == "zstd":
        return zstd(b" " * 256 * MIB)
    if kind == "gzip-in-string":
        return gzip.compress(b'{"id": "x", "severity": "low", "n": "' + b"a" * 256 * MIB)
    empty = gzip.compress(b"") if kind == "empty-gzip" else zstd(b"")
    return gzip.compress(lines(GOOD)) * (kind == "empty-gzip") + empty * 20_000


@pytest.mark.parametrize("kind", ["gzip", "zstd", "gzip-in-string", "empty-gzip", "empty-zstd"])
def test_bombs_are_refused_at_once(kind: str) -> None:
    packed = bomb(kind)
    for name in ("ndjson", "json", "csv", "kev", "stix"):
        with Watch() as watch:
            try:
                found = reasons(read(packed, name))
            except FeedError as exc:
                found = [str(exc)]
        assert found, name
        assert watch.seconds < 5, "1 s, and five times that while memory is traced"
        assert watch.peak_bytes < 64 * MIB


def test_zstd_window_is_bounded() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(lines(GOOD)) + packer.flush()
    with pytest.raises(FeedError, match="window of more than 32 MiB"):
        read(packed)


def test_limit_of_bytes() -> None:
    data = lines(*[GOOD] * 10_000)
    items = read(data, max_bytes=100_000)
    assert len(reports(items)) > 1_000
    assert "longer than the limit of 100,000 bytes" in reasons(items)[-1]


DEEP = 100_000
HOSTILE = {
    "deep array": b"[" * DEEP,
    "deep closed array": b"[" * DEEP + b"]" * DEEP,
    "deep object": b'{"a":' * DEEP,
    "deep in a record": b'{"id":"x","severity":"low","m":' + b"[" * DEEP + b"]" * DEEP + b"}\n",
    "deep with strings": b'["x",' * DEEP,
    "long string": b'[{"id":"x","severity":"low","m":"' + b"a" * 100_000_000 + b'"}]',
    "long string, never closed": b'{"id":"' + b"a" * 100_000_000,
    "long number": b'[{"id":"x","severity":"low","m":' + b"1" * 10_000_000 + b"}]",
    "many commas": b"[" + b"," * 10_000_000,
    "white space": b'{"id":"x",' + b" " * 50_000_000 + b'"severity":"low"}',
    "quotes": b'"' * 10_000_000,
    "backslashes": b'{"a":"' + b"\\" * 10_000_001,
    "csv quotes": b'id,severity\n"' + b'""' * 5_000_000,
    "csv cells": b"id,severity\n" + b"," * 10_000_000,
    "csv columns": b"," * 3_000_000 + b"\n",
}


@pytest.mark.parametrize("name", ["ndjson", "json", "csv", "kev", "stix"])
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_shapes_are_refused_in_bounded_memory(what: str, name: str) -> None:
    source = BytesIO(HOSTILE[what])
    options = ReadOptions(default_severity=None)
    with Watch() as watch:
        try:
            with open_feed(source, format=name, options=options) as feed:
                first = next(feed, None)
                list(feed)
            assert first is None or reasons([first]), f"{first!r:.200}"
        except FeedError as exc:
            refusal(exc)
    assert watch.peak_bytes < 64 * MIB
    assert watch.seconds < 10, "while memory is traced"


@pytest.mark.parametrize("name", ["ndjson", "json", "kev", "stix"])
@pytest.mark.parametrize("what", ["deep in a record", "long string"])
def test_the_refusal_comes_within_100_ms(what: str, name: str) -> None:
    best = min(_seconds_to_refusal(HOSTILE[what], name) for _ in range(3))
    assert best < 0.1 * PATIENCE


def _seconds_to_refusal(data: bytes, name: str) -> float:
    began = time.process_time()  # of this process: a busy machine is not the reader's fault
    with open_feed(
        Pipe(data[: 8 * MIB]) if name != "stix" else BytesIO(data[: 8 * MIB]), format=name
    ) as feed:
        assert reasons([next(feed)])
    return time.process_time() - began


def test_a_gigantic_array_streams() -> None:
    record = json.dumps(GOOD).encode() + b","
    data = b"[" + record * 100_000 + record[:-1] + b"]"
    with Watch() as watch, open_feed(BytesIO(data)) as feed:
        count = sum(1 for _ in feed)
    assert count == 100_001
    assert watch.peak_bytes < 4 * MIB


def test_every_real_file_is_read_or_refused() -> None:
    for path in sorted(real_data().rglob("*")):
        if path.is_file():
            assert attempt(path) == attempt(path), path


def attempt(path: Path) -> list[Item] | str:
    try:
        return read(path)
    except FeedError as exc:
        return refusal(exc)


@pytest.mark.parametrize("prefix", ["y_", "n_", "i_"])
def test_json_test_suite(prefix: str) -> None:
    """JSON that is valid, that is not, and that may be either (MIT, Nicolas Seriot)."""
    for path in sorted(real_data("nasty", "json").glob(f"{prefix}*.json")):
        wrapped = (
            b'[{"id":"a","severity":"low"},{"id":"b","severity":"low","m":' + path.read_bytes()
        )
        items = read(wrapped + b'},{"id":"c","severity":"low"}]', "json")
        ids = [report.threat_id for report in reports(items)]
        assert ids[0] == "a"
        if prefix == "y_" and path.name != "y_structure_UTF-8_BOM.json":
            assert ids == ["a", "b", "c"], path.name
        if prefix == "n_":
            assert reasons(items), path.name
