"""One condition of a suppression rule: `field op value`, as people type it and as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import msgspec

from periscope.errors import NoiseInvalid
from periscope.noise.fields import FIELDS, INDICATORS, METADATA, rank_of, reader_of

OPS = ("=", "!=", "<", "<=", ">", ">=", "~", "in")
ORDER = ("<", "<=", ">", ">=")
MAX_CONDITIONS = 20
MAX_FIELD = 200
MAX_DEPTH = 8
MAX_VALUE = 1_024
MAX_ITEMS = 1_000
MAX_WHERE_BYTES = 16 * 1024
_FORM = re.compile(
    r"\s*([^\s=<>!~]+)\s*(?:(!=|<=|>=|=|<|>|~)|(?<=\s)(in)(?=\s))\s*(.*?)\s*\Z", re.DOTALL
)


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`field op value`; the value of `in` is a list, of all others a text."""

    field: str
    op: str
    value: str | list[str]

    def __str__(self) -> str:
        """As it is typed: `severity<=MEDIUM`, `indicators in 10.0.0.0/8`."""
        if isinstance(self.value, str):
            return f"{self.field}{self.op}{self.value}"
        return f"{self.field} {self.op} {','.join(self.value)}"


def read_where(where: Any) -> tuple[Condition, ...]:
    """Conditions that must all hold, from texts, from their JSON form, or as they are.

    Raises:
        NoiseInvalid: says which condition is wrong, and how.
    """
    given = [where] if isinstance(where, str | dict | Condition) else where
    if not isinstance(given, Iterable):
        raise NoiseInvalid("where: must be conditions like 'severity<=MEDIUM'")
    conditions = []
    for number, one in enumerate(given, 1):
        if number > MAX_CONDITIONS:
            raise NoiseInvalid(f"where: more than {MAX_CONDITIONS} conditions")
        try:
            conditions.append(_read(one))
        except NoiseInvalid as exc:
            raise NoiseInvalid(f"condition {number} ({_shown(one)}): {exc}") from None
    if sum(len(str(one).encode()) for one in conditions) > MAX_WHERE_BYTES:
        raise NoiseInvalid(f"where: more than {MAX_WHERE_BYTES:,} bytes")
    return tuple(conditions)


def _read(given: Any) -> Condition:
    match given:
        case Condition():
            return _checked(given.field, given.op, given.value)
        case str():
            return _read_text(given)
        case {"field": str() as field, "op": str() as op, "value": value, **rest} if not rest:
            return _checked(field, op, value)
        case _:
            raise NoiseInvalid("must be a text, or an object of field, op and value")


def _read_text(text: str) -> Condition:
    found = _FORM.match(text)
    if found is None:
        raise NoiseInvalid(f"write it as field, one of {' '.join(OPS)}, value")
    return _checked(found[1], found[2] or found[3], found[4])


def _checked(field: str, op: str, value: Any) -> Condition:
    """A condition that can be compiled; `in` gets its list."""
    if op not in OPS:
        raise NoiseInvalid(f"unknown operator {op[:10]!a}; one of {' '.join(OPS)}")
    _check_field(field)
    if op == "in":
        items = _items(value)
        for item in items:
            _check_value(field, op, item)
        return Condition(field, op, items)
    text = _text(value)
    _check_value(field, op, text)
    return Condition(field, op, text)


def _items(value: Any) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise NoiseInvalid("in needs values with commas between them")
    items = [text for part in parts if (text := _text(part).strip())]
    if not 0 < len(items) <= MAX_ITEMS:
        raise NoiseInvalid(f"in needs 1 to {MAX_ITEMS:,} values")
    return items


def _text(value: Any) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise NoiseInvalid("the value must be text or a number")
    text = str(value)
    if len(text) > MAX_VALUE:
        raise NoiseInvalid(f"the value has more than {MAX_VALUE:,} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NoiseInvalid("the value is not valid UTF-8 (a lone surrogate)") from None
    return text


def _check_field(field: str) -> None:
    if reader_of(field) is None:
        near = get_close_matches(field[:MAX_FIELD].lower(), FIELDS, n=1)
        told = f"did you mean {near[0]}?" if near else f"one of {', '.join(FIELDS)}"
        raise NoiseInvalid(f"unknown field {field[:40]!a}; {told}")
    if len(field) > MAX_FIELD or field.count(".") > MAX_DEPTH:
        raise NoiseInvalid(f"the field is longer or deeper than {MAX_FIELD} and {MAX_DEPTH}")
    try:
        field.encode()
    except UnicodeEncodeError:
        raise NoiseInvalid("the field is not valid UTF-8 (a lone surrogate)") from None


def _check_value(field: str, op: str, text: str) -> None:
    if field == "severity":
        if op == "~":
            raise NoiseInvalid("~ is for texts; a severity has = != < <= > >= in")
        if rank_of(text) < 0:
            raise NoiseInvalid("a severity is CRITICAL, HIGH, MEDIUM or LOW")
    elif op in ORDER:
        if not field.startswith(METADATA):
            raise NoiseInvalid(f"{op} is for severity and for numbers in metadata")
        if number_of(text) is None:
            raise NoiseInvalid(f"{op} needs a number")
    elif not text and op not in ("=", "!="):
        raise NoiseInvalid("the value is missing")


def number_of(value: Any) -> float | None:
    """A finite number, given as one or as its text; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and (len(value) > 40 or "_" in value):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def is_of_addresses(field: str) -> bool:
    """May the values of this field be addresses, so that `in` takes networks?"""
    return field.partition(".")[0] == INDICATORS or field.startswith(METADATA)


def _shown(given: Any) -> str:
    try:
        text = str(given)
    except Exception:  # any object may come
        return type(given).__name__
    text = " ".join(text.split())
    return ascii(text if len(text) <= 60 else text[:59] + "~")
