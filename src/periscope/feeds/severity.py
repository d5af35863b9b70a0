"""`SeverityTable`: severity.toml as data, with a user's own file laid over it."""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from periscope.errors import SettingInvalid
from periscope.models import SEVERITIES, Severity

Section = dict[str, Any]
NONE = "NONE"


@dataclass(frozen=True, slots=True)
class Scale:
    """Lower bounds in rising order, each with its severity, up to a greatest number."""

    bounds: tuple[float, ...]
    severities: tuple[Severity, ...]
    at_most: float

    def look_up(self, number: float) -> Severity | None:
        """Return the severity of a number; None where the scale does not reach."""
        place = bisect_right(self.bounds, number)
        return self.severities[place - 1] if place and number <= self.at_most else None


@dataclass(frozen=True, slots=True)
class FieldTable:
    """What the words and numbers in one field of one format mean."""

    words: dict[str, Severity | None]
    scale: Scale | None

    def look_up(self, value: object) -> Severity | None:
        """Return the severity of a stated value; None if it says nothing.

        Raises:
            KeyError: the table has no such word or number.

        """
        if isinstance(value, str):
            word = value.strip().lower()
            if not word or word in self.words:
                return self.words.get(word)
            value = _numeric(word)
        if self.scale is None or isinstance(value, bool) or not isinstance(value, int | float):
            raise KeyError(value)
        severity = self.scale.look_up(value)
        if severity is None:
            raise KeyError(value)
        return severity


@dataclass(frozen=True, slots=True)
class FormatTable:
    """The fields of one format that state a severity, and what holds where none of them does."""

    missing: Severity | None
    fields: dict[str, FieldTable]


@dataclass(frozen=True, slots=True)
class SeverityTable:
    """The rules by which words, numbers, KEV entries and STIX objects get a severity."""

    words: dict[str, Severity | None]
    numbers: dict[str, Scale]
    kev_ransomware: Severity
    kev_otherwise: Severity
    stix_score: Scale
    stix_capec: dict[str, Severity | None]
    stix_types: dict[str, Severity]
    stix_lower_below: float
    formats: dict[str, FormatTable]

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Return the default table, with the user's TOML file laid over it.

        Raises:
            SettingInvalid: the file cannot be read, or a key or value does not fit; names it.

        """
        default = _default()
        if path is None:
            return cls._built(default)
        return cls._built(_merged(default, _read(path), ""))

    @classmethod
    def _built(cls, table: Section) -> Self:
        stix = table["stix"]
        return cls(
            words=_words(table["words"], "words"),
            numbers={
                name: _scale(part, f"numbers.{name}") for name, part in table["numbers"].items()
            },
            kev_ransomware=_severity(table["kev"]["ransomware"], "kev.ransomware"),
            kev_otherwise=_severity(table["kev"]["otherwise"], "kev.otherwise"),
            stix_score=_scale(stix["score"], "stix.score"),
            stix_capec=_words(stix["capec"], "stix.capec"),
            stix_types={
                name: _severity(word, f"stix.types.{name}") for name, word in stix["types"].items()
            },
            stix_lower_below=_number(
                stix["confidence"]["lower_below"], "stix.confidence.lower_below"
            ),
            formats={
                name: _format(part, f"formats.{name}") for name, part in table["formats"].items()
            },
        )

    def look_up(self, value: object, field: str) -> Severity | None:
        """Return the severity of a generic record's field; None if it says "unknown".

        Raises:
            KeyError: the table has no such word or number.

        """
        if isinstance(value, str):
            word = value.strip().lower()
            if not word:
                return None
            if word in self.words:
                return self.words[word]
            value = _numeric(word)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise KeyError(field)
        return self._of_number(value, field)

    def _of_number(self, number: float, field: str) -> Severity:
        known = {*self.numbers, "level"}
        scale = self.numbers.get(field if field in known else "severity")
        severity = scale.look_up(number) if scale else None
        if severity is None:
            raise KeyError(field)
        return severity


def lowered(severity: Severity) -> Severity:
    """One step down; LOW stays LOW."""
    return SEVERITIES[max(0, severity.rank - 1)]


@lru_cache(maxsize=1)
def _default() -> Section:
    return tomllib.loads(files(__package__).joinpath("severity.toml").read_text("utf-8"))


def _read(path: Path) -> Section:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise SettingInvalid(f"severity map {path}: {reason}") from None


def _merged(default: Section, own: Section, at: str) -> Section:
    result = dict(default)
    for key, value in own.items():
        place = f"{at}{key}"
        free = at in ("words.", "stix.capec.", "numbers.") or at.startswith("formats.")
        if key not in default and not free:
            raise SettingInvalid(f"severity map: unknown key {place}; known: {', '.join(default)}")
        result[key] = _laid_over(default.get(key), value, place, whole=_is_whole(at, key))
    return result


def _is_whole(at: str, key: str) -> bool:
    """Scales, and the tables of a format's fields, are replaced and not laid over."""
    return at == "numbers." or key == "score" or (at.count(".") == 2 and at.startswith("formats."))


def _laid_over(default: Any, value: Any, place: str, *, whole: bool) -> Any:
    if isinstance(default, dict) != isinstance(value, dict) and default is not None:
        raise SettingInvalid(
            f"severity map: {place} must {'not ' * isinstance(value, dict)}be a section"
        )
    if isinstance(default, dict) and not whole:
        return _merged(default, value, f"{place}.")
    return value


def _words(section: Section, at: str) -> dict[str, Severity | None]:
    return {
        word.strip().lower(): None if name == NONE else _severity(name, f"{at}.{word}")
        for word, name in section.items()
    }


def _scale(section: Any, at: str) -> Scale:
    if not isinstance(section, dict) or "at_most" not in section or len(section) == 1:
        raise SettingInvalid(f"severity map: {at} needs at_most and one number = severity at least")
    rows = sorted(
        (_number(_numeric(key), f"{at}.{key}"), _severity(word, f"{at}.{key}"))
        for key, word in section.items()
        if key != "at_most"
    )
    bounds, severities = zip(*rows, strict=True)
    return Scale(bounds, severities, _number(section["at_most"], f"{at}.at_most"))


def _format(section: Any, at: str) -> FormatTable:
    if not isinstance(section, dict):
        raise SettingInvalid(f"severity map: {at} must be a section")
    missing = section.get("missing", NONE)
    return FormatTable(
        missing=None if missing == NONE else _severity(missing, f"{at}.missing"),
        fields={
            name: _field(part, f"{at}.{name}")
            for name, part in section.items()
            if name != "missing"
        },
    )


def _field(section: Any, at: str) -> FieldTable:
    if not isinstance(section, dict):
        raise SettingInvalid(f"severity map: {at} must be a section")
    numbers = {key: word for key, word in section.items() if _numeric(key) is not None}
    words = {key: word for key, word in section.items() if key not in numbers and key != "at_most"}
    has_scale = "at_most" in section or numbers
    scale = {**numbers, **{k: v for k, v in section.items() if k == "at_most"}}
    return FieldTable(_words(words, at), _scale(scale, at) if has_scale else None)


def _severity(word: object, at: str) -> Severity:
    try:
        return Severity(word)  # type: ignore[arg-type]
    except ValueError:
        raise SettingInvalid(
            f"severity map: {at} must be CRITICAL, HIGH, MEDIUM or LOW, not {word!r}"
        ) from None


def _number(value: object, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingInvalid(f"severity map: {at} must be a number")
    return value


def _numeric(text: str) -> float | None:
    if not text.isascii() or not set(text) <= set("0123456789.-"):
        return None
    try:
        return float(text)
    except ValueError:
        return None
