"""The house stays as it was meant: rooms, floors, sizes, and a public face that is complete."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import periscope

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "periscope"
MODULES = sorted(SOURCE.rglob("*.py"))

# From the ground up: a module may import what stands before it, and its own room.
FROM_THE_GROUND_UP = """
    error_root errors spans config service_settings settings
    policy scoring models marks
    threat work positions key_table keys feed_keys access_keys console_keys header
    server connection awaits library rules specs functions calls rank_queries
    suppressed cursor ledger archive rejections intake acts batches
    chunks lines lane noise batch bound room coalesce gathered
    engine reader suppression membership
    queries knowledge analysts trail keeping waking events
    database aside following records desk preview noise_desk periscope
    documents past spliced exporting shapes
    client
    access hub
    feeds index
    rows
    metrics kpis
    workers backup moving
    metrics kpis board views
    workers timeline backup moving
    polling
    console
    api
    bench
    cli __main__
"""
FLOORS = FROM_THE_GROUND_UP.split()
# The few exceptions to the sizes, with their numbers: the list only shrinks.
LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}


def room(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Rooms that a module imports, but for those that only its types need."""
    tree = ast.parse(path.read_text())
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("periscope."):
            yield (node.module or "").split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("periscope."))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    here = room(path)
    if here == "__init__":
        return
    below = FLOORS[: FLOORS.index(here) + 1]
    assert set(imports(path)) <= set(below)


def test_feeds_know_nothing_of_the_store() -> None:
    for path in (SOURCE / "feeds").rglob("*.py"):
        for_tests = {"intake"} if path.name == "testing.py" else set[str]()
        assert set(imports(path)) <= {"errors", "models", "feeds"} | for_tests, path.name


def test_the_client_knows_nothing_of_the_store() -> None:
    for path in (SOURCE / "client").rglob("*.py"):
        assert set(imports(path)) <= {"errors", "models", "batches", "shapes", "client"}, path.name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    name = str(path.relative_to(SOURCE))
    assert text.count("\n") <= LONG_FILES.get(name, 400)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= LONG_FUNCTIONS.get(f"{name}:{node.name}", 40), node.name


def test_the_public_face_is_sorted_and_complete() -> None:
    assert periscope.__all__ == sorted(periscope.__all__)
    for name in periscope.__all__:
        assert getattr(periscope, name).__doc__, name
    errors = {
        name
        for name, kind in vars(periscope.errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert errors <= set(periscope.__all__)


def test_the_tree_of_errors_is_drawn_whole() -> None:
    drawn = set(re.findall(r"[├└─│ ]+(\w+)  ", periscope.errors.__doc__ or ""))
    kinds = {
        name
        for name, kind in vars(periscope.errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert drawn == kinds


def test_keys_are_named_in_one_place() -> None:
    for path in MODULES:
        if path.name not in ("keys.py", "tables.py"):
            assert not re.search(r'b":(meta|board|ledger|sources|short|long|t:)', path.read_text())


def test_nothing_is_connected_or_read_at_import() -> None:
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
                raise AssertionError(f"{path.name}:{node.lineno} does something at import")


def test_the_internals_page_names_every_room() -> None:
    page = (ROOT / "docs" / "explanation" / "internals.md").read_text()
    named = set(re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|lua)|[\w/]+/)`", page))
    for path in MODULES:
        name = str(path.relative_to(SOURCE))
        folder = f"{Path(name).parts[0]}/"
        assert name in named or folder in named, f"{name} is not on the internals page"
    for path in (SOURCE / "lua").glob("*.lua"):
        assert path.name in named, f"{path.name} is not on the internals page"
    for name in named:
        here = (SOURCE / name, ROOT / name, SOURCE / "lua" / name, SOURCE / "server" / name)
        assert any(place.exists() for place in here), f"{name} is on the page but not there"


def test_the_version_stands_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{periscope.__version__}]" in changelog
    assert f'version = "{periscope.__version__}"' in (ROOT / "pyproject.toml").read_text()
