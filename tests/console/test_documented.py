"""The tables of keys and terms that the documentation prints are those of the page."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "src" / "periscope" / "console" / "static" / "js"
COMMANDS = re.compile(r"\{ keys: (?!\[\]).*?\blabel\b")
ASKED_FOR = {*"jkxcnedmiosu./?", "Enter", "Escape", "Ctrl+k"}


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """docs/tables.py, as the build of the documentation has it."""
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(table: str) -> list[list[str]]:
    """The cells of a Markdown table, without its head."""
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


def test_every_command_that_is_bound_is_documented(tables: ModuleType) -> None:
    rows = rows_of(tables.console_keys())
    written = sum(len(COMMANDS.findall(path.read_text())) for path in STATIC.rglob("*.js"))
    assert len(rows) == written + len(tables.pages_of_console())
    assert all(all(row) for row in rows), "a group, keys and a label each"
    keys = {key for row in rows for key in re.findall(r"`([^`]+)`", row[1])}
    assert keys >= ASKED_FOR


def test_every_page_is_one_that_can_be_gone_to(tables: ModuleType) -> None:
    written = (STATIC / "shell" / "pages.js").read_text()
    pages = tables.pages_of_console()
    assert len(pages) == len(re.findall(r'key: "\w"', written)) >= 8
    assert len({key for _, key in pages}) == len(pages)


def test_every_term_of_the_query_language_is_documented(tables: ModuleType) -> None:
    text = (STATIC / "core" / "query.js").read_text()
    written = re.findall(r"^  (\w+): \{ help:", text, re.MULTILINE)
    rows = rows_of(tables.console_terms())
    assert [row[0].strip("`:") for row in rows] == written
    assert len(written) > 10
    assert all(len(row[1]) > 5 for row in rows)
