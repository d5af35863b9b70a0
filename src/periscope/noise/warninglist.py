"""Warninglists as MISP writes them: read, bounded, and told apart from what is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import msgspec

from periscope.errors import NoiseInvalid
from periscope.noise.hosts import normal_host
from periscope.noise.kinds import kinds_of
from periscope.noise.networks import Span, span_of
from periscope.noise.patterns import PatternError, read_pattern

MIB = 2**20
MAX_FILE_BYTES = 32 * MIB
MAX_VALUES = 2_000_000
MAX_VALUE = 4_096  # characters: a longer value is on no list, and is looked up in none
MAX_PATTERNS = 2_000
MAX_FILES = 1_000
MAX_NAME_BYTES = 200
MAX_TEXT = 500
MAX_ATTRIBUTES = 200
ListType = Literal["string", "substring", "hostname", "cidr", "regex"]
TYPES: tuple[str, ...] = get_args(ListType)


@dataclass(frozen=True, slots=True, eq=False)
class ListFile:
    """A list as its file says it; `left_out` counts the values that cannot be used."""

    name: str
    type: str
    version: str
    description: str
    attributes: tuple[str, ...]
    values: list[str]
    left_out: int
    size_bytes: int

    @property
    def kinds(self) -> frozenset[str]:
        """The types of indicators that it is for."""
        return kinds_of(self.attributes)


class _Wire(msgspec.Struct):
    name: str
    type: str
    values: list[Any] = msgspec.field(name="list")
    version: int | str = ""
    description: str = ""
    matching_attributes: list[str] = []


_decode = msgspec.json.Decoder(_Wire).decode


def read_lists(place: str | Path) -> Iterator[ListFile]:
    """The lists at a place: a file; a directory with `*/list.json` or `*.json` in it.

    A checkout of misp-warninglists, its `lists`, or a folder of files of one's own.

    Raises:
        NoiseInvalid: there is none, or one of them cannot be used; names the file.
    """
    path = Path(place)
    for file in list(_files(path)):
        yield read_list(file)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    for folder in (path, path / "lists"):
        for pattern in ("*/list.json", "*.json"):
            found = [file for file in sorted(folder.glob(pattern)) if file.name != "schema.json"]
            if len(found) > MAX_FILES:
                raise NoiseInvalid(f"{path}: more than {MAX_FILES:,} lists")
            if found:
                return found
    raise NoiseInvalid(f"{path}: no warninglist in it (lists/*/list.json, or *.json)")


def read_list(file: Path) -> ListFile:
    """One list.

    Raises:
        NoiseInvalid: it cannot be read, is none, or is beyond the bounds.
    """
    try:
        with file.open("rb") as stream:
            data = _bounded(stream, file)
    except OSError as exc:
        raise NoiseInvalid(f"{file}: {exc.strerror or type(exc).__name__}") from None
    try:
        return parse_list(data)
    except NoiseInvalid as exc:
        raise NoiseInvalid(f"{file}: {exc}") from None


def _bounded(stream: BinaryIO, file: Path) -> bytes:
    data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise NoiseInvalid(f"{file}: more than {MAX_FILE_BYTES // MIB} MiB")
    return data


def parse_list(data: bytes) -> ListFile:
    """A list from its JSON text.

    Raises:
        NoiseInvalid: it is none, or is beyond the bounds.
    """
    try:
        wire = _decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise NoiseInvalid(f"not a warninglist: {' '.join(str(exc).split())[:200]}") from None
    _check(wire)
    read = _READERS[wire.type]
    values = [value for given in wire.values if (value := read(_value_of(given)))]
    return ListFile(
        name=wire.name,
        type=wire.type,
        version=str(wire.version)[:40],
        description=wire.description[:MAX_TEXT],
        attributes=tuple(wire.matching_attributes),
        values=values,
        left_out=len(wire.values) - len(values),
        size_bytes=len(data),
    )


def _check(wire: _Wire) -> None:
    if not 0 < len(wire.name.encode()) <= MAX_NAME_BYTES or not wire.name.strip():
        raise NoiseInvalid(f"not a warninglist: its name is empty, or over {MAX_NAME_BYTES} bytes")
    if wire.type not in TYPES:
        raise NoiseInvalid(f"unknown type {wire.type[:40]!a}; one of {', '.join(TYPES)}")
    most = MAX_PATTERNS if wire.type == "regex" else MAX_VALUES
    if len(wire.values) > most:
        raise NoiseInvalid(f"{len(wire.values):,} values, more than {most:,}")
    attributes = wire.matching_attributes
    if len(attributes) > MAX_ATTRIBUTES or any(len(name) > 100 for name in attributes):
        raise NoiseInvalid("its matching_attributes are too many, or too long")


def _value_of(given: Any) -> str:
    if isinstance(given, dict):  # as MISP exports lists of one's own: with a comment
        given = given.get("value")
    return given if isinstance(given, str) and len(given) <= MAX_VALUE else ""


def _network(value: str) -> str:
    return value if span_of(value) else ""


def _pattern(value: str) -> str:
    try:
        return read_pattern(value) if value else ""
    except PatternError:
        return ""


def _as_it_is(value: str) -> str:
    return value


_READERS = {
    "string": _as_it_is,
    "substring": _as_it_is,
    "hostname": normal_host,
    "cidr": _network,
    "regex": _pattern,
}


def spans(listed: ListFile) -> Iterator[Span]:
    """The networks of a list of type cidr."""
    for value in listed.values:
        span = span_of(value)
        if span is not None:
            yield span
