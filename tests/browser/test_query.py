"""The language of the filter bar: what is read, what is written again, what the API is asked."""

from __future__ import annotations

import random
from typing import Any

from tests.browser.conftest import Sit
from tests.browser.seat import Seat

NOW_MS = 1_700_000_000_000
PIECES = (
    *("a", "beacon", "-", '"', "\\", " ", "\t", "\u00a0", "*", ",", "..", ":", "é", "\U0001f4a5"),
    *("source:", "-tag:", "severity:", "HIGH", "low", "seen:", "4h", "is:", "mine", "tlp:", "none"),
    *(
        "text:",
        "constructor:",
        "__proto__:",
        "x:",
        "\u202e",
        "\u200b",
        "\ud800",
        "<b>",
        "%00",
        "\n",
    ),
)
MODULE = "document.querySelector('script[type=module]').src.replace('main.js', 'core/NAME.js')"


async def ask(seat: Seat, module: str, function: str, given: Any) -> Any:
    """Return what a function of a module in the page makes of a value."""
    where = MODULE.replace("NAME", module)
    return await seat.page.evaluate(f"(given) => import({where}).then({function})", given)


async def params(seat: Seat, text: str, **more: Any) -> dict[str, Any]:
    given = {"me": "ada", "now": NOW_MS, **more}
    function = "(all) => all.toParams(given[0], given[1])"
    found = await ask(seat, "query", function, [text, given])
    return {name: value for name, value in found.items() if value is not None}


async def problem(seat: Seat, text: str) -> str:
    return str(await ask(seat, "query", "(all) => all.parse(given).problem", text))


def strange_texts(many: int) -> list[str]:
    chance = random.Random(7)
    return ["".join(chance.choices(PIECES, k=chance.randint(0, 10))) for _ in range(many)]


ROUND_TRIP = """(all) => given.filter((text) => {
  const terms = all.parse(text).terms;
  const printed = all.print(terms);
  all.toParams(text);
  return JSON.stringify(all.parse(printed).terms) !== JSON.stringify(terms)
    || all.print(all.parse(printed).terms) !== printed;
})"""
IN_AND_OUT = """(all) => given.filter((text) => ["source", "tag", "text"].some((name) => {
  const value = name === "text" ? "beacon" : text;
  const term = { name, value, not: false };
  const more = all.added(text, term);
  return !all.has(more, term) || all.has(all.without(more, term), term);
}))"""
COMPLETED = """(all) => import(given.query).then(({ parse }) => given.texts.filter((text) => {
  for (let at = 0; at <= text.length; at += 1) {
    const found = all.completions(text, at, { source: { [text]: 3, plain: 1 } });
    for (const item of found.items) {
      const after = all.taken(text, found, item);
      const taken = after.text.slice(found.from, after.caret);
      if (!after.text.startsWith(text.slice(0, found.from))) return true;
      if (item.isWhole && parse(taken).terms.length !== 1) return true;
    }
  }
  return false;
}))"""


async def test_whatever_is_written_reads_back_as_it_was_read(sit: Sit) -> None:
    ada = await sit("ada")
    texts = strange_texts(4000)
    assert await ask(ada, "query", ROUND_TRIP, texts) == []
    assert await ask(ada, "query", IN_AND_OUT, texts) == []
    query = await ada.page.evaluate(MODULE.replace("NAME", "query"))
    given = {"texts": texts[:400], "query": query}
    assert await ask(ada, "query", COMPLETED, given) == []


async def test_what_is_written_is_what_the_api_is_asked(sit: Sit) -> None:
    ada = await sit("ada")
    cases: list[tuple[str, dict[str, Any]]] = [
        ('beacon "known C2" power*', {"text": 'beacon "known C2" power*'}),
        (
            "http://evil.example x:y constructor:z",
            {"text": "http://evil.example x:y constructor:z"},
        ),
        ('source:"my \\"own\\" \\\\ one" tag:C:\\x', {"source": 'my "own" \\ one', "tag": "C:\\x"}),
        ("-source:a -source:b -tlp:none", {"not_source": ["a", "b"], "not_tlp": [""]}),
        ("severity:high", {"severity": "HIGH"}),
        ("severity:HIGH,critical", {"not_severity": ["MEDIUM", "LOW"]}),
        ("severity:HIGH,CRITICAL -severity:HIGH", {"not_severity": ["MEDIUM", "LOW", "HIGH"]}),
        ("is:mine", {"holder": "ada"}),
        ("holder:nobody is:overdue status:open", {"holder": "", "overdue": True}),
        ("holder:constructor", {"holder": "constructor"}),
        ("score:0.5..0.75", {"min_score": "0.5", "max_score": "0.75"}),
        ("score:0.5..<0.75", {"min_score": "0.5", "max_score": 0.75 - 2**-53}),
        ("seen:4h", {"first_seen_from": (NOW_MS - 4 * 3_600_000) // 60_000 * 60_000}),
        (f"active:{NOW_MS}..", {"last_activity_from": NOW_MS}),
    ]
    for text, wanted in cases:
        assert await problem(ada, text) == "", text
        assert await params(ada, text) == wanted, text
    assert await params(ada, "severity:LOW", level=2) == {
        "not_severity": ["CRITICAL", "HIGH", "MEDIUM"]
    }
    day = await params(ada, "seen:2026-01-31")
    assert day["first_seen_until"] - day["first_seen_from"] == 86_400_000


async def test_a_query_that_cannot_be_says_what_to_do(sit: Sit) -> None:
    ada = await sit("ada")
    cases = {
        '"known C2': "close the quote",
        'source:"x': "close the quote of source:",
        "source:": "needs a value",
        "-beacon": 'take the - away, or write "-word"',
        "-status:open": "severity, source, tag, tlp can",
        "severity:SEVERE": "CRITICAL, HIGH, MEDIUM, LOW",
        "source:a source:b": "keep one of them",
        "score:0.9..0.1": "at least (0.7)",
        "seen:2026-02-31": "on a day (2026-01-31)",
        "seen:tomorrow": "30m",
        "is:mine holder:bob": "keep one of them",
        "is:overdue status:closed": "take the status away",
        "is:overdue score:0.5": "take one of them away",
        "-severity:CRITICAL,HIGH,MEDIUM,LOW": "nothing is left",
        " ".join(f"-tag:{at}" for at in range(21)): "at most 20",
    }
    for text, told in cases.items():
        assert told in await problem(ada, text), text


HOUR_TWICE = """(all) => {
  const first = Date.UTC(2026, 9, 25, 0, 30), second = first + 3600000;
  const again = (ms) => all.stretchOf(`${all.written(ms)}..`, 0).from;
  return [first, second, second + 1, 0].map((ms) => [ms, again(ms)]);
}"""


async def test_a_moment_reads_back_as_it_was_even_in_the_hour_that_comes_twice(sit: Sit) -> None:
    ada = await sit("ada", timezone_id="Europe/Berlin")
    for written, read in await ask(ada, "clock", HOUR_TWICE, None):
        assert written == read
