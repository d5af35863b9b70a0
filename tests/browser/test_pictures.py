"""The pictures that the documentation shows: made here, and never older than what they show.

`make pictures` (WRITE_PICTURES=1) makes them. Otherwise this asks whether they were made of the
page as it is now, by these files as they are now: not whether every point is the same, which the
fonts of a machine decide.
"""

from __future__ import annotations

import json
import os
import re
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.async_api import expect

from periscope.console import read_assets
from tests.api.conftest import Served
from tests.browser.a_day import Day
from tests.browser.conftest import Sit
from tests.browser.png import MAGIC, repacked
from tests.browser.seat import Seat

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "docs" / "pictures"
MADE = PLACE / "made.json"
SCRIPTS = [Path(__file__).with_name(one) for one in ("test_pictures.py", "a_day.py")]
MOST_BYTES = 250_000
PATIENCE_MS = 30_000  # nothing is measured here, and the machine may be busy
WRITES = bool(os.environ.get("WRITE_PICTURES"))


class Picture(NamedTuple):
    """What is looked at: a page after some keys, once something of it is there."""

    name: str
    page: str
    keys: tuple[str, ...]
    shows: str
    width: int = 1440
    height: int = 810
    scheme: str = "light"
    then: tuple[tuple[str, str], ...] = ()
    """Keys for what is shown by then, and what each brings into view."""


SCORE = '.peek [data-part="score"]'
PICTURES = (
    Picture("queue", "#/queue", ("j", "j"), '.row[data-here="true"]'),
    Picture("peek", "#/queue", ("j", "j", "Enter"), ".peek h2", scheme="dark"),
    Picture("score", "#/queue", ("j", "j", "Enter"), SCORE, then=(("2", f"{SCORE} .curve"),)),
    Picture("outcome", "#/queue", ("j", "o", "4"), "dialog", 1024, 768),
    Picture("keys", "#/queue", ("?",), "dialog", 1024, 768),
    Picture("dashboard", "#/dashboard", (), ".page .card"),
    Picture("narrow", "#/queue", ("j",), '.row[data-here="true"]', 390, 844),
)


def digest(*contents: bytes) -> str:
    """One digest of some files."""
    found = blake2b(digest_size=8)
    for one in contents:
        found.update(b"%d " % len(one) + one)
    return found.hexdigest()


def made_of(name: str) -> dict[str, Any]:
    """What a picture says of itself: the page that it shows, what made it, and which file it is."""
    return {
        "assets": read_assets().digest,
        "script": digest(*(one.read_bytes() for one in SCRIPTS)),
        "picture": digest((PLACE / f"{name}.png").read_bytes()),
    }


@pytest.mark.skipif(WRITES, reason="they are being made")
@pytest.mark.parametrize("name", [one.name for one in PICTURES])
def test_a_picture_shows_the_page_as_it_is(name: str) -> None:
    content = (PLACE / f"{name}.png").read_bytes()
    assert content.startswith(MAGIC)
    assert len(content) < MOST_BYTES
    told = json.loads(MADE.read_text())
    assert told[name] == made_of(name), "the page or the script has changed: `make pictures`"


def test_every_picture_is_shown_and_every_one_shown_is_made() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    shown = {one for page in pages for one in re.findall(r"pictures/(\w+)\.png", page.read_text())}
    assert shown == {one.name for one in PICTURES} == {one.stem for one in PLACE.glob("*.png")}


@pytest.mark.skipif(not WRITES, reason="`make pictures` makes them")
@pytest.mark.timeout(600)
async def test_make_them(served: Served, sit: Sit) -> None:
    expect.set_options(timeout=PATIENCE_MS)
    await Day(served).pass_by()
    for one in PICTURES:
        size = {"width": one.width, "height": one.height}
        seat = await sit("ada", viewport=size, color_scheme=one.scheme, reduced_motion="reduce")
        await taken(seat, one)
        await seat.leave()
    MADE.write_text(json.dumps({one.name: made_of(one.name) for one in PICTURES}, indent=2) + "\n")


async def taken(seat: Seat, one: Picture) -> None:
    """Go there, press the keys, wait until it stands still, and keep what is seen."""
    await expect(seat.page.locator(".row[data-id]").first).to_be_visible()
    if one.page != "#/queue":
        await seat.go(one.page)
    await seat.press(*one.keys)
    await expect(seat.page.locator(one.shows).first).to_be_visible()
    await expect(seat.page.locator('[aria-busy="true"]')).to_have_count(0)
    for key, brings in one.then:
        await seat.press(key)
        await expect(seat.page.locator(brings)).to_be_in_viewport(ratio=1)
    PLACE.mkdir(exist_ok=True)
    await expect(seat.page.get_by_text("Reading")).to_have_count(0)
    content = await seat.page.screenshot(animations="disabled")
    (PLACE / f"{one.name}.png").write_bytes(repacked(content))
