"""MISP feeds: a manifest that names events, and a file for each; only what moved is fetched.

https://www.misp-project.org/feeds/. The manifest comes from a stranger, and its keys become paths:
so only what is a UUID, letter by letter, does.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
from collections.abc import AsyncGenerator

import msgspec
import xxhash
from yarl import URL

from periscope.errors import FeedError, FetchFailed
from periscope.polling.answers import Answered, AnsweredLater
from periscope.polling.document import NOTHING, Document, FetchOptions, Position
from periscope.polling.fetch import Client, Fetcher, contents
from periscope.polling.guard import shown
from periscope.polling.misp_known import Event, Known, known_of

log = logging.getLogger("periscope")

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
MAX_EVENTS = 10_000
"""Fetched in one run; the next run goes on from there."""
MAX_FAILED_IN_A_ROW = 10
MAX_LATE = 200
UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
STAMP = re.compile(r"[0-9]{1,15}\Z")
FORMAT = "misp"


class _Entry(msgspec.Struct):
    timestamp: int | str = ""


class MispSource:
    """Gives the events of the feed at `place` (its folder, or its manifest) that are new or moved.

    Position: {"known": what has been read (`Known`), "late": uuids of events whose fetching failed
    so often that the others go first}.
    """

    def __init__(self, place: str, client: Client, options: FetchOptions) -> None:
        self._place = place
        self._client = client
        self._options = options
        self._run: _Run | None = None

    async def documents(self, position: Position | None) -> AsyncGenerator[Document, None]:
        """Give each event as a document, oldest first; see `Source`.

        An event that cannot be fetched does not stop the others: it is asked for again by the next
        run, and the first such error is raised at the end. After ten in a row that failed in a way
        that may pass, the run ends.
        """
        async with self._client.fetcher(self._place, self._options) as fetcher:
            events = await _manifest(fetcher)
            run = self._run = await asyncio.to_thread(_Run, events, position or {})
            for event in run.todo[:MAX_EVENTS]:
                try:
                    yield await self._document(fetcher, run, event)
                except FeedError as exc:
                    run.failed(event, exc)
                if run.is_over:
                    break
        if run.set_back:
            name = shown(fetcher.place)
            yield Document(name, io.BytesIO(), NOTHING, run.position(), FORMAT)
        if run.problem is not None:
            raise run.problem

    def refuse(self, _: Document, reason: str) -> None:
        """Take note that the event given last could not be opened: the next run asks again."""
        if self._run is not None:
            self._run.take_back(FeedError(reason))

    async def _document(self, fetcher: Fetcher, run: _Run, event: Event) -> Document:
        found = await fetcher.get(_beside(fetcher.place, f"{event.uuid}.json"))
        run.read(event)
        return Document(found.name, found.file, found.sha256, run.position(), FORMAT)


class _Run:
    """What is to be fetched in this run, and what became of it."""

    def __init__(self, events: list[Event], position: Position) -> None:
        unread = Known.load(position.get("known")).unread(events)
        self._known = known_of(events, unread)
        stored = position.get("late")
        late = set(map(str, stored)) if isinstance(stored, list) else set()
        self._late = [event.uuid for event in unread if event.uuid in late][:MAX_LATE]
        self.todo = sorted(unread, key=lambda event: (event.uuid in late, event))
        self.problem: FeedError | None = None
        self.is_over = self.set_back = False
        self._failures: list[str] = []
        self._given: list[Event] = []

    def read(self, event: Event) -> None:
        """Count an event as read, once its document is acknowledged."""
        self._known.add(event)
        self._given = [event]
        self._late = [uuid for uuid in self._late if uuid != event.uuid]
        self._failures = []

    def take_back(self, exc: FeedError) -> None:
        """The event given last was not read after all."""
        self.problem = self.problem or exc
        for event in self._given:
            self._known.take_back(event)
        self._given = []

    def failed(self, event: Event, exc: FeedError) -> None:
        """Note a failure; the run is over where the server asks for a pause, or seems down."""
        self.problem = self.problem or exc
        if isinstance(exc, FetchFailed):
            self._failures.append(event.uuid)
        if len(self._failures) >= MAX_FAILED_IN_A_ROW:
            kept = [uuid for uuid in self._late if uuid not in self._failures]
            self._late = [*kept, *self._failures][-MAX_LATE:]
            self.is_over = self.set_back = True
        if _asks_to_stop(exc):
            self.problem, self.is_over = exc, True

    def position(self) -> Position:
        """Return the position as of now."""
        return {"known": self._known.stored(), "late": self._late}


def _asks_to_stop(exc: FeedError) -> bool:
    return isinstance(exc, Answered | AnsweredLater) and exc.status in (401, 429, 503)


async def _manifest(fetcher: Fetcher) -> list[Event]:
    url = _beside(fetcher.place, MANIFEST)
    found = await fetcher.get(url, max_bytes=MAX_MANIFEST_BYTES)
    raw = await contents(found, MAX_MANIFEST_BYTES)
    try:
        events, unfit = await asyncio.to_thread(_events, raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FeedError(f"{found.name}: no manifest of a MISP feed; check the URL") from None
    if unfit:
        log.warning("%s: %d entries have no UUID and are passed over", found.name, unfit)
    return events


def _events(raw: bytes) -> tuple[list[Event], int]:
    """Return a manifest's events, and how many entries are none."""
    if raw.strip() == b"[]":  # how PHP writes an empty object
        return [], 0
    entries = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    events = [_event(uuid, bytes(entry)) for uuid, entry in entries.items() if UUID.match(uuid)]
    return events, len(entries) - len(events)


def _event(uuid: str, raw: bytes) -> Event:
    """An entry without a usable timestamp is another version whenever anything in it changes."""
    try:
        text = str(msgspec.json.decode(raw, type=_Entry).timestamp)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = ""
    if STAMP.match(text):
        return Event(int(text), uuid, text)
    return Event(0, uuid, f"~{xxhash.xxh3_64_hexdigest(raw)}")


def _beside(place: URL, name: str) -> URL:
    """Return the URL of a file of the feed: in its folder, with its query."""
    folder = place.raw_path
    if folder.endswith(".json"):
        folder = folder.rpartition("/")[0]
    path = f"{folder.rstrip('/')}/{name}"
    return place.with_path(path, encoded=True, keep_query=True).with_fragment(None)
