"""Times as sources write them: the short ways say what the long one says."""

from __future__ import annotations

import random

import pytest

from periscope.feeds.moments import _any_text_ms, moment_ms, ms_text, rfc3339

FORMS = (
    "2017-04-07T22:24:37.251547+0100",
    "2017-04-07T22:24:37.251547",
    "2017-04-07 22:24:37.251Z",
    "2017-04-07T22:24:37.25Z",
    "2017-04-07T22:24:37.251547000Z",
    "2017-04-07T22:24:37.251-05:30",
    "1960-04-07T22:24:37.251547+01:00",
    "1507591916746609046",
    "1715931011.251",
    "2017-04-07T22:24:37.",
    "20170407T222437.251Z",
)


def outcome(text: str, short: bool) -> int | None:
    try:
        return moment_ms(text) if short else _any_text_ms(text)
    except ValueError:
        return None


@pytest.mark.parametrize("form", FORMS)
def test_the_short_way_agrees_with_the_long_one(form: str) -> None:
    generator = random.Random(form)
    for _ in range(500):
        letters = list(form)
        for _ in range(generator.randint(0, 2)):
            letters[generator.randrange(len(letters))] = generator.choice("0123456789Z+-.:T ٣")
        text = "".join(letters)
        assert outcome(text, short=True) == outcome(text, short=False), text


def test_as_text() -> None:
    assert rfc3339("2017-04-07T22:24:37.251547+0100") == "2017-04-07T21:24:37.251Z"
    assert ms_text(1_000) == "1970-01-01T00:00:01Z"
    assert ms_text(-1) == "1969-12-31T23:59:59.999Z"
    assert moment_ms(ms_text(1_715_931_011_007)) == 1_715_931_011_007
