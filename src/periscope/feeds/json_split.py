"""Cuts JSON documents into records while they stream by, holding one record at a time.

A general JSON parser gives up on a whole array over one number that is too large, and some keep
the path of every open bracket, which makes deep nesting a bomb. Here only brackets, commas and
strings are looked at: that finds where each record ends, and counts its depth and size before
anything is built from it. The record itself is then decoded strictly and alone, so one bad record
stays one bad record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from periscope.feeds.json_elements import elements
from periscope.feeds.lines import BOM
from periscope.feeds.problems import BadRecord, Broken

MAX_DEPTH = 64
"""Levels of nesting inside one record; the engine takes 32."""

OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT, QUOTE, BACKSLASH, COMMA = b'[]{}"\\,'
# Atomic groups, not possessive ones: up to Python 3.11.4 those match too little (gh-106052).
STRING = re.compile(rb'"(?>(?:[^"\\]++|\\.)*)"', re.DOTALL)
TO_OPEN_STRING = re.compile(rb'(?>(?:[^"]++|"(?>(?:[^"\\]++|\\.)*)")*)', re.DOTALL)
STRING_REST = re.compile(rb'(?>(?:[^"\\]++|\\.)*)', re.DOTALL)
TO_BRACKET = re.compile(rb'(?>(?:[^"\[\]{}]++|"(?>(?:[^"\\]++|\\.)*)")*)', re.DOTALL)
TO_COMMA = re.compile(rb'(?>(?:[^"\[\]{},]++|"(?>(?:[^"\\]++|\\.)*)")*)', re.DOTALL)
BLANK = re.compile(rb"[ \t\r\n]*+")
SPACE = b" \t\r\n"
KEY_SEEN_BYTES = 256
BARE = re.compile(rb'"(?>(?:[^"\\]++|\\.)*)"|[^\s",:\[\]{}]++', re.DOTALL)


class Where(Enum):
    """What the splitter stands in."""

    BETWEEN = 0  # documents
    RECORDS = 1  # an array whose elements are the records
    DOCUMENT = 2  # an object that is a record, unless it holds an array of records


class Piece(NamedTuple):
    """One record: its number and byte, and its text; or what is wrong with it."""

    number: int
    offset: int
    raw: bytes
    problem: str | None = None
    envelope: bool = False
    """The object around an array of records, with that array emptied: no record itself."""

    @property
    def place(self) -> str:
        """Where it stands, as messages say it."""
        return place(self.number, self.offset)


def place(number: int, offset: int) -> str:
    """Where a record stands, as messages say it."""
    return f"record {number:,} (byte {offset:,})"


def split_json(
    chunks: Iterator[bytes], max_bytes: int, members: tuple[bytes, ...] = ()
) -> Iterator[Piece]:
    """Yield the records of one JSON document, or of several one after another.

    Records are the elements of a top-level array; the elements of each array that is a direct
    member of a top-level object under one of the `members` keys, or stands one object deeper under
    a member with a dot (`hits.hits`); and any other top-level object.

    Raises:
        Broken: while iterating, where the brackets do not fit or the text ends too early.

    """
    splitter = _Splitter(max_bytes, members)
    for chunk in chunks:
        splitter.feed(chunk)
        if splitter.pieces:
            yield from splitter.pieces
            splitter.pieces = []
        if splitter.broken:
            raise splitter.broken
    splitter.finish()
    yield from splitter.pieces
    if splitter.broken:
        raise splitter.broken


class _Splitter:
    def __init__(self, max_bytes: int, members: tuple[bytes, ...]) -> None:
        self.pieces: list[Piece] = []
        self.broken: Broken | None = None
        self._max_bytes = max_bytes
        self._outer_member = _keys(key for key in members if b"." not in key)
        nested = [key.split(b".", 1) for key in members if b"." in key]
        self._parents = {key: _keys(b for a, b in nested if a == key) for key, _ in nested}
        self._parent = _keys(self._parents)
        self._inner_member: re.Pattern[bytes] | None = None
        self._where = Where.BETWEEN
        self._depth = 0
        self._base = 0  # the depth at which the current record begins
        self._in_string = self._escaped = False
        self._consumed = 0  # bytes of the chunks before this one
        self._number = 0
        self._after_comma = False
        self._outer: tuple[int, list[bytes], int, bool] | None = None
        self._begin(0)

    def _begin(self, offset: int) -> None:
        self._parts: list[bytes] = []
        self._held = 0
        self._offset = offset
        self._refused = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; finished records and the end of reading show in the attributes."""
        if not self._consumed and chunk.startswith(BOM):
            self._consumed, chunk = len(BOM), chunk[len(BOM) :]
        self._chunk = chunk
        self._start = 0
        try:
            self._scan(chunk)
        except Broken as exc:
            self.broken = exc
        self._keep(len(chunk))
        self._consumed += len(chunk)

    def _scan(self, chunk: bytes) -> None:
        end = len(chunk)
        at = 1 if self._escaped else 0
        self._escaped = looked = False
        while at < end:
            if self._in_string:
                at = self._string(chunk, at, end)
                continue
            if self._refused and not looked:  # once: looking to the end at each bracket is a bomb
                looked = True
                if self._stays_inside(chunk, at):
                    return
            if self._where is Where.RECORDS and at == self._start and self._is_between():
                at = self._whole_elements(chunk, at)
            at = self._pattern().match(chunk, at).end()  # type: ignore[union-attr]
            if at < end:
                self._token(chunk[at], at)
                at += 1

    def _is_between(self) -> bool:
        return self._depth == self._base and not self._held and not self._refused

    def _whole_elements(self, chunk: bytes, at: int) -> int:
        for start, raw, end in elements(chunk, at, self._max_bytes):
            self._number += 1
            self.pieces.append(Piece(self._number, self._consumed + start, raw))
            at = self._start = end
            self._after_comma = chunk[end - 1] == COMMA
        self._begin(self._consumed + at)
        return at

    def _pattern(self) -> re.Pattern[bytes]:
        if self._where is Where.BETWEEN:
            return BLANK
        if self._where is Where.RECORDS and self._depth == self._base:
            return TO_COMMA
        return TO_BRACKET

    def _string(self, chunk: bytes, at: int, end: int) -> int:
        at = STRING_REST.match(chunk, at).end()  # type: ignore[union-attr]
        if at == end:
            return end
        self._escaped = chunk[at] == BACKSLASH  # the last byte: its other half comes next
        self._in_string = self._escaped
        return at + 1

    def _stays_inside(self, chunk: bytes, at: int) -> bool:
        """Pass over the rest of a chunk at once where a refused record cannot end in it."""
        end = TO_OPEN_STRING.match(chunk, at).end()  # type: ignore[union-attr]
        outside = STRING.sub(b"", chunk[at:end])
        closed = outside.count(b"]") + outside.count(b"}")
        if closed >= self._depth - self._base:
            return False
        self._depth += outside.count(b"[") + outside.count(b"{") - closed
        if end < len(chunk):
            self._in_string = True
            self._string(chunk, end + 1, len(chunk))
        return True

    def _token(self, token: int, at: int) -> None:
        if self._where is Where.BETWEEN:
            self._open_document(token, at)
        elif token == QUOTE:
            self._in_string = True
        elif token == COMMA:
            self._end_element(at)
            self._after_comma = True
        elif token in (OPEN_ARRAY, OPEN_OBJECT):
            self._open(token, at)
        elif self._depth > self._base:
            self._close(at)
        else:
            self._end_array(token, at)

    def _open_document(self, token: int, at: int) -> None:
        if token == OPEN_ARRAY:
            self._enter_array(at, depth=1)
        elif token == OPEN_OBJECT:
            self._where, self._depth, self._base = Where.DOCUMENT, 1, 0
            self._start = at
            self._begin(self._consumed + at)
        else:
            raise Broken(
                f"byte {self._consumed + at:,}: an object or array should begin here; "
                "everything before was read: correct the file from there on"
            )

    def _enter_array(self, at: int, depth: int) -> None:
        self._where, self._depth, self._base = Where.RECORDS, depth, depth
        self._after_comma = False
        self._start = at + 1
        self._begin(self._consumed + at + 1)

    def _open(self, token: int, at: int) -> None:
        if self._where is Where.DOCUMENT and self._depth <= 2:
            member = self._outer_member if self._depth == 1 else self._inner_member
            if token == OPEN_ARRAY and self._key(member, at):
                self._keep(at + 1)
                self._outer = (self._offset, self._parts, self._held, self._refused)
                self._enter_array(at, depth=self._depth + 1)
                return
            if self._depth == 1:
                self._enter_object(token, at)
        self._depth += 1
        if self._depth - self._base > MAX_DEPTH and not self._refused:
            self._refuse(f"nested deeper than {MAX_DEPTH} levels; flatten it")

    def _enter_object(self, token: int, at: int) -> None:
        found = self._key(self._parent, at) if token == OPEN_OBJECT else None
        self._inner_member = self._parents[found[1]] if found else None

    def _key(self, keys: re.Pattern[bytes] | None, at: int) -> re.Match[bytes] | None:
        """Match the key right before a place in the chunk, if it is one of these."""
        if keys is None:
            return None
        tail = self._chunk[max(self._start, at - KEY_SEEN_BYTES) : at]
        if len(tail) < KEY_SEEN_BYTES:
            tail = b"".join(self._parts[-KEY_SEEN_BYTES:])[-KEY_SEEN_BYTES:] + tail
        return keys.search(tail)

    def _close(self, at: int) -> None:
        self._depth -= 1
        if self._depth == 0 and self._where is Where.DOCUMENT:
            self._keep(at + 1)
            self._end_document()
            self._where, self._start = Where.BETWEEN, at + 1

    def _end_document(self) -> None:
        if self._outer is None:
            self._number += 1
            self._emit(b"".join(self._parts))
        elif not self._refused:
            self._emit(b"".join(self._parts), envelope=True)
        self._outer = None

    def _end_element(self, at: int) -> None:
        self._keep(at)
        self._start = at + 1
        if not self._held and not self._refused:
            raise Broken(
                f"{place(self._number + 1, self._offset)}: there is nothing between two commas; "
                "everything before was read: correct the file from there on"
            )
        self._number += not self._refused
        self._emit(b"".join(self._parts).rstrip(SPACE))
        self._begin(self._consumed + at + 1)

    def _end_array(self, token: int, at: int) -> None:
        if token == CLOSE_OBJECT:
            self._keep(at)
            self._end_whole_object()
            raise Broken(
                f"{self._here(at)}: a brace closes a bracket; correct the file from there on"
            )
        self._keep(at)
        if self._held or self._refused or self._after_comma:
            self._end_element(at)
        self._start = at + 1
        self._depth -= 1
        self._where = Where.BETWEEN
        if self._outer is not None:
            self._where, self._base = Where.DOCUMENT, 0
            self._offset, self._parts, self._held, self._refused = self._outer
            self._parts.append(b"]")  # the list itself: a copy for each array would be quadratic
            self._held += 1

    def _here(self, at: int) -> str:
        return place(self._number + 1, self._consumed + at)

    def _keep(self, until: int) -> None:
        """Add the current chunk, as far as `until`, to the record at hand."""
        if self._where is Where.BETWEEN or self._refused:
            return
        part = self._chunk[self._start : until]
        if not self._held:
            stripped = part.lstrip(SPACE)
            self._offset = self._consumed + self._start + len(part) - len(stripped)
            part = stripped
        self._start = until
        if part:
            self._parts.append(part)
            self._held += len(part)
        if self._held > self._max_bytes:
            self._refuse(
                f"larger than the limit of {self._max_bytes:,} bytes; raise max_record_bytes"
            )

    def _refuse(self, problem: str) -> None:
        """Say at once what is wrong with the record at hand; the rest of it is passed over."""
        self._number += 1
        self.pieces.append(Piece(self._number, self._offset, b"", problem))
        self._refused = True
        self._parts = []

    def _emit(self, raw: bytes, *, envelope: bool = False) -> None:
        if not self._refused:
            self.pieces.append(Piece(self._number, self._offset, raw, None, envelope))

    def _end_whole_object(self) -> None:
        """Let an element that is complete count, though what follows it is not what should."""
        whole = self._where is Where.RECORDS and self._depth == self._base and self._held
        raw = b"".join(self._parts).rstrip(SPACE) if whole and not self._refused else b""
        if raw.startswith(b"{") and raw.endswith(b"}"):
            self._number += 1
            self._emit(raw)

    def finish(self) -> None:
        """Take the end of the text: where it comes too early, `broken` says so."""
        if self._where is not Where.BETWEEN:
            self._end_whole_object()
            self.broken = Broken(
                f"{place(self._number + 1, self._consumed)}: the JSON ends in the middle; "
                "the file is cut short: fetch it again"
            )


def _keys(names: Iterable[bytes]) -> re.Pattern[bytes] | None:
    choice = b"|".join(map(re.escape, names))
    return re.compile(rb'[{,\s]"(' + choice + rb')"\s*:\s*\Z') if choice else None


def decode(piece: Piece) -> Any:
    """Decode one record strictly: no NaN, no number beyond a double, valid Unicode; last key wins.

    Raises:
        BadRecord: its values cannot be used; the records around it can.
        Broken: it is not JSON at all, so nothing after it can be trusted.

    """
    if piece.problem is not None:
        raise BadRecord(piece.problem)
    try:
        return msgspec.json.decode(piece.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        reason = explained(exc, piece.raw)
        if _sound(piece.raw):
            raise BadRecord(reason) from None
        raise Broken(
            f"{piece.place}: {reason}; everything before was read: correct the file from there on"
        ) from None


def explained(exc: Exception, raw: bytes) -> str:
    """Say what is wrong with a JSON text, in a line."""
    if isinstance(exc, UnicodeDecodeError):
        return "not valid UTF-8; convert the file to UTF-8"
    if isinstance(exc, RecursionError):
        return f"nested deeper than {MAX_DEPTH} levels; flatten it"
    if isinstance(exc, msgspec.ValidationError):
        return "holds a number beyond the range of a double; write it as text"
    if re.search(rb"\\u[dD][89a-fA-F]", raw):
        return "holds half of a surrogate pair, which is no character; correct its text"
    return f"not valid JSON: {str(exc).removeprefix('JSON is malformed: ')}"


def _sound(raw: bytes) -> bool:
    """Whether strings and brackets pair up as in JSON, so that only values are at fault."""
    text = BARE.sub(lambda match: match[0] if match[0][:1] == b'"' else b"0", raw)
    try:
        json.loads(text.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return False
    return True
