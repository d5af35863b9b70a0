"""Cuts a stream of bytes into lines, none of them longer than the limit."""

from __future__ import annotations

import re
from collections.abc import Iterator

BOM = b"\xef\xbb\xbf"
Line = bytes | None
"""A line without its end (`split_lines`) or with it (`keep_ends`); None for one over the limit."""

END = re.compile(rb"\r\n|\r|\n")


def split_lines(chunks: Iterator[bytes], max_bytes: int) -> Iterator[Line]:
    """Lines that end in LF; a byte order mark at the start is dropped.

    A line over the limit is given as None the moment it passes the limit, and then skipped.
    """
    rest: list[bytes] = []
    held = 0
    first = True
    for chunk in chunks:
        head, newline, tail = chunk.partition(b"\n")
        if held >= 0:
            rest.append(head)
            held += len(head)
            if held > max_bytes:
                yield None
                rest, held = [], -1
        if not newline:
            continue
        if held >= 0:
            line = b"".join(rest)
            yield line.removeprefix(BOM) if first else line
        first = False
        *lines, last = tail.split(b"\n")
        yield from lines if len(tail) <= max_bytes else _bounded(lines, max_bytes)
        rest, held = [last], len(last)
        if held > max_bytes:
            yield None
            rest, held = [], -1
    if held > 0:
        line = b"".join(rest)
        yield line.removeprefix(BOM) if first else line


def _bounded(lines: list[bytes], max_bytes: int) -> Iterator[Line]:
    return (line if len(line) <= max_bytes else None for line in lines)


def keep_ends(chunks: Iterator[bytes], max_bytes: int) -> Iterator[Line]:
    """Lines that end in LF, CR LF or CR, with their ends; the rest as `split_lines`."""
    rest: list[bytes] = []
    held = 0  # bytes of the line at hand; -1 while one that was too long is passed over
    for chunk in _whole_ends(chunks):
        begin = 0
        for end in END.finditer(chunk):
            line = chunk[begin : end.end()]
            begin = end.end()
            if held >= 0:
                line = b"".join((*rest, line))
                yield line if len(line) <= max_bytes else None
            rest, held = [], 0
        if held >= 0:
            rest.append(chunk[begin:])
            held += len(chunk) - begin
            if held > max_bytes:
                yield None
                rest, held = [], -1
    if held > 0:
        yield b"".join(rest)


def _whole_ends(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Keep a CR LF in one chunk; drop the byte order mark."""
    carry = b""
    first = True
    for chunk in chunks:
        data = carry + chunk
        if first and len(data) < len(BOM) and BOM.startswith(data):
            carry = data
            continue
        data = data.removeprefix(BOM) if first else data
        first = False
        carry = b"\r" if data.endswith(b"\r") else b""
        yield data[: len(data) - len(carry)]
    if carry and not (first and carry == BOM):
        yield carry
