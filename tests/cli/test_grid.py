"""Plain tables: never wider than the screen while that can be, and harmless whatever is in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from periscope.cli import grid
from periscope.cli.grid import GAP, NARROWEST, fitted
from tests.cli.test_text import NASTY, is_harmless

HEADS = ("AT", "WHO", "TITLE")


@given(st.lists(st.tuples(NASTY, NASTY, NASTY), max_size=5), st.integers(9 + 2 * GAP, 150))
def test_a_table_fits(rows: list[tuple[str, str, str]], width: int) -> None:
    widths = fitted([HEADS, *rows], width)
    assert sum(widths) + GAP * (len(widths) - 1) <= width
    assert min(widths) >= min(NARROWEST, len("AT"))


def test_free_text_gives_way_first() -> None:
    rows = [HEADS, ("2026-01-31T12:00:00.250Z", "alice", "t" * 60)]
    assert fitted(rows, 200) == [24, 5, 60]
    assert fitted(rows, 80) == [24, 5, 47]
    assert fitted(rows, 40) == [15, 5, 16]


def test_hostile_cells_are_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    grid.show(HEADS, [("\x1b[2J", "a\nb", "[bold]x\u202e")])
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == list(HEADS)
    assert is_harmless(row)
    assert row.split() == ["\\x1b[2J", "a\\nb", "[bold]x\\u202e"]
