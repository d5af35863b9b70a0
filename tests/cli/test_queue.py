"""The table of threats: what fits, and that a line never runs over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from periscope import Level, Policy, Severity, Status, Threat
from periscope.cli.queue import QueueTable, title
from tests.cli.conftest import HOSTILE
from tests.cli.test_text import NASTY, is_harmless


def threat(**fields: object) -> Threat:
    values: dict[str, object] = {
        **dict.fromkeys(Threat.__dataclass_fields__, 0),
        "threat_id": "t1",
        "severity": Severity.HIGH,
        "level": Level.WORKING,
        "status": Status.OPEN,
        "home": None,
        "content": "first\nsecond",
        "metadata": {},
        "source": "edr",
        "policy": Policy(),
        **fields,
    }
    return Threat(**values)  # type: ignore[arg-type]


@given(NASTY, NASTY, NASTY, st.integers(40, 220), st.booleans())
def test_a_line_is_never_wider_than_the_screen(
    threat_id: str, content: str, source: str, width: int, plain: bool
) -> None:
    one = threat(threat_id=threat_id, content=content, source=source)
    table = QueueTable([one], width, plain=plain)
    for line in (table.header(), table.row(1, one)):
        assert cell_len(line.plain) <= width
        assert is_harmless(line.plain)
        assert "\n" not in line.plain


@pytest.mark.parametrize(("width", "shown"), [(48, "C"), (80, "CRITICAL"), (120, "CRITICAL")])
def test_severity_is_always_written_out_or_its_letter(width: int, shown: str) -> None:
    one = threat(severity=Severity.CRITICAL)
    table = QueueTable([one], width)
    assert shown in table.row(1, one).plain.split()
    assert ("SEVERITY" in table.header().plain) == (shown == "CRITICAL")


def test_a_wide_screen_has_every_column_and_a_narrow_one_the_needed() -> None:
    wide = QueueTable([threat()], 120).header().plain.split()
    narrow = QueueTable([threat()], 60).header().plain.split()
    assert wide == ["#", "SCORE", "SEVERITY", "TITLE", "SOURCE", "ID", "AGE", "INT/ESC/SEE"]
    assert set(narrow) >= {"#", "SCORE", "TITLE", "ID", "AGE"}


def test_the_title_is_the_best_there_is() -> None:
    assert title(threat(metadata={"title": " Named "})) == "Named"
    assert title(threat(metadata={"title": 7})) == "first"
    assert title(threat(content=" \n")) == "t1"
    assert title(threat(metadata=HOSTILE["metadata"])).startswith("[link=http://x]t\\x1b[0m")


def test_ranks_of_a_long_walk_have_room() -> None:
    table = QueueTable([threat()], 120, ranks=1_234_567)
    assert table.row(1_234_567, threat()).plain.startswith("1234567 ")
