"""Every format that is installed keeps the promises of `Format`; anybody's can be added."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from io import BytesIO

import pytest

from periscope.errors import FeedError
from periscope.feeds import format_names, open_feed, registry
from periscope.feeds.registry import all_formats, by_name
from periscope.feeds.testing import check_format
from periscope.models import Report
from tests.feeds.support import REPO, refusal

FOLDER = REPO / "src" / "periscope" / "feeds" / "formats"


@pytest.mark.parametrize("name", format_names())
def test_a_format_keeps_its_promises(name: str) -> None:
    check_format(by_name(name))


@pytest.mark.parametrize("name", format_names())
def test_its_example_is_detected_and_gives_reports(name: str) -> None:
    with open_feed(BytesIO(by_name(name).example)) as feed:
        items = list(feed)
    assert feed.format == name
    assert items
    assert all(isinstance(item, Report) for item in items)


def test_each_file_is_one_format() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    listed = project["entry-points"]["periscope.formats"]
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert {value.split(":")[0].rpartition(".")[2] for value in listed.values()} == files
    assert set(listed) == set(format_names())


def test_a_format_that_cannot_be_imported_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = EntryPoint("acme", "no_such_package:Acme", registry.GROUP)
    monkeypatch.setattr(registry, "_entries", lambda: {"acme": broken})
    assert all_formats.__wrapped__() == ()
    assert "acme is left out" in caplog.text
    with pytest.raises(FeedError) as caught:
        by_name("acme")
    assert "no_such_package" in refusal(caught.value)
