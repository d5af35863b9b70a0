"""`periscope feeds run`: feeds run now, one after the other, with progress."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope.cli import output
from periscope.cli.feeds import Names
from periscope.cli.feeds_told import ended_lines
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions

if TYPE_CHECKING:
    from periscope.cli.ingest_progress import Progress
    from periscope.feeds import Feed
    from periscope.polling import Ended
    from periscope.polling.run import Run

SOME_REJECTED = 3
STOPPING = (signal.SIGINT, signal.SIGTERM)


async def run(
    names: Names,
    /,
    *,
    quiet: Annotated[bool, Parameter(help="Show no progress.", show_default=False)] = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Run feeds now."""
    from periscope.cli.ingest_progress import choose_progress
    from periscope.polling import Feeds

    ended: list[Ended] = []
    async with store.open() as periscope:
        feeds, stopping = Feeds(periscope), _Stopping()
        with stopping.watch(), choose_progress(quiet=quiet, as_json=out.as_json) as progress:
            for name in names:
                watching = _Watching(progress)
                try:
                    ended.append(await feeds.run_feed(name, told=watching.told, halt=stopping.halt))
                except BaseException:
                    if ended:  # what was done is told as well as what could not be
                        _show(ended, out)
                    raise
                finally:
                    await watching.end()
                if stopping.signal:
                    break
    _show(ended, out)
    return _exit_code(ended, stopping.signal)


def _show(ended: list[Ended], out: OutputOptions) -> None:
    from periscope.polling import told

    if out.as_json:
        output.show_json({"runs": [told.run(one) for one in ended]})
    else:
        output.write("".join(f"{line}\n" for one in ended for line in ended_lines(one)))


def _exit_code(ended: list[Ended], stopped_by: int) -> int:
    if stopped_by:
        return 128 + stopped_by
    if any(one.error is not None or one.lost for one in ended):
        return 1
    return SOME_REJECTED if any(one.counts.rejected for one in ended) else 0


class _Stopping:
    """The first signal ends the run after what it has in hand, the second at once."""

    def __init__(self) -> None:
        self.halt = asyncio.Event()
        self.signal = 0

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one

        def stop(number: int) -> None:
            if self.signal:
                task.cancel()
            self.signal = number
            self.halt.set()

        before = {number: signal.getsignal(number) for number in STOPPING}
        for number in STOPPING:
            loop.add_signal_handler(number, stop, number)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)


class _Watching:
    """Shows the document at hand, for as long as it is at hand."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._feed: Feed | None = None
        self._task: asyncio.Task[None] | None = None

    def told(self, run: Run) -> None:
        """Show another document from now on, if it is another one."""
        feed = None if run.reading is None else run.reading.feed
        if feed is self._feed or feed is None:
            return
        self._feed = feed
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._progress.follow(feed))

    async def end(self) -> None:
        """Show nothing any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
