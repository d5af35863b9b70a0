"""Whatever comes in, only items and FeedErrors come out, and the same ones every time."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import cache
from io import BytesIO

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from periscope.errors import FeedError
from periscope.feeds import ReadOptions, format_names, open_feed
from periscope.feeds.format import Item
from periscope.feeds.json_split import split_json
from periscope.feeds.lines import keep_ends, split_lines
from periscope.feeds.problems import Broken
from periscope.feeds.registry import all_formats, by_name
from periscope.models import Report, Severity, Unreadable
from tests.feeds.support import SAMPLES, Pipe, refusal

NAMES = st.sampled_from((None, *format_names()))
OPTIONS = st.builds(
    ReadOptions,
    default_severity=st.sampled_from([None, Severity.LOW]),
    max_record_bytes=st.sampled_from([1, 100, 4 * 1024 * 1024]),
    header=st.sampled_from([None, ["id", "severity", "a"]]),
    source=st.sampled_from([None, "s"]),
    columns=st.sampled_from([{}, {"threat_id": "name"}]),
)
JSONISH = st.text('{}[]",:\\ \n\r\t0123456789.eE+-abtfnul\ud800\u00e9', max_size=200).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)
CSVISH = st.text('id,severity\n\r";|\t low\0\ufeff', max_size=200).map(
    lambda text: b"id,severity,a\n" + text.encode()
)


PACKERS: list[Callable[[bytes], bytes]] = [
    bytes,
    gzip.compress,
    zstandard.ZstdCompressor().compress,
]


@cache
def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()[:6_000]


@cache
def fed() -> tuple[bytes, ...]:
    """The examples of all formats, and what the repository has of samples."""
    names = ("kev-sample.json", "stix-sample.json", "ndjson-sample.ndjson")
    return (*(one.example for one in all_formats()), *map(sample, names))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sample or an example with a few bytes replaced, inserted, removed or moved."""
    data = bytearray(draw(st.sampled_from(fed())))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 40)))
        data[at:end] = draw(st.one_of(st.binary(max_size=8), JSONISH))
    pack = draw(st.sampled_from(PACKERS))
    packed = bytearray(pack(bytes(data)))
    if packed and draw(st.booleans()):
        packed[draw(st.integers(0, len(packed) - 1))] ^= draw(st.integers(1, 255))
    return bytes(packed)


def attempt(data: bytes, name: str | None, options: ReadOptions, *, pipe: bool) -> list[Item] | str:
    source = Pipe(data) if pipe else BytesIO(data)
    try:
        with open_feed(source, format=name, options=options) as feed:
            items = list(feed)
    except FeedError as exc:
        return refusal(exc)
    assert feed.read == len(items) + feed.skipped.total()
    for item in items:
        assert isinstance(item, Report | Unreadable)
        if isinstance(item, Unreadable):
            assert "\n" not in item.reason
            assert 0 < len(item.reason) < 2_000
    return items


@pytest.mark.parametrize("make", ["binary", "json", "csv", "mutated"])
def test_only_items_come_out_and_the_same_twice(make: str) -> None:
    inputs = {
        "binary": st.binary(max_size=300),
        "json": JSONISH,
        "csv": CSVISH,
        "mutated": mutated(),
    }

    @settings(max_examples=300, deadline=None)
    @given(inputs[make], NAMES, OPTIONS)
    def check(data: bytes, name: str | None, options: ReadOptions) -> None:
        first = attempt(data, name, options, pipe=False)
        assert first == attempt(data, name, options, pipe=False)
        if not isinstance(first, str):
            assert first == attempt(data, name, options, pipe=True)

    check()


@pytest.mark.parametrize("name", format_names())
def test_any_change_of_its_own_example(name: str) -> None:
    example = by_name(name).example

    @settings(deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        changed = bytearray(example)
        for _ in range(data.draw(st.integers(1, 8))):
            at = data.draw(st.integers(0, len(changed)))
            other = data.draw(st.integers(0, len(changed)))
            part = changed[other : other + data.draw(st.integers(0, 60))]
            new = data.draw(st.one_of(st.just(bytes(part)), st.binary(max_size=6), JSONISH))
            changed[at : at + data.draw(st.integers(0, 20))] = new
        for named in (name, None):
            first = attempt(bytes(changed), named, ReadOptions(), pipe=False)
            assert first == attempt(bytes(changed), named, ReadOptions(), pipe=True)

    check()


def pieces(data: bytes, step: int) -> tuple[list[object], str | None]:
    found: list[object] = []
    chunks = (data[at : at + step] for at in range(0, len(data), step))
    try:
        found.extend(split_json(chunks, 50, (b"ab",)))
    except Broken as exc:
        return found, str(exc).rpartition("byte")[0]
    return found, None


@settings(max_examples=500, deadline=None)
@given(st.text('{}[]",:\\ \nab1', max_size=120).map(str.encode), st.integers(1, 7))
def test_json_is_cut_the_same_wherever_chunks_end(data: bytes, step: int) -> None:
    assert pieces(data, step) == pieces(data, 1000)


@settings(max_examples=300, deadline=None)
@given(st.text("a\r\n\ufeff", max_size=60).map(str.encode), st.integers(1, 7))
def test_lines_are_cut_the_same_wherever_chunks_end(data: bytes, step: int) -> None:
    def chunks() -> list[bytes]:
        return [data[at : at + step] for at in range(0, len(data), step)]

    assert list(split_lines(iter(chunks()), 10)) == list(split_lines(iter([data]), 10))
    assert list(keep_ends(iter(chunks()), 10)) == list(keep_ends(iter([data]), 10))
    whole = b"".join(line or b"" for line in keep_ends(iter(chunks()), 1000))
    assert whole == data.removeprefix(b"\xef\xbb\xbf")
