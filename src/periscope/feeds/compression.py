"""gzip and zstd, expanded a piece at a time, with a stop for bombs."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import zstandard

from periscope.feeds.problems import Broken, TooLong

CHUNK_BYTES = 64 * 1024
GZIP_STEP_BYTES = 4 * 1024
ZSTD_STEP_BYTES = 128
"""One zstd block of 4 bytes can give 128 KiB: at most 4 MiB come out of one step."""
MAX_WINDOW_BYTES = 32 * 1024 * 1024
MAX_EMPTY_MEMBERS = 1_000
RATIO_FROM_BYTES = 16 * 1024 * 1024
MAX_RATIO = 250

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
CUT_SHORT = "the compressed data end too early; the file is cut short: fetch it again"


class Kind(NamedTuple):
    """What the first bytes of a file say about how it is packed."""

    name: str
    readable: bool


PACKED = (
    (GZIP, Kind("gzip", True)),
    (ZSTD, Kind("zstd", True)),
    *((bytes([low]) + b"\x2a\x4d\x18", Kind("zstd", True)) for low in range(0x50, 0x60)),
    (b"PK\x03\x04", Kind("a ZIP archive", False)),
    (b"PK\x05\x06", Kind("a ZIP archive", False)),
    (b"BZh", Kind("bzip2", False)),
    (b"\xfd7zXZ\x00", Kind("xz", False)),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", False)),
)


def packed_as(head: bytes) -> Kind | None:
    """How these first bytes say that the data are packed; None if they do not."""
    return next((kind for magic, kind in PACKED if head.startswith(magic)), None)


class Meter:
    """Counts what goes through, so that the ratio of output to input is known at any time."""

    def __init__(self) -> None:
        self.taken = 0

    def steps(self, raw: Iterator[bytes], step_bytes: int) -> Iterator[bytes]:
        """Cut the input into small steps and count each when it is taken."""
        for chunk in raw:
            for start in range(0, len(chunk), step_bytes):
                step = chunk[start : start + step_bytes]
                self.taken += len(step)
                yield step


def expand(raw: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield the input's bytes, decompressed where its first bytes say gzip or zstd.

    Raises:
        Broken: damaged, cut short, followed by junk, expanding more than 250-fold beyond 16 MiB,
            or more than `max_bytes` in all. What was good before has been yielded.

    """
    head, rest = _head(raw)
    kind = packed_as(head)
    meter = Meter()
    if kind is None or not kind.readable:
        yield from _limited(rest, max_bytes, None)
    elif kind.name == "gzip":
        yield from _limited(_gunzip(meter.steps(rest, GZIP_STEP_BYTES)), max_bytes, meter)
    else:
        yield from _limited(_unzstd(meter.steps(rest, ZSTD_STEP_BYTES)), max_bytes, meter)


def _head(raw: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    head = b""
    for chunk in raw:
        head += chunk
        if len(head) >= 8:
            break
    return head, chain((head,) if head else (), raw)


def _limited(chunks: Iterator[bytes], max_bytes: int, meter: Meter | None) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > max_bytes:
            raise TooLong(
                f"byte {max_bytes:,}: the input is longer than the limit of {max_bytes:,} bytes; "
                "split it, or raise max_bytes"
            )
        if meter and total > RATIO_FROM_BYTES and total > MAX_RATIO * meter.taken:
            raise Broken(
                f"byte {total:,}: the data expand more than {MAX_RATIO}-fold, like a decompression "
                "bomb; if they are genuine, decompress them first"
            )
        yield chunk


class _Members:
    """Counts members without content: a file of nothing else costs time and gives nothing."""

    def __init__(self) -> None:
        self.begun = 0
        self._empty = 0
        self._had_output = True

    def begin(self) -> None:
        self.begun += 1
        self._empty += not self._had_output
        self._had_output = False
        if self._empty > MAX_EMPTY_MEMBERS:
            raise Broken(f"more than {MAX_EMPTY_MEMBERS:,} empty compressed members; refused")

    def gave(self, data: bytes) -> None:
        self._had_output = self._had_output or bool(data)


def _gunzip(steps: Iterator[bytes]) -> Iterator[bytes]:
    members = _Members()
    member = None
    for data in steps:
        while data:
            if member is None:
                data = data.lstrip(b"\0") if members.begun else data  # tapes pad with zeros
                if not data:
                    break
                members.begin()
                member = zlib.decompressobj(wbits=31)
            out = _inflate(member, data, members.begun)
            members.gave(out)
            if out:
                yield out
            data = member.unused_data if member.eof else member.unconsumed_tail
            member = None if member.eof else member
    while member and (out := _inflate(member, b"", members.begun)):
        yield out
    if member and not member.eof:
        raise Broken(f"gzip member {members.begun:,}: {CUT_SHORT}")


def _inflate(member: zlib._Decompress, data: bytes, number: int) -> bytes:
    try:
        return member.decompress(data, CHUNK_BYTES)
    except zlib.error as exc:
        if number > 1 and "header" in str(exc):
            raise Broken(_junk("gzip", number)) from None
        raise Broken(f"gzip member {number:,}: damaged ({exc}); fetch the file again") from None


def _unzstd(steps: Iterator[bytes]) -> Iterator[bytes]:
    members = _Members()
    frame = None
    factory = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    for data in steps:
        while data:
            if frame is None:
                members.begin()
                frame = factory.decompressobj()
            out = _unframe(frame, data, members.begun)
            members.gave(out)
            for start in range(0, len(out), CHUNK_BYTES):
                yield out[start : start + CHUNK_BYTES]
            data = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame is not None:
        raise Broken(f"zstd frame {members.begun:,}: {CUT_SHORT}")


def _unframe(frame: zstandard.ZstdDecompressionObj, data: bytes, number: int) -> bytes:
    try:
        return frame.decompress(data)
    except zstandard.ZstdError as exc:
        text = str(exc)
        if "too much memory" in text:
            size = MAX_WINDOW_BYTES // 1024**2
            raise Broken(
                f"zstd frame {number:,}: needs a window of more than {size} MiB; "
                "compress it again without --long"
            ) from None
        if number > 1 and "Unknown frame" in text:
            raise Broken(_junk("zstd", number)) from None
        raise Broken(f"zstd frame {number:,}: damaged ({text}); fetch the file again") from None


def _junk(name: str, number: int) -> str:
    return (
        f"after {name} member {number - 1:,}: bytes that are not {name}; "
        "everything before them was read: remove them or fetch the file again"
    )
