"""What a condition can be about: the fields of a report, as texts and numbers to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from periscope.models import SEVERITIES
from periscope.noise.kinds import KINDS

# A report as conditions see it: the fields that were given, by name.
Fields = Mapping[str, Any]
# What a field says: none, one, or several values; texts, numbers, truth values.
Values = tuple[Any, ...]
Read = Callable[[Fields], Values]

MAX_FOUND = 1_000
METADATA = "metadata."
INDICATORS = "indicators"
_RANKS = {severity.value: severity.rank for severity in SEVERITIES}


def rank_of(severity: Any) -> int:
    """0 for LOW to 3 for CRITICAL; -1 for what is none."""
    return _RANKS.get(severity.upper(), -1) if isinstance(severity, str) else -1


def normal_tlp(value: str) -> str:
    """A TLP marking as the uniform metadata has it: CLEAR for the white of version 1."""
    word = value.strip().upper().removeprefix("TLP:")
    return "CLEAR" if word == "WHITE" else word


def title_of(report: Fields) -> str:
    """What a person reads first: its title, else the first line of its content."""
    given = _metadata(report).get("title")
    if isinstance(given, str) and given:
        return given
    content = report.get("content")
    return content.lstrip().split("\n", 1)[0].rstrip() if isinstance(content, str) else ""


def reader_of(name: str) -> Read | None:
    """How the field of this name is read; None if there is none."""
    if name.startswith(METADATA) and len(name) > len(METADATA):
        return _metadata_reader(tuple(name.removeprefix(METADATA).split(".")))
    if name.startswith(INDICATORS + ".") and name.partition(".")[2] in KINDS:
        return _indicator_reader(name.partition(".")[2])
    return _READERS.get(name)


def _metadata(report: Fields) -> Mapping[str, Any]:
    found = report.get("metadata")
    return found if isinstance(found, dict) else {}


def _text_reader(name: str) -> Read:
    def read(report: Fields) -> Values:
        return (report.get(name) or "",)

    return read


def _of_metadata(name: str) -> Read:
    def read(report: Fields) -> Values:
        found = _metadata(report).get(name)
        return (found,) if isinstance(found, str) else ()

    return read


def tags_of_report(report: Fields) -> Values:
    """Its tags: a list, or one text."""
    found = _metadata(report).get("tags")
    return _texts(found) if isinstance(found, list | tuple) else _texts((found,))


def tlp_of_report(report: Fields) -> Values:
    """Its TLP marking, if it has one."""
    found = _metadata(report).get("tlp")
    return (normal_tlp(found),) if isinstance(found, str) else ()


def _texts(values: list[Any] | tuple[Any, ...]) -> Values:
    return tuple(value for value in values if isinstance(value, str))


def indicators_of(report: Fields) -> Iterator[tuple[str, str]]:
    """(type, value) of each indicator of the uniform metadata; '' where it has no type."""
    found = _metadata(report).get(INDICATORS)
    for one in found if isinstance(found, list | tuple) else ():
        if isinstance(one, dict) and isinstance(value := one.get("value"), str):
            kind = one.get("type")
            yield (kind if isinstance(kind, str) else "", value)


def _indicator_reader(kind: str | None) -> Read:
    def read(report: Fields) -> Values:
        pairs = indicators_of(report)
        return tuple(value for found, value in pairs if kind is None or found == kind)

    return read


def _metadata_reader(path: tuple[str, ...]) -> Read:
    def read(report: Fields) -> Values:
        found: list[Any] = []
        for value in _walk(_metadata(report), path):
            found.append(value)
            if len(found) == MAX_FOUND:
                break
        return tuple(found)

    return read


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Plain values at a path; a key may have dots itself, and every item of a list is looked at."""
    if isinstance(value, list | tuple):
        for item in value[:MAX_FOUND]:
            yield from _walk(item, path)
    elif isinstance(value, dict):
        for length in range(1, len(path) + 1):
            key = ".".join(path[:length])
            if key in value:
                yield from _walk(value[key], path[length:])
    elif not path:
        yield value


_READERS: dict[str, Read] = {
    "threat_id": _text_reader("threat_id"),
    "source": _text_reader("source"),
    "content": _text_reader("content"),
    "severity": lambda report: (report.get("severity"),),
    "title": lambda report: (title_of(report),),
    "type": _of_metadata("type"),
    "tags": tags_of_report,
    "tlp": tlp_of_report,
    INDICATORS: _indicator_reader(None),
}
FIELDS = (*_READERS, "indicators.<type>", "metadata.<path>")
