"""An analyst at a console: what they press, and what they see.

Playwright's `wait_for_function` compiles text in the page, which its policy forbids: wait with
`expect`, or with `wait_until` and `evaluate`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from playwright.async_api import BrowserContext, ConsoleMessage, Page, Request, Response, expect

from tests.api.conftest import Served
from tests.support.nodes import wait_until

PASSWORD = "correct horse battery staple"
EXPECTED = re.compile(r"Failed to load resource")
"""Chromium says so of every answer above 399; which of them are wrong, the seat looks itself."""


class Seat:
    """One browser context with one page; `faults` is what no page may do.

    `allowed` are statuses above 399 that a test provokes; nobody's session (401) is always one.
    """

    def __init__(self, served: Served, name: str, context: BrowserContext) -> None:
        self.served = served
        self.name = name
        self.context = context
        self.page: Page
        self.faults: list[str] = []
        self.allowed: set[int] = {401}

    async def sign_in(self, *scopes: str, where: str = "") -> Page:
        """Make the account if there is none, open the page, sign in, wait for the page."""
        access = self.served.tenant.access
        if self.name not in {one.name for one in await access.accounts()}:
            await access.create_account(self.name, PASSWORD, scopes, by="tests")
        await self.open(where)
        await self.page.get_by_label("Name").fill(self.name)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.keyboard.press("Enter")
        await expect(self.page.locator("header.top")).to_be_visible(timeout=20_000)
        return self.page

    async def open(self, where: str = "") -> Page:
        """Open the console in a new page, and watch it."""
        self.page = await self.context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", self._on_request)
        self.page.on("response", self._on_response)
        self.page.on("dialog", lambda one: self.faults.append(f"dialog: {one.message}"))
        await self.page.goto(f"{self.served.url}/console/{where}")
        return self.page

    async def go(self, where: str) -> None:
        """Go to a page of the console: `#/overdue`."""
        await self.page.evaluate("(hash) => { location.hash = hash; }", where)

    async def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            await self.page.keyboard.press(key)

    async def ids(self) -> list[str]:
        """Return the ids of the rows in their order."""
        found = await self.page.locator(".row[data-id]").evaluate_all(
            "(rows) => rows.map((row) => row.dataset.id)"
        )
        return list(found)

    async def until_ids(self, wanted: Sequence[str]) -> None:
        """Wait until these rows are shown, in this order."""
        await wait_until(lambda: self._shows(list(wanted)), f"rows {wanted}")

    async def _shows(self, wanted: list[str]) -> bool:
        return await self.ids() == wanted

    def row(self, threat_id: str) -> Any:
        """Return the locator of a row."""
        return self.page.locator(f".row[data-id={css_string(threat_id)}]")

    async def here(self) -> str | None:
        """Return the id of the row under the cursor."""
        rows = self.page.locator('.row[data-here="true"]')
        return await rows.get_attribute("data-id") if await rows.count() else None

    async def until_here(self, threat_id: str) -> None:
        """Wait until the cursor is on a row."""
        await expect(self.row(threat_id)).to_have_attribute("data-here", "true")

    async def boxes(self) -> dict[str, tuple[float, float]]:
        """Return where each row stands: its upper edge and its height."""
        found = await self.page.locator(".row[data-id]").evaluate_all(
            "(rows) => rows.map((row) => [row.dataset.id, row.getBoundingClientRect()])"
            ".map(([id, box]) => [id, box.y, box.height])"
        )
        return {name: (top, height) for name, top, height in found}

    def told(self, text: str | re.Pattern[str]) -> Any:
        """Return the locator of messages that say something."""
        return self.page.locator(".toast").filter(has_text=text)

    async def focused(self) -> str:
        """Return what has the focus: its tag, with the id of its row if it is one."""
        return str(
            await self.page.evaluate(
                "() => document.activeElement.tagName + ' ' + "
                "(document.activeElement.dataset.id ?? document.activeElement.name ?? '')"
            )
        ).strip()

    async def leave(self) -> None:
        """Close the browser's window."""
        await self.context.close()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not EXPECTED.search(message.text):
            self.faults.append(f"{message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self.served.url + "/", "data:", "blob:")):
            self.faults.append(f"asked elsewhere: {request.url}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.allowed:
            self.faults.append(f"{response.status} of {response.request.method} {response.url}")


def css_string(text: str) -> str:
    """Return a text as a string of CSS."""
    return '"' + "".join(f"\\{ord(one):x} " for one in text) + '"'
