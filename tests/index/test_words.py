"""Words: the same for a text and for a question, whoever wrote either, in whatever script."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from periscope.errors import UsageError
from periscope.index.words import read_phrases, words

TEXTS = st.text(
    st.sampled_from("ab1 _.:*\"'-/[](){}éßÀ攻撃がรักK\u0301\u200b\x00\x1fNEAROTD"), max_size=40
)


def finds(question: str, text: str) -> bool:
    return all(phrase.pattern in words(text) for phrase in read_phrases(question))


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("evil.example", "at hxxp://evil[.]example/x"),
        ("hxxp://evil[.]example", "GET http://evil.example/login"),
        ("evil[dot]example", "evil.example"),
        ("hxxps://a(.)b", "https://a.b"),
        ("STRASSE", "straße"),
        ("cafe", "CAFÉ"),
        ("café", "cafe\u0301"),
        ("攻撃", "大規模な攻撃です"),
        ("สวัส", "สวัสดี"),
        ("ﬁle", "FILE"),
        ("wid*", "ＷＩＤＥ"),
        ('"two words"', "Two  words."),
        ("CVE-2021-44228", "see cve 2021 44228"),
        ("10.0.0.*", "10.0.0.77"),
        ("10.0.0.7*", "10.0.0.77"),
        ("мир", "МИР"),
        ("words two", "two words"),
        ("a" * 200, "x " + "A" * 200 + " y"),
    ],
)
def test_found(question: str, text: str) -> None:
    assert finds(question, text)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("evil.example", "example.evil"),
        ('"two words"', "words two"),
        ("撃攻", "攻撃"),
        ("evil", "evilness"),
        ("10.0.0.7", "10.0.0.77"),
        ("two OR words", "two words"),
        ("NOT two", "one"),
    ],
)
def test_not_found(question: str, text: str) -> None:
    assert not finds(question, text)


@pytest.mark.parametrize(
    "question",
    ["", "   ", "!!!", '"', '""', "*", "a*", "\x00", "_", "x" * 1025, "x " * 33, "-" * 999],
)
def test_what_cannot_be_asked_is_one_clear_error(question: str) -> None:
    with pytest.raises(UsageError, match=r"^(text has|give at least)"):
        read_phrases(question)


@given(st.lists(TEXTS, min_size=1, max_size=5), TEXTS)
def test_the_full_text_index_agrees_with_the_plain_comparison(
    texts: list[str], question: str
) -> None:
    try:
        phrases = read_phrases(question)
    except UsageError:
        return
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'ascii')")
    for row, text in enumerate(texts):
        connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (row, words(text)))
    match = " AND ".join(phrase.match for phrase in phrases)
    rows = connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (match,)).fetchall()
    connection.close()
    assert {row for (row,) in rows} == {
        row
        for row, text in enumerate(texts)
        if all(phrase.pattern in words(text) for phrase in phrases)
    }
