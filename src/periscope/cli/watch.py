"""`periscope top --watch`: the queue as it changes, on a screen or as a stream of documents."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.text import Text

from periscope.cli import output
from periscope.cli.look import caption, document, look
from periscope.cli.options import StoreOptions
from periscope.cli.queue import QueueTable
from periscope.cli.text import fit, safe
from periscope.errors import StoreError

if TYPE_CHECKING:
    from rich.console import Console

    from periscope.threat import Threat

INSIST_S = 0.5
LINES_AROUND = 3
"""Lines of the screen that are no threats: the header, the caption, the state of the server."""


async def watch_json(store: StoreOptions, limit: int, interval_s: float) -> int:
    """One document a look, until cancelled; a lost server ends it with its error."""
    async with store.open() as periscope:
        while True:
            output.show_json(document(*await look(periscope, limit)))
            await asyncio.sleep(interval_s)


async def watch_screen(store: StoreOptions, limit: int, interval_s: float) -> int:
    """Follow the queue on the whole screen until cancelled; a lost server is waited for.

    Raises:
        StoreError: the server could not even be reached once.
    """
    screen = output.console()
    view = View(screen)
    insisting = asyncio.create_task(_insist(asyncio.current_task()))
    try:
        with Live(view.render(), console=screen, screen=True, auto_refresh=False) as live:
            while True:
                try:
                    await _follow(store, limit, interval_s, view, live)
                except StoreError as exc:
                    if not view.looked:
                        raise
                    view.trouble = str(exc)
                    live.update(view.render(), refresh=True)
                _heed()
                await asyncio.sleep(interval_s)
    finally:
        insisting.cancel()


async def _insist(task: asyncio.Task[Any] | None) -> None:
    """Say again to a task that was told to end and goes on: what it awaits may have dropped it.

    It is not counted as told twice, so that the first Ctrl-C stays the one that ended it.
    """
    while task is not None:
        await asyncio.sleep(INSIST_S)
        if task.cancelling():
            task.cancel()
            task.uncancel()


async def _follow(
    store: StoreOptions, limit: int, interval_s: float, view: View, live: Live
) -> None:
    """Look again and again, from a fresh start, until the server is lost."""
    async with store.open() as periscope:
        while True:
            view.take(*await look(periscope, limit))
            _heed()
            live.update(view.render(), refresh=True)
            await asyncio.sleep(interval_s)


def _heed() -> None:
    """Leave where Ctrl-C came with an answer: what is awaited may drop a cancellation."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class View:
    """What the screen shows: the last look, and whether it is still true."""

    def __init__(self, screen: Console) -> None:
        self.looked = False
        self.trouble = ""
        self._screen = screen
        self._threats: list[Threat] = []
        self._queue = 0

    def take(self, threats: list[Threat], queue: int) -> None:
        """Show a new look; the server is there."""
        self.looked, self.trouble = True, ""
        self._threats, self._queue = threats, queue

    def render(self) -> Group:
        """Return the screen, fitted to its size of this moment."""
        width, height = self._screen.size
        if not self._threats:
            empty = "The queue is empty: no open threats." if self.looked else "Connecting ..."
            return Group(Text(empty), self._state(width))
        shown = self._threats[: max(1, height - LINES_AROUND)]
        table = QueueTable(shown, width, plain=output.is_plain())
        return Group(
            table.header(), *table.rows(shown), caption(shown, self._queue), self._state(width)
        )

    def _state(self, width: int) -> Text:
        if not self.trouble:
            return Text(fit("Ctrl-C leaves", width), style="dim", end="")
        line = f"SERVER LOST, trying again: {safe(self.trouble)}"
        return Text(fit(line, width), style="bold red", end="")
