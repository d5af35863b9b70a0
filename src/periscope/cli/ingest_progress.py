"""How far an ingest has come: a bar on a terminal, a line a second elsewhere, or nothing."""

from __future__ import annotations

import asyncio
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from periscope.cli import output
from periscope.cli.figures import bar, size, span
from periscope.cli.text import cut, safe, width_of

if TYPE_CHECKING:
    from rich.text import Text

    from periscope.feeds import Feed

TICK_S = 0.1
LINE_EVERY_S = 1.0
NAME_CELLS = 24
MIN_BAR, MAX_BAR = 5, 40


class Progress:
    """Shows nothing; what the others derive from."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the display."""

    async def follow(self, feed: Feed) -> None:
        """Show how far this feed is, until cancelled."""


def choose_progress(*, quiet: bool, as_json: bool) -> Progress:
    """Return the display for standard error; beside JSON in a file or pipe there is none."""
    if quiet or (as_json and not sys.stderr.isatty()):
        return Progress()
    if output.console(sys.stderr).is_terminal:
        return BarProgress()
    return LineProgress()


class LineProgress(Progress):
    """One line a second on standard error."""

    async def follow(self, feed: Feed) -> None:
        """Write a line each second."""
        state = State(feed)
        while True:
            await asyncio.sleep(LINE_EVERY_S)
            output.note(f"{feed.name}: {state.figures()}")


class BarProgress(Progress):
    """One line on the terminal that is redrawn; gone when the work is done."""

    def __init__(self) -> None:
        from rich.live import Live

        self._console = output.console(sys.stderr)
        self._live: Any = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the line away and give the cursor back."""
        self._live.stop()

    async def follow(self, feed: Feed) -> None:
        """Redraw ten times a second, and once more at the end."""
        state = State(feed)
        try:
            while True:
                self._draw(state)
                await asyncio.sleep(TICK_S)
        finally:
            self._draw(state)

    def _draw(self, state: State) -> None:
        plain = output.is_plain(sys.stderr)
        self._live.update(state.line(self._console.width - 1, plain=plain), refresh=True)


class State:
    """Where one feed stands, in words that fit a width."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._started = time.monotonic()

    def figures(self) -> str:
        """Return records, bytes, rate and what is left, without the name."""
        elapsed = max(time.monotonic() - self._started, 0.001)
        done, total = self._feed.bytes_read, self._feed.bytes_total
        parts = [f"{self._feed.read:,} records"]
        parts.append(f"{size(done)} of {size(total)}" if total else size(done))
        parts.append(f"{self._feed.read / elapsed:,.0f}/s")
        if total and 0 < done < total:
            parts.append(f"{span(elapsed * (total - done) / done)} left")
        return ", ".join(parts)

    def line(self, width: int, *, plain: bool) -> Text:
        """Name, bar and figures in one line; the bar goes first when there is no room."""
        from rich.text import Text

        figures = self.figures()
        name = cut(safe(self._feed.name), min(NAME_CELLS, max(8, width // 4)))
        room = width - width_of(name) - len(figures) - 4
        line = Text(f"{name}  ", no_wrap=True)
        total = self._feed.bytes_total
        if total and room >= MIN_BAR:
            share = self._feed.bytes_read / total
            line.append(bar(share, min(room, MAX_BAR), plain=plain), style="blue")
            line.append("  ")
        line.append(figures)
        line.truncate(max(1, width))
        return line
