"""From the URL of a TAXII server, an API root or a collection to the collections to be read."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

import msgspec
from yarl import URL

from periscope.errors import FeedError, FetchFailed
from periscope.polling.fetch import Fetcher, contents
from periscope.polling.guard import read_url, shown

MEDIA_TYPE = "application/taxii+json;version=2.1"
MAX_RESOURCE_BYTES = 8 * 1024 * 1024
MAX_ROOTS = 20
MAX_COLLECTIONS = 64
COLLECTION = re.compile(r"(.*/)collections/([^/]+)/(?:objects/)?\Z")
ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~-]{1,128}\Z")


class Collection(NamedTuple):
    """A collection: the key of its position, and the URL of its objects."""

    key: str
    url: URL


class _Listed(msgspec.Struct):
    id: str
    title: str | None = None
    alias: str | None = None
    can_read: bool = True


class _Resource(msgspec.Struct):
    """A discovery, an API root, or a list of collections: whichever members it has."""

    api_roots: list[str] | None = None
    versions: list[str] | None = None
    collections: list[_Listed] | None = None


class Found:
    """Collections that were found, and the first thing that went wrong while looking."""

    def __init__(self, wanted: tuple[str, ...]) -> None:
        self.collections: dict[str, Collection] = {}
        self.problem: FeedError | None = None
        self._wanted = wanted
        self._met: set[str] = set()

    def blame(self, problem: FeedError) -> None:
        """Keep the first problem: what can be read is read all the same."""
        self.problem = self.problem or problem

    def take(self, root: URL, listed: list[_Listed]) -> None:
        """Take those that are wanted, or all that can be read if none is named."""
        for one in sorted(listed, key=lambda one: one.id):
            names = {one.id, one.alias, one.title} & set(self._wanted)
            self._met |= {name for name in names if name}
            if self._wanted and not names:
                continue
            if not one.can_read:
                if names:
                    self.blame(FeedError(f"{shown(root)}: a collection named may not be read"))
            elif not ID.match(one.id):
                self.blame(FeedError(f"{shown(root)}: lists a collection whose id is none"))
            else:
                self.add(root, one.id)

    def add(self, root: URL, name: str) -> None:
        """Add one, up to the limit."""
        if len(self.collections) >= MAX_COLLECTIONS:
            self.blame(
                FeedError(
                    f"{shown(root)}: more than {MAX_COLLECTIONS} collections; name those wanted"
                )
            )
            return
        collection = _collection(root, name, root.joinpath("collections", name, "objects", ""))
        self.collections[collection.key] = collection

    def finish(self, place: URL) -> None:
        """Blame what is named and was not found, or that there is nothing at all."""
        missing = [name for name in self._wanted if name not in self._met]
        if missing:
            self.blame(
                FeedError(f"{shown(place)}: has no collection {missing[0][:80]!r} for this login")
            )
        elif not self.collections:
            self.blame(FeedError(f"{shown(place)}: has no collection that this login may read"))


async def collections(fetcher: Fetcher, wanted: tuple[str, ...]) -> Found:
    """Find the collections to be read, whatever of the server `fetcher.place` is the URL of.

    Raises:
        FetchFailed: what had to be asked failed in a way that may pass.
        FeedError: nothing there is of TAXII 2.1.

    """
    place = fetcher.place
    found = Found(wanted)
    direct = COLLECTION.match(f"{place.raw_path.rstrip('/')}/")
    if direct:
        base, name = direct.groups()
        if not ID.match(name):
            raise FeedError(f"{shown(place)}: the id of the collection cannot be one")
        path = f"{base}collections/{name}/objects/"
        objects = place.with_path(path, encoded=True, keep_query=True)
        one = _collection(place.with_path(base, encoded=True), name, objects)
        found.collections[one.key] = one
        return found
    await _from_resource(fetcher, place, found)
    found.finish(place)
    return found


def _collection(root: URL, name: str, objects: URL) -> Collection:
    digest = hashlib.sha256(str(root.with_query(None)).encode()).hexdigest()[:12]
    return Collection(f"{name}@{digest}", objects)


async def _from_resource(fetcher: Fetcher, place: URL, found: Found) -> None:
    url = _folder(place)
    resource = await _get(fetcher, url)
    if resource.api_roots is not None:
        await _from_roots(fetcher, url, resource.api_roots, found)
    elif resource.collections is not None:
        found.take(url.join(URL("../")), resource.collections)
    elif resource.versions is not None:
        await _from_root(fetcher, url, found)
    else:
        raise FeedError(
            f"{shown(url)}: no discovery, API root or collection of TAXII 2.1; check the URL"
        )


async def _from_roots(fetcher: Fetcher, place: URL, roots: list[str], found: Found) -> None:
    if len(roots) > MAX_ROOTS:
        found.blame(FeedError(f"{shown(place)}: more than {MAX_ROOTS} API roots; give one's URL"))
    for root in dict.fromkeys(roots[:MAX_ROOTS]):
        try:
            await _from_root(fetcher, _folder(place.join(read_url(root))), found)
        except FetchFailed:
            raise
        except FeedError as exc:
            found.blame(exc)


async def _from_root(fetcher: Fetcher, root: URL, found: Found) -> None:
    listed = await _get(fetcher, root.joinpath("collections", ""))
    found.take(root, listed.collections or [])


def _folder(url: URL) -> URL:
    """URLs of TAXII resources end in a slash."""
    path = f"{url.raw_path.rstrip('/')}/"
    return url.with_path(path, encoded=True, keep_query=True).with_fragment(None)


async def _get(fetcher: Fetcher, url: URL) -> _Resource:
    found = await fetcher.get(url, {"Accept": MEDIA_TYPE}, MAX_RESOURCE_BYTES)
    try:
        return msgspec.json.decode(await contents(found, MAX_RESOURCE_BYTES), type=_Resource)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FeedError(f"{found.name}: no resource of TAXII 2.1; check the URL") from None
