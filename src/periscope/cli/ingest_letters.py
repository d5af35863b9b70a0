"""What `periscope ingest` cannot read is kept, as what feeds cannot read is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from periscope.errors import FeedError
from periscope.models import Rejection, Unreadable
from periscope.polling.deadletters import DeadLetters, Letter, letter
from periscope.polling.definition import INGEST
from periscope.polling.run import problem_of

if TYPE_CHECKING:
    from periscope.feeds import Feed
    from periscope.settings import Settings

FEED = INGEST
AT_ONCE = 500
AT_ONCE_BYTES = 4 * 1024 * 1024

log = logging.getLogger("periscope.cli")


class IngestLetters:
    """Letters of one run, written some hundreds at a time; where they cannot be, that is said once.

    `kept` counts those that are on disk.
    """

    def __init__(self, letters: DeadLetters | None) -> None:
        self.kept = 0
        self._letters = letters
        self._waiting: list[Letter] = []
        self._waiting_bytes = 0

    def take(self, feed: Feed, rejection: Rejection, item: Any) -> None:
        """Keep what was rejected of a file."""
        if self._letters is None:
            return
        problem = problem_of(rejection, item)
        own = feed.format if isinstance(item, Unreadable) else "ndjson"
        self._waiting.append(letter(FEED, feed.name, problem, format=own))
        self._waiting_bytes += len(problem.excerpt or b"")
        if len(self._waiting) >= AT_ONCE or self._waiting_bytes > AT_ONCE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if self._letters is None or not waiting:
            return
        try:
            self._letters.add(FEED, waiting)
            self.kept += len(waiting)
        except FeedError as exc:
            self._letters = None
            log.warning("what cannot be read is not kept: %s", exc)


def letters_of(settings: Settings | None) -> IngestLetters:
    """Return where letters go by these settings; without any, nowhere."""
    return IngestLetters(None if settings is None else DeadLetters(settings.dead_letters_path))
