"""`periscope formats`: all that are installed, and one with its example and its mapping."""

from __future__ import annotations

from periscope.feeds import format_names
from periscope.feeds.registry import by_name
from tests.cli.conftest import Program


def test_all_are_listed_and_none_needs_a_server(held: Program) -> None:
    done, told = held("formats"), held("formats", "--json").document["formats"]
    assert (done.code, done.err) == (0, "")
    names = [line.split()[0] for line in done.out.splitlines()]
    assert names == ["FORMAT", *format_names()]
    assert [one["name"] for one in told] == list(format_names())
    assert all(one["title"] and one["one_report_is"] for one in told)


def test_one_shows_its_example_and_its_mapping(held: Program) -> None:
    done, told = held("formats", "KEV"), held("formats", "kev", "--json").document
    kev = by_name("kev")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"kev: {kev.title}\n")
    assert all(f"    {line}".rstrip() in done.out for line in kev.example.decode().splitlines())
    assert "threat_id" in done.out
    assert told["example"] == kev.example.decode()
    assert [(row["field"], row["from"]) for row in told["mapping"]] == list(kev.mapping)


def test_one_that_is_not_there(held: Program) -> None:
    done = held("formats", "xml")
    assert done.code != 0
    assert "there is no such format; one of " in done.err
    assert done.err.count("\n") == 1
