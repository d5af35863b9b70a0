"""Nothing that a feed says can do more to a terminal than be read."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len, get_character_cell_size

from periscope.cli.text import MARKS_IN_A_ROW, cut, first_line, fit, safe, safe_lines

NASTY = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("\x1b\x07\x08\r\n\t\x7f\x9b\u061c\u200b\u200d\u202e\u2066\u2028\ufeff"),
        st.sampled_from("\u0301\u0489\u20e3\ufe0f\U000e0041\U000e0100\u3164\u115f\u034f\u3000\xa0"),
    )
)
INVISIBLE = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x3164, 0xFE0F, 0xFFA0, 0xE0100}


def is_harmless(text: str) -> bool:
    towers = 0
    for character in text:
        towers = towers + 1 if get_character_cell_size(character) == 0 else 0
        hidden = ord(character) in INVISIBLE or unicodedata.category(character)[0] in "CZ"
        if towers > MARKS_IN_A_ROW or (hidden and character != " "):
            return False
    return True


@given(NASTY)
def test_whatever_comes_out_is_plainly_visible(text: str) -> None:
    assert is_harmless(safe(text))
    assert all(is_harmless(line) for line in safe_lines(text))
    assert is_harmless(first_line(text))


@given(NASTY)
def test_making_safe_twice_changes_nothing(text: str) -> None:
    assert safe(safe(text)) == safe(text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


@given(NASTY, st.integers(0, 40))
def test_cut_and_fit_count_cells(text: str, cells: int) -> None:
    shown = safe(text)
    assert cell_len(cut(shown, cells)) <= cells
    assert cell_len(fit(shown, cells)) == cells
    assert cell_len(fit(shown, cells, right=True)) == cells


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u200bb", "a\\u200bb"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("one\ntwo\tthree\r", "one\\ntwo\\tthree\\r"),
        ("a\xa0b\u3000c", "a b c"),
        ("Zürich 東京 🛡", "Zürich 東京 🛡"),
        ("e\u0301", "e\u0301"),
        ("o" + "\u0301" * 6, "o" + "\u0301" * 4 + "\\u0301\\u0301"),
        ("[bold]x[/bold] :smile:", "[bold]x[/bold] :smile:"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_lines_are_kept_and_other_line_ends_are_shown() -> None:
    assert safe_lines("a\r\nb\n\nc\x0bd\u2028e\rf") == ["a", "b", "", "c\\x0bd\\u2028e\\rf"]


def test_first_line_skips_blank_ones() -> None:
    assert first_line("\n \n  Title \nrest") == "Title"
    assert first_line(" \n ") == ""


def test_wide_characters_are_not_halved() -> None:
    assert cut("東京都", 5) == "東京…"
    assert fit("東京都", 4) == "東… "
