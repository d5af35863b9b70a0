"""TAXII 2.1: collections read page by page, each gone on with from where it was left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime

from periscope.errors import FeedError, FetchFailed
from periscope.polling.answers import Answered, AnsweredLater
from periscope.polling.document import NOTHING, Document, FetchOptions, Position
from periscope.polling.fetch import Client, Fetched, Fetcher
from periscope.polling.guard import shown
from periscope.polling.taxii_page import Page, moment, read_page
from periscope.polling.taxii_places import (
    MAX_COLLECTIONS,
    MEDIA_TYPE,
    Collection,
    Found,
    collections,
)
from periscope.polling.taxii_walk import Walk

PAGE_OBJECTS = 1_000
MAX_PAGES = 10_000
"""Of a collection in one run; the next run goes on from there."""
MAX_IDLE_PAGES = 5
"""Pages one after another that claim more and bring nothing that this run has not seen."""
MAX_FAILURES = 3
"""Collections that fail in one run before the others are left for the next."""
NOT_OF_THE_TOKEN = frozenset({401, 403, 429, 503})
FORMAT = "stix"


class TaxiiSource:
    """Gives the pages of the collections at `place`: a discovery, an API root or one collection.

    Position: {"collections": {key: a `Walk` as stored}}. A document is a page as it was received,
    or empty where a walk came to its end without another object.
    """

    def __init__(self, place: str, client: Client, options: FetchOptions) -> None:
        self._place = place
        self._client = client
        self._options = options
        self._start = _start(options.added_after)
        self._stored: dict[str, object] = {}

    async def documents(self, position: Position | None) -> AsyncGenerator[Document, None]:
        """Give the new pages of each collection in turn; see `Source`.

        What is wrong with one collection is raised after the others have been read, but for a
        server that asks for a pause, or fails again and again.
        """
        async with self._client.fetcher(self._place, self._options) as fetcher:
            found = await collections(fetcher, self._options.collections)
            self._stored = _kept(position, found)
            failures = 0
            for one in found.collections.values():
                try:
                    async with aclosing(self._collection(fetcher, one)) as documents:
                        async for document in documents:
                            yield document
                except FeedError as exc:
                    found.blame(exc)
                    failures += isinstance(exc, FetchFailed)
                    if _asks_for_a_pause(exc):
                        raise
                    if failures >= MAX_FAILURES:
                        break
        if found.problem is not None:
            raise found.problem

    async def _collection(
        self, fetcher: Fetcher, one: Collection
    ) -> AsyncGenerator[Document, None]:
        """Go on with the walk that was left, or begin one.

        A `next` that was kept may have expired, and some servers answer it with nothing for ever.
        So where it brings nothing, the collection is walked anew.
        """
        walk = Walk.load(self._stored.get(one.key), self._start)
        if walk.under_way:
            given = False
            try:
                async with aclosing(self._pages(fetcher, one, walk)) as pages:
                    async for document in pages:
                        given = True
                        yield document
            except FeedError as exc:
                if given or not _may_be_the_token(exc):
                    raise
            if given:
                return
            walk = walk.anew()
        async with aclosing(self._pages(fetcher, one, walk)) as pages:
            async for document in pages:
                yield document

    async def _pages(
        self, fetcher: Fetcher, one: Collection, walk: Walk
    ) -> AsyncGenerator[Document, None]:
        resumed, seen, idle = walk.under_way, set[int](), 0
        for _ in range(MAX_PAGES):
            found, page = await self._page(fetcher, one, walk)
            new = page.objects > 0 and page.digest not in seen
            ended = not page.more and not (page.next and new)
            if ended and not new and resumed and not seen:
                found.file.close()
                return
            seen.add(page.digest)
            idle = 0 if new else idle + 1
            walk = walk.complete(page) if ended else walk.on(page)
            stuck = None if ended else _stuck(one, page, idle)
            walk = walk.given_up() if stuck else walk
            if new or (not walk.under_way and self._moves(one, walk)):
                yield self._document(found, one, walk, new=new)
            else:
                found.file.close()
            if stuck:
                raise stuck
            if ended:
                return

    def _moves(self, one: Collection, walk: Walk) -> bool:
        before = self._stored.get(one.key) or Walk(after=self._start).stored()
        return walk.stored() != before

    async def _page(self, fetcher: Fetcher, one: Collection, walk: Walk) -> tuple[Fetched, Page]:
        url = one.url.update_query({"limit": str(PAGE_OBJECTS), **walk.query()})
        found = await fetcher.get(url, {"Accept": MEDIA_TYPE})
        try:
            return found, await asyncio.to_thread(read_page, found)
        except BaseException:
            found.file.close()
            raise

    def _document(self, found: Fetched, one: Collection, walk: Walk, *, new: bool) -> Document:
        self._stored = {**self._stored, one.key: walk.stored()}
        if not new:
            found.file.truncate(0)
        after = {"collections": self._stored}
        identity = found.sha256 if new else NOTHING
        return Document(found.name, found.file, identity, after, FORMAT)


def _start(text: str | None) -> datetime | None:
    found = moment(text)
    if text is not None and found is None:
        raise FeedError(f"added_after {text[:40]!r} is no time; write 2026-01-31T00:00:00Z")
    return found


def _kept(position: Position | None, found: Found) -> dict[str, object]:
    """Return the stored walks; of collections that are gone only while something is wrong."""
    stored = (position or {}).get("collections")
    if not isinstance(stored, dict):
        return {}
    gone = [key for key in stored if key not in found.collections]
    dropped = set(gone[MAX_COLLECTIONS:] if found.problem else gone)
    return {key: walk for key, walk in stored.items() if key not in dropped}


def _asks_for_a_pause(exc: FeedError) -> bool:
    return isinstance(exc, AnsweredLater) and exc.status in (429, 503)


def _may_be_the_token(exc: FeedError) -> bool:
    if isinstance(exc, Answered | AnsweredLater):
        return exc.status not in NOT_OF_THE_TOKEN
    return isinstance(exc, _NoProgress)


class _NoProgress(FeedError):
    pass


def _stuck(one: Collection, page: Page, idle: int) -> FeedError | None:
    """Return why a walk that should go on cannot; None while it can."""
    if idle >= MAX_IDLE_PAGES:
        return _NoProgress(
            f"{shown(one.url)}: says that there is more, but {idle} pages brought nothing new; "
            "what was new has been read; ask who runs the server"
        )
    if page.next is None and page.last is None:
        return _NoProgress(
            f"{shown(one.url)}: says that there is more, but not where: neither next nor the time "
            "of the last object; ask who runs the server"
        )
    return None
