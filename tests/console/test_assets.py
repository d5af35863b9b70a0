"""The console's files: small, packed, ours or known, and free of what could run a threat's text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from periscope.console import read_assets
from tests.browser.vendoring import FILES, VENDOR, digest

STATIC = VENDOR.parent
OURS = sorted((*(STATIC / "js").rglob("*.js"), *(STATIC / "css").rglob("*.css")))
BUDGET_BYTES = 150_000
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|"
    r"dangerouslySetInnerHTML|setAttribute\(|\bsetTimeout\(\s*[\"'`]|javascript:|https?://"
)
"""Nothing of ours makes markup or code of text, or knows another origin."""
LONGEST_FILE, LONGEST_LINE = 400, 180


def test_all_files_together_are_small() -> None:
    assert read_assets().pack() < BUDGET_BYTES


def test_what_is_vendored_is_what_was_taken() -> None:
    record = json.loads((VENDOR / "vendored.json").read_text())
    assert set(record["files"]) == set(FILES)
    for name, told in record["files"].items():
        assert digest((VENDOR / name).read_text()) == told["sha256_here"], name
    for one in record["packages"]:
        plain = one["name"].lstrip("@").replace("/", "-")
        assert (VENDOR / f"LICENSE-{plain}").stat().st_size > 500
        assert one["version"]
        assert one["license"]
    here = {path.name for path in VENDOR.glob("*.js")} | {
        path.name for path in VENDOR.glob("*.css")
    }
    assert here == set(FILES)


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(STATIC)))
def test_a_file_of_ours_is_short_and_makes_nothing_of_text(path: Path) -> None:
    text = path.read_text()
    assert not FORBIDDEN.search(text.replace("http://www.w3.org/2000/svg", ""))
    lines = text.splitlines()
    assert len(lines) <= LONGEST_FILE
    assert max(map(len, lines)) <= LONGEST_LINE
    assert lines[0].startswith(("//", "/*")), "the first line says what it is for"


def test_every_import_is_of_a_file_that_is_there() -> None:
    pattern = re.compile(r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)["']""")
    for path in (STATIC / "js").rglob("*.js"):
        for target in pattern.findall(path.read_text()):
            assert (path.parent / target).resolve().is_file(), f"{path.name}: {target}"


def test_the_page_names_the_digest_and_every_early_module() -> None:
    assets = read_assets()
    page = assets.page.plain.decode()
    assert "{base}" not in page
    assert f"/console/{assets.digest}/js/main.js" in page
    assert f'modulepreload" href="/console/{assets.digest}/js/list/list.js' in page
    assert "js/pages/dashboard" not in page
    for address in re.findall(r'(?:href|src)="([^"]+)"', page):
        name = address.removeprefix(f"/console/{assets.digest}/")
        assert name in assets.files
