"""A TAXII 2.1 server on loopback: honest by default, and with faults that can be switched on."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web as http

from tests.polling.web import Web

MEDIA = "application/taxii+json;version=2.1"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
Answer = dict[str, Any]


def stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def indicator(number: int, **more: object) -> dict[str, Any]:
    """A STIX object that Periscope makes a report of."""
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.UUID(int=number)}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "name": f"indicator {number}",
        "pattern": f"[domain-name:value = 'n{number}.example.com']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
        **more,
    }


@dataclass
class Lies:
    """What a server does that it should not; all off."""

    fails: dict[int, int] = field(default_factory=dict)
    """Number of the request for objects (from 1) to the status that it is answered with."""
    cuts: set[int] = field(default_factory=set)
    """Requests whose answer breaks off in the middle."""
    garbles: set[int] = field(default_factory=set)
    """Requests whose answer is whole, and no JSON."""
    ends_never: bool = False
    """`more` stays true after the last object, with ever new tokens and no objects."""
    hides: int | None = None
    """`more` stays true after so many objects of a walk, with ever new tokens and no objects."""
    repeats: bool = False
    """After the last page comes that page again, with ever new tokens."""
    same_next: bool = False
    """Every token is the same, whatever page it leads to; the server counts by itself."""
    denies_more: bool = False
    """`more` is false although `next` leads on."""
    always_next: bool = False
    """`next` is given after the last object as well."""
    no_next: bool = False
    no_times: bool = False
    no_date: bool = False
    mixes: bool = False
    """Pages are not in the order of what was added."""
    reverses: bool = False
    """The newest come first."""
    forgets: int = 0
    """The status with which every token that was given in an earlier run is answered."""
    grows: int = 0
    """Each request comes with an object more, some of them late: this is the last one's number."""
    starts_over: bool = False
    """An unknown token is answered with nothing and no more."""


class TaxiiServer(Web):
    """One API root; `add` adds objects at a time; `now` is the server's clock."""

    def __init__(self, page_objects: int = 3) -> None:
        super().__init__()
        self.page_objects = page_objects
        self.now = NOW
        self.lies = Lies()
        self.login: tuple[str, str] | None = None
        self.collections: dict[str, list[tuple[datetime, Answer]]] = {COLLECTION: []}
        self.listed: list[Answer] = [{"id": COLLECTION, "title": "Indicators", "can_read": True}]
        self.requests = 0
        self._tokens: dict[str, tuple[int, str]] = {}
        self._counter = 0
        self.on("/taxii2/", self._discovery)
        self.on("/api1/", self._root)
        self.on("/api1/collections/", self._collections)
        self._serve(COLLECTION)

    def _serve(self, name: str) -> None:
        self.on(f"/api1/collections/{name}/objects/", self._objects)

    def open_collection(self, name: str, title: str = "", *, can_read: bool = True) -> None:
        self.collections[name] = []
        self.listed.append({"id": name, "title": title, "can_read": can_read})
        self._serve(name)

    @property
    def collection_url(self) -> str:
        return self.url(f"/api1/collections/{COLLECTION}/")

    def add(self, *numbers: int, at: datetime | None = None, to: str = COLLECTION) -> None:
        kept = self.collections[to]
        kept.extend((at or self.now, indicator(number)) for number in numbers)
        kept.sort(key=lambda entry: entry[0])

    def numbers(self) -> set[int]:
        """All objects that it holds."""
        kept = [entry for entries in self.collections.values() for entry in entries]
        return {uuid.UUID(one["id"].split("--")[1]).int for _, one in kept}

    def forget_tokens(self) -> None:
        self._tokens.clear()

    def _refusal(self, request: http.Request) -> http.Response | None:
        if self.login is not None:
            expected = base64.b64encode(":".join(self.login).encode()).decode()
            if request.headers.get("Authorization") != f"Basic {expected}":
                return self._says({"title": "no"}, 401)
        if request.headers.get("Accept") != MEDIA:
            return self._says({"title": "no"}, 406)
        return None

    def _says(
        self, answer: Answer, status: int = 200, headers: dict[str, str] | None = None
    ) -> http.Response:
        date = self.now.strftime("%a, %d %b %Y %H:%M:%S GMT")
        named = {"Date": "" if self.lies.no_date else date, **(headers or {})}
        body = json.dumps(answer).encode()
        return http.Response(
            body=body, status=status, content_type=MEDIA.split(";")[0], headers=named
        )

    def _resource(self, request: http.Request, answer: Answer) -> http.Response:
        return self._refusal(request) or self._says(answer)

    async def _discovery(self, request: http.Request) -> http.StreamResponse:
        roots = ["/api1/"]
        return self._resource(request, {"title": "Test", "default": roots[0], "api_roots": roots})

    async def _root(self, request: http.Request) -> http.StreamResponse:
        limits = {"versions": [MEDIA], "max_content_length": 10**7}
        return self._resource(request, {"title": "Root", **limits})

    async def _collections(self, request: http.Request) -> http.StreamResponse:
        return self._resource(request, {"collections": self.listed})

    async def _objects(self, request: http.Request) -> http.StreamResponse:
        refused = self._refusal(request)
        if refused is not None:
            return refused
        self.requests += 1
        if self.lies.grows:
            self.lies.grows += 1
            self.add(self.lies.grows, at=self.now - timedelta(minutes=self.lies.grows % 3))
        if self.requests in self.lies.fails:
            return self._says({"title": "broken"}, self.lies.fails[self.requests])
        answer = self._page(request)
        if self.requests in self.lies.garbles:
            return http.Response(body=(answer.body or b"")[:-9] + b"}}}<html>")  # type: ignore[index]
        return await self._cut(request, answer) if self.requests in self.lies.cuts else answer

    async def _cut(self, request: http.Request, answer: http.Response) -> http.StreamResponse:
        body = bytes(answer.body or b"")  # type: ignore[arg-type]
        cut = http.StreamResponse(headers={"Content-Length": str(len(body))})
        await cut.prepare(request)
        await cut.write(body[: len(body) // 2])
        assert request.transport is not None
        request.transport.abort()
        return cut

    def _page(self, request: http.Request) -> http.Response:
        name = request.path.split("/")[3]
        since = request.query.get("added_after", "")
        found = [entry for entry in self.collections[name] if stamp(entry[0]) > since]
        if self.lies.mixes:
            found = found[::2] + found[1::2]
        if self.lies.reverses:
            found.reverse()
        token = request.query.get("next")
        start = self._started(token)
        if isinstance(start, http.Response):
            return start
        size = min(self.page_objects, int(request.query.get("limit", "100000")))
        page = found[start : start + size]
        if self.lies.hides is not None and start >= self.lies.hides:
            page, start = [], start - size
        end = start + size
        if self.lies.repeats and not page:
            page = found[-size:]
        return self._envelope(page, end, rest=len(found) - end)

    def _started(self, token: str | None) -> int | http.Response:
        if token is None:
            self._counter = 0
            return 0
        if self.lies.same_next:
            return self._counter
        if token not in self._tokens:
            if self.lies.starts_over:
                return self._says({})
            return self._says({"title": "no such token"}, self.lies.forgets or 400)
        return self._tokens[token][0]

    def _envelope(self, page: list[tuple[datetime, Answer]], end: int, rest: int) -> http.Response:
        more = rest > 0 or self.lies.ends_never or self.lies.repeats
        answer: Answer = {"objects": [entry[1] for entry in page]} if page else {}
        if (more or self.lies.always_next) and not self.lies.no_next:
            token = "same" if self.lies.same_next else uuid.uuid4().hex
            self._tokens[token] = (end, "")
            self._counter = end
            answer["next"] = token
        if more and not self.lies.denies_more:
            answer["more"] = True
        headers = {}
        if page and not self.lies.no_times:
            headers = {
                "X-TAXII-Date-Added-First": stamp(page[0][0]),
                "X-TAXII-Date-Added-Last": stamp(page[-1][0]),
            }
        return self._says(answer, headers=headers)

    def pass_time(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


def objects_of(bodies: list[bytes]) -> list[int]:
    """The numbers of the indicators in documents, in order."""
    found: list[int] = []
    for body in bodies:
        envelope = json.loads(body) if body else {}
        found.extend(uuid.UUID(one["id"].split("--")[1]).int for one in envelope.get("objects", []))
    return found
