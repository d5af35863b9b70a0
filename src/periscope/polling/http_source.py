"""One document at one URL, fetched anew only when its server says, or its bytes show, a change."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator

from periscope.errors import FeedError
from periscope.polling.document import Document, FetchOptions, Position
from periscope.polling.fetch import NO_BODY, Client, Fetched

VALIDATOR = re.compile(r"[!-~ ]{1,512}\Z")
NOT_MODIFIED = 304
ASKED = (("etag", "If-None-Match"), ("modified", "If-Modified-Since"))
GIVEN = (("etag", "ETag"), ("modified", "Last-Modified"))


class HttpSource:
    """Gives the document at `place` if it is another one than last time.

    Position: {"etag", "modified": the validators as the server gave them, "sha256": of its bytes,
    "of": which URL they are of, as a digest}.
    """

    def __init__(self, place: str, client: Client, options: FetchOptions) -> None:
        self._place = place
        self._client = client
        self._options = options

    async def documents(self, position: Position | None) -> AsyncIterator[Document]:
        """Give the document, or nothing where it has not changed; see `Source`."""
        place = hashlib.sha256(self._place.encode(errors="replace")).hexdigest()[:16]
        before = position if position and position.get("of") == place else {}
        async with self._client.fetcher(self._place, self._options) as fetcher:
            asked = {header: before[key] for key, header in ASKED if before.get(key)}
            found = await fetcher.get(fetcher.place, asked)
        if not _is_new(found, before, conditional=bool(asked)):
            found.file.close()
            return
        yield Document(found.name, found.file, found.sha256, _position(found, place))


def _is_new(found: Fetched, before: Position, *, conditional: bool) -> bool:
    if found.status == NOT_MODIFIED and not conditional:
        found.file.close()
        raise FeedError(f"{found.name}: answered 'not modified' to a first request; check the URL")
    return found.status not in NO_BODY and found.sha256 != before.get("sha256")


def _position(found: Fetched, place: str) -> Position:
    position: Position = {"of": place, "sha256": found.sha256}
    for key, header in GIVEN:
        value = found.headers.get(header, "")
        if VALIDATOR.match(value):
            position[key] = value
    return position
