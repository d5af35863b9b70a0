"""UTF-16 with a byte order mark, as Windows exports it, made UTF-8 while it streams by."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE, getincrementaldecoder
from collections.abc import Iterator
from itertools import chain

from periscope.feeds.problems import Broken

MARKS = (BOM_UTF16_LE, BOM_UTF16_BE)
WIDE = (BOM_UTF32_LE, BOM_UTF32_BE)
"""UTF-32: the first of them begins like UTF-16, whose text never begins with a NUL."""


def as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the bytes as they are, or as UTF-8 where they begin with a mark of UTF-16.

    The output is at most half as long again. Half of a surrogate pair becomes bytes that are no
    UTF-8, so that it costs the record in which it is and no other.

    Raises:
        Broken: while iterating, where UTF-16 ends in the middle of a character, or it is UTF-32.

    """
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(BOM_UTF32_LE):
            break
    rest = chain((head,) if head else (), chunks)
    if head.startswith(WIDE):
        raise Broken("the text is UTF-32; convert it to UTF-8")
    return _transcoded(rest) if head.startswith(MARKS) else rest


def _transcoded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = getincrementaldecoder("utf-16")("surrogatepass")
    taken = 0
    for chunk in chunks:
        taken += len(chunk)
        if data := decoder.decode(chunk).encode("utf-8", "surrogatepass"):
            yield data
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise Broken(
            f"byte {taken:,}: the UTF-16 text ends in the middle of a character; "
            "the file is cut short: fetch it again"
        ) from None
