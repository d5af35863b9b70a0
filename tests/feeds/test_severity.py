"""The severity table: defaults, a user's own file over it, errors that name the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from periscope.errors import SettingInvalid
from periscope.feeds import SeverityTable
from periscope.models import Severity

TABLE = SeverityTable.load()


@pytest.mark.parametrize(
    ("value", "field", "severity"),
    [
        ("critical", "severity", "CRITICAL"),
        (" High ", "severity", "HIGH"),
        ("MODERATE", "severity", "MEDIUM"),
        ("informational", "level", "LOW"),
        ("warning", "level", "MEDIUM"),
        ("important", "priority", "HIGH"),
        ("unknown", "severity", None),
        ("", "severity", None),
        (0, "severity", "LOW"),
        (6.9, "severity", "MEDIUM"),
        ("7.0", "severity", "HIGH"),
        (10, "severity", "CRITICAL"),
        (9.8, "cvss", "CRITICAL"),
        (1, "priority", "CRITICAL"),
        (4, "priority", "LOW"),
    ],
)
def test_words_and_numbers(value: object, field: str, severity: str | None) -> None:
    assert TABLE.look_up(value, field) == (Severity(severity) if severity else None)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("banana", "severity"),
        (11, "severity"),
        (-1, "severity"),
        (0, "priority"),
        (3, "level"),
        (True, "severity"),
        ([], "severity"),
        ("1e3", "severity"),
        ("--", "severity"),
    ],
)
def test_what_is_not_in_the_table(value: object, field: str) -> None:
    with pytest.raises(KeyError):
        TABLE.look_up(value, field)


def load(tmp_path: Path, text: str) -> SeverityTable:
    path = tmp_path / "own.toml"
    path.write_text(text, "utf-8")
    return SeverityTable.load(path)


def test_own_file_is_laid_over_the_default(tmp_path: Path) -> None:
    table = load(
        tmp_path,
        '[words]\nBanana = "HIGH"\nwarning = "LOW"\n[kev]\notherwise = "MEDIUM"\n'
        '[numbers.level]\nat_most = 15\n0 = "LOW"\n12 = "HIGH"\n'
        '[numbers.severity]\nat_most = 100\n0 = "LOW"\n[stix.types]\ntool = "HIGH"\n',
    )
    assert table.look_up("banana", "severity") is Severity.HIGH
    assert table.look_up("warning", "severity") is Severity.LOW
    assert table.look_up("error", "severity") is Severity.HIGH
    assert table.look_up(13, "level") is Severity.HIGH
    assert table.look_up(99, "severity") is Severity.LOW, "a scale is replaced whole"
    assert table.kev_otherwise is Severity.MEDIUM
    assert table.kev_ransomware is Severity.CRITICAL
    assert table.stix_types["tool"] is Severity.HIGH


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[word]\na = "HIGH"', "word"),
        ('[words]\na = "HIHG"', "words.a"),
        ("[words]\na = 3", "words.a"),
        ('[kev]\nransom = "HIGH"', "kev.ransom"),
        ('kev = "HIGH"', "kev"),
        ('[numbers.x]\n0 = "LOW"', "numbers.x"),
        ("[numbers.x]\nat_most = 3", "numbers.x"),
        ('[numbers.x]\nat_most = 3\nfive = "LOW"', "numbers.x.five"),
        ('[numbers]\nx = "LOW"', "numbers.x"),
        ('[stix.types]\nrelationship = "LOW"', "stix.types.relationship"),
        ('[stix.confidence]\nlower_below = "x"', "stix.confidence.lower_below"),
        ("words = [", "own.toml"),
    ],
)
def test_errors_name_the_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SettingInvalid, match=named) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match=r"none\.toml"):
        SeverityTable.load(tmp_path / "none.toml")
