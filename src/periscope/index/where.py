"""What threats are asked for beyond what the board ranks by, and whether one is such a threat."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import msgspec

from periscope.errors import UsageError
from periscope.feeds.indicators import refanged
from periscope.index.facts import indicators_in, tags_of, text_of, tlp_of
from periscope.index.words import Phrase, read_phrases
from periscope.models import SEVERITIES, Severity
from periscope.noise.fields import normal_tlp
from periscope.noise.kinds import KINDS
from periscope.threat import Threat

MOST_VALUES = 1_000
LONGEST_VALUE = 4_096
NO_TLP = ""

Test = Callable[[Threat, str], bool]


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Conditions that must all hold; None and empty ones are none.

    `text` are words of title, content, id and indicators: all of them, phrases in quotes, `*` at
    the end of a word for any further letters. `source`, `tag`, `tlp`, `holder` are one value each
    (tags without regard to case). `indicator` is a value, or `type:value`; `evil[.]example` is
    read as what it stands for. `overdue` is about open, unseen threats past their target. Bounds
    of time are integer milliseconds UTC, `from` included and `until` not.

    `sources`, `severities` and `tlps` are what the asker may see: one of them, if there are any;
    the TLP '' stands for threats without one.

    What begins with `not_` leaves out threats with one of those values, in the same spellings: the
    TLP '' stands for those without one, and what has no tag has none of `not_tags`.
    """

    text: str | None = None
    source: str | None = None
    tag: str | None = None
    tlp: str | None = None
    indicator: str | None = None
    holder: str | None = None
    overdue: bool | None = None
    first_seen_from_ms: int | None = None
    first_seen_until_ms: int | None = None
    last_activity_from_ms: int | None = None
    last_activity_until_ms: int | None = None
    sources: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    tlps: tuple[str, ...] = ()
    not_sources: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    not_tlps: tuple[str, ...] = ()
    not_severities: tuple[Severity, ...] = ()


EVERYTHING = Where()


class Wanted:
    """A `Where` that was checked, with its words and spellings worked out."""

    def __init__(self, where: Where) -> None:
        """Check the conditions.

        Raises:
            UsageError: one of them cannot be asked for; says which, and why.
        """
        _check(where)
        self.where = where
        self.phrases: tuple[Phrase, ...] = ()
        if where.text is not None:
            self.phrases = read_phrases(where.text)
        self.tag = None if where.tag is None else where.tag.casefold()
        self.tlp = None if where.tlp is None else normal_tlp(where.tlp)
        self.tlps = frozenset(map(normal_tlp, where.tlps))
        self.kind, self.value = _indicator(where.indicator)
        self.ranks = frozenset(SEVERITIES.index(one) for one in where.severities)
        self.not_sources = frozenset(where.not_sources)
        self.not_tags = frozenset(tag.casefold() for tag in where.not_tags)
        self.not_tlps = frozenset(map(normal_tlp, where.not_tlps))
        self.not_ranks = frozenset(SEVERITIES.index(one) for one in where.not_severities)
        self.is_about_holders = where.holder is not None
        self._tests = list(_tests(self))

    def fits(self, threat: Threat, holder: str = "") -> bool:
        """Is this such a threat, as it was read? `holder` is who has it claimed ('': nobody)."""
        return all(test(threat, holder) for test in self._tests)

    @property
    def digest(self) -> bytes:
        """What tells these conditions from others, in a cursor."""
        return blake2b(msgspec.msgpack.encode(self.where), digest_size=8).digest()


def _tests(wanted: Wanted) -> list[Test]:
    where, tests = wanted.where, list[Test]()
    if where.source is not None:
        tests.append(lambda threat, _: threat.source == where.source)
    if where.sources:
        tests.append(lambda threat, _: threat.source in where.sources)
    if wanted.ranks:
        tests.append(lambda threat, _: threat.severity.rank in wanted.ranks)
    if wanted.tlp is not None:
        tests.append(lambda threat, _: tlp_of(threat) == wanted.tlp)
    if wanted.tlps:
        tests.append(lambda threat, _: tlp_of(threat) in wanted.tlps)
    if wanted.tag is not None:
        tests.append(lambda threat, _: wanted.tag in tags_of(threat))
    if where.holder is not None:
        tests.append(lambda _, holder: holder == where.holder)
    if where.overdue is not None:
        tests.append(lambda threat, _: threat.overdue is where.overdue)
    return [
        *tests,
        *_tests_of_exclusions(wanted),
        *_tests_of_times(where),
        *_tests_of_texts(wanted),
    ]


def _tests_of_exclusions(wanted: Wanted) -> list[Test]:
    tests = list[Test]()
    if wanted.not_sources:
        tests.append(lambda threat, _: threat.source not in wanted.not_sources)
    if wanted.not_ranks:
        tests.append(lambda threat, _: threat.severity.rank not in wanted.not_ranks)
    if wanted.not_tlps:
        tests.append(lambda threat, _: tlp_of(threat) not in wanted.not_tlps)
    if wanted.not_tags:
        tests.append(lambda threat, _: wanted.not_tags.isdisjoint(tags_of(threat)))
    return tests


def _tests_of_times(where: Where) -> list[Test]:
    tests = list[Test]()
    for name in ("first_seen", "last_activity"):
        least, end = getattr(where, f"{name}_from_ms"), getattr(where, f"{name}_until_ms")
        if least is not None or end is not None:
            tests.append(_between(f"{name}_ms", least, end))
    return tests


def _between(name: str, least: int | None, end: int | None) -> Test:
    def test(threat: Threat, _: str) -> bool:
        moment = getattr(threat, name)
        return (least is None or moment >= least) and (end is None or moment < end)

    return test


def _tests_of_texts(wanted: Wanted) -> list[Test]:
    tests = list[Test]()
    if wanted.value:
        tests.append(lambda threat, _: _has(threat, wanted.kind, wanted.value))
    if wanted.phrases:
        patterns = [phrase.pattern for phrase in wanted.phrases]

        def test(threat: Threat, _: str) -> bool:
            text = text_of(threat, indicators_in(threat))
            return all(pattern in text for pattern in patterns)

        tests.append(test)
    return tests


def _has(threat: Threat, kind: str, value: str) -> bool:
    return any(
        found == value and (not kind or kind == typed) for typed, found in indicators_in(threat)
    )


def _indicator(given: str | None) -> tuple[str, str]:
    """(type, value) to look for; '' as type means any, as value that none is asked for."""
    if given is None:
        return "", ""
    kind, colon, value = given.strip().partition(":")
    if colon and kind in KINDS:
        return kind, _value(value)
    return "", _value(given)


def _value(text: str) -> str:
    value = refanged(text.strip()).lower()
    if not value:
        raise UsageError("indicator has no value to look for")
    return value


def _check(where: Where) -> None:
    if not isinstance(where, Where):
        raise UsageError(f"where must be a Where, not {type(where).__name__}")
    for name in ("source", "tag", "tlp", "indicator", "holder", "text"):
        value = getattr(where, name)
        if value is not None:
            _check_text(name, value, empty=name in ("source", "tlp", "holder", "text"))
    for name in ("sources", "tlps", "not_sources", "not_tlps", "not_tags"):
        values = getattr(where, name)
        _check_number(name, values)
        for value in values:
            _check_text(name, value, empty=name != "not_tags")
    for name in ("severities", "not_severities"):
        values = getattr(where, name)
        _check_number(name, values)
        if any(one not in SEVERITIES for one in values):
            raise UsageError(f"{name} are {', '.join(SEVERITIES)}")
    _check_times(where)


def _check_text(name: str, value: object, *, empty: bool) -> None:
    if not isinstance(value, str):
        raise UsageError(f"{name} must be text, not {type(value).__name__}")
    if len(value) > LONGEST_VALUE:
        raise UsageError(f"{name} has more than {LONGEST_VALUE:,} characters")
    if not value and not empty:
        raise UsageError(f"{name} must not be empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{name} is not valid UTF-8 (a lone surrogate)") from None


def _check_number(name: str, values: object) -> None:
    if not isinstance(values, tuple):
        raise UsageError(f"{name} must be a tuple, not {type(values).__name__}")
    if len(values) > MOST_VALUES:
        raise UsageError(f"{name} has more than {MOST_VALUES:,} values")


def _check_times(where: Where) -> None:
    for name in ("first_seen", "last_activity"):
        for end in ("from", "until"):
            value = getattr(where, f"{name}_{end}_ms")
            if value is not None and (type(value) is not int or not 0 <= value < 2**48):
                raise UsageError(f"{name}_{end}_ms must be milliseconds since 1970")
