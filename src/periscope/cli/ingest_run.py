"""One run of `periscope ingest`: file after file, until the end or until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from periscope.cli import output
from periscope.cli.figures import count
from periscope.cli.ingest_letters import IngestLetters
from periscope.cli.ingest_progress import Progress
from periscope.cli.ingest_source import (
    FileReports,
    is_terminal,
    open_reports,
    shown_name,
)
from periscope.cli.ingest_tally import FileTally, Tally
from periscope.errors import BatchInterrupted, FeedError, PeriscopeError
from periscope.feeds import Feed, ReadOptions, StreamReports

if TYPE_CHECKING:
    from periscope.periscope import Periscope

STOPPING = (signal.SIGINT, signal.SIGTERM)
UNKNOWN = "the last reports may be stored or not, and running it again is safe"

log = logging.getLogger("periscope.cli")


class Run:
    """Takes in files one after the other; a file that cannot be read does not stop the others."""

    def __init__(
        self,
        format_name: str | None,
        options: ReadOptions,
        progress: Progress,
        letters: IngestLetters,
        *,
        as_json: bool,
        wait_s: float = 0.0,
    ) -> None:
        self._format = format_name
        self._options = options
        self._progress = progress
        self._letters = letters
        self._as_json = as_json
        self._wait_s = wait_s
        self._source: FileReports | StreamReports | None = None
        self._tally = Tally()

    async def over(self, periscope: Periscope, paths: Sequence[str]) -> Tally:
        """Take in all files; Ctrl-C or SIGTERM ends it cleanly after what has been read.

        A file that cannot be read is left out; a server that fails ends the run. Both are said
        at once and stand in the tally.
        """
        started = time.monotonic()
        with self._stoppable(), self._progress:
            for path in paths:
                if self._tally.stopped_by or not await self._take_in(periscope, path):
                    break
        self._tally.kept = self._letters.kept
        self._tally.seconds = time.monotonic() - started
        if self._tally.stopped_by:
            self._say_stopped()
        return self._tally

    async def _take_in(self, periscope: Periscope, path: str) -> bool:
        """Take in one file; False when there is no point in going on."""
        tally = FileTally(shown_name(path))
        self._tally.files.append(tally)
        if is_terminal(path):
            output.note("reading from the terminal; Ctrl-D ends it")
        try:
            self._source = source = await open_reports(path, self._format, self._options)
            with contextlib.closing(source):
                feed = await source.opened() if isinstance(source, StreamReports) else source.feed
                if feed is not None:
                    await self._store(periscope, source, feed, tally)
        except PeriscopeError as exc:  # the counts are told, whatever it was
            self._fail(tally, exc)
        finally:
            self._source = None
        return not tally.interrupted

    def _fail(self, tally: FileTally, exc: PeriscopeError) -> None:
        log.debug("%s failed", tally.name, exc_info=exc)
        tally.failure = str(exc)
        tally.interrupted = not isinstance(exc, FeedError)
        output.complain(str(exc), type(exc).__name__, json_wanted=self._as_json)

    async def _store(
        self, periscope: Periscope, reports: Any, feed: Feed, tally: FileTally
    ) -> None:
        tally.format = feed.format
        watching = asyncio.create_task(self._progress.follow(feed))
        try:
            tally.result = await periscope.add_threats_batch(
                reports, wait_s=self._wait_s, rejected=partial(self._letters.take, feed)
            )
        except BatchInterrupted as exc:
            tally.result, tally.refused, tally.unknown = exc.result, exc.refused, exc.unknown
            raise
        except asyncio.CancelledError:
            output.note(f"stopped without waiting for the server: {UNKNOWN}")
            raise
        finally:
            self._letters.flush()
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            tally.read, tally.skipped = feed.read, feed.skipped.copy()
            if tally.refused or tally.unknown:  # a stream's reader may be ahead of what was taken
                tally.refused += max(0, tally.read - tally.accounted)

    @contextlib.contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Let the first signal end the reading, and the second do what it would do without us."""
        before: dict[int, Any] = {}

        def stop(signum: int, frame: FrameType | None) -> None:
            if self._tally.stopped_by:
                self._pass_on(before[signum], signum, frame)
                return
            self._tally.stopped_by = signum
            if self._source is not None:
                self._source.stop()

        before.update({number: signal.signal(number, stop) for number in STOPPING})
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @staticmethod
    def _pass_on(handler: Callable[..., Any] | int, signum: int, frame: FrameType | None) -> None:
        if callable(handler):
            handler(signum, frame)
        else:
            raise KeyboardInterrupt

    def _say_stopped(self) -> None:
        committed = count(self._tally.committed, "report")
        line = f"stopped: {committed} committed, every one of them stored; run it again to go on"
        output.complain(line, "Stopped", json_wanted=self._as_json)
