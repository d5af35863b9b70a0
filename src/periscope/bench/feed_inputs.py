"""Files to read with the clock on: a format's own example, again and again with other ids."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import msgspec
from xxhash import xxh3_128_hexdigest

from periscope.errors import BugError
from periscope.feeds.feed import read_as
from periscope.feeds.format import Format
from periscope.feeds.options import ReadOptions
from periscope.models import Report

UUID = re.compile(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
DIGEST = re.compile(rb"\b(?=\d*[a-f])[0-9a-f]{12,64}\b")
ADDRESS = re.compile(rb"\b(?:203\.0\.113|198\.51\.100|192\.0\.2)\.\d{1,3}\b")
CVE = re.compile(rb"\bCVE-\d{4}-\d{4,7}\b")
NUMBER = re.compile(rb"\b(INC|edr|node|web)-\d+\b")
NAME = re.compile(rb"\b([a-z0-9-]+)(\.example(?:\.|\[\.\])(?:com|org|net))\b")


def make_file(one: Format, count: int, path: Path) -> int:
    """Write a file of this format with at least `count` reports; return how many it gives.

    Raises:
        BugError: no part of its example can be made another one.
    """
    each = _reports_of(one, _joined(one, [1]))
    if each & _reports_of(one, _joined(one, [2])):
        raise BugError(f"the example of {one.name} has nothing that makes it another threat")
    times = -(-count // len(each))
    with path.open("wb") as file:
        for first in range(0, times, 1000):
            numbers = list(range(first, min(first + 1000, times)))
            file.write(_joined(one, numbers, continued=first > 0))
    return times * len(each)


def _reports_of(one: Format, data: bytes) -> set[str]:
    items = read_as(one, BytesIO(data), ReadOptions())
    return {item.threat_id for item in items if isinstance(item, Report)}


def _joined(one: Format, numbers: list[int], *, continued: bool = False) -> bytes:
    """Examples with these numbers, one after another as the format allows."""
    text = one.example
    if text[:1] in (b"{", b"["):
        return b"".join(line for n in numbers for line in _documents(_renamed(text, n)))
    if one.name == "sigma":
        return b"".join(b"---\n" + _renamed(text, n) for n in numbers)
    head, _, rows = text.partition(b"\n")
    body = b"".join(_renamed(rows, n) for n in numbers)
    return body if continued else head + b"\n" + body


def _documents(text: bytes) -> Iterator[bytes]:
    """The documents of a text, each on a line of its own."""
    try:
        yield msgspec.json.encode(msgspec.json.decode(text)) + b"\n"
    except msgspec.DecodeError:
        yield text if text.endswith(b"\n") else text + b"\n"


def _renamed(text: bytes, number: int) -> bytes:
    """The text with other ids, addresses, names and digests: the same for the same number."""
    name = number.to_bytes(8, "big")
    digest = xxh3_128_hexdigest(name).encode()
    address = b"10.%d.%d.%d" % (number >> 16 & 255, number >> 8 & 255, number & 255)
    text = UUID.sub(str(uuid.UUID(bytes=bytes.fromhex(digest.decode()))).encode(), text)
    text = DIGEST.sub(lambda found: (digest * 2)[: len(found[0])], text)
    text = CVE.sub(b"CVE-2024-%d" % (100_000 + number), text)
    text = NUMBER.sub(lambda found: b"%s-%d" % (found[0], number), text)
    text = NAME.sub(lambda found: b"%s-%d%s" % (found[1], number, found[2]), text)
    return ADDRESS.sub(address, text)
