"""What is known and what was done, over HTTP: many ids at once, trails, counts, the policy."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

import msgspec

from periscope.client.transport import Call, Transport, segment
from periscope.errors import UsageError
from periscope.shapes import (
    AuditEntryDocument,
    AuditPage,
    DepartureDocument,
    DeparturePage,
    FacetsDocument,
    HistogramDocument,
    Known,
    KpisDocument,
    LedgerDocument,
    PolicyShown,
    RowPage,
    RowsFound,
    SeenDocument,
    SessionDocument,
    SimilarList,
    StatsDocument,
    ThreatDesk,
    ThreatDocument,
    ThreatHistory,
    ThreatRow,
    ThreatsFound,
)

T = TypeVar("T")
LOOKED_UP = 1000
ROWS = 100
ASKED = 100_000
_REPEATABLE = ("GET", "HEAD", "PUT", "DELETE")


class Records:
    """Reads of the client that are about more than the queue, and whatever has no call of its own.

    All raise `ApiProblem`.
    """

    _transport: Transport

    async def call(
        self,
        method: str,
        path: str,
        shape: type[T],
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> T:
        """Send any request of the API, and return its answer in a shape of `periscope.shapes`.

        `await client.call("GET", "/v1/feeds", FeedList)`. A POST is not repeated unless it surely
        was not heeded. Ids in `path` are percent-encoded by the caller.
        """
        call = Call(
            *(method, path, query or {}, None if body is None else msgspec.json.encode(body)),
            is_repeatable=method in _REPEATABLE,
        )
        return await self._transport.read(call, shape)

    async def who_am_i(self) -> SessionDocument:
        """Return whose key this is, and what it may."""
        return await self._get("/v1/session", SessionDocument)

    async def lookup(self, ids: Iterable[str]) -> list[ThreatDocument]:
        """Return the known ones among any number of ids, in the order given."""
        found: list[ThreatDocument] = []
        for part in _parts(ids, LOOKED_UP):
            call = _asking("/v1/threats/lookup", {"ids": part})
            found += (await self._transport.read(call, ThreatsFound)).items
        return found

    async def rows_page(
        self, *, cursor: str | None = None, limit: int = 100, **filters: Any
    ) -> RowPage:
        """Return one page of threats in a line each, small whatever the size of the reports.

        `filters` are those of `threats_page`; so are order and cursors. A row says who has the
        threat claimed.
        """
        return await self._get("/v1/rows", RowPage, **filters, cursor=cursor, limit=limit)

    async def lookup_rows(self, ids: Iterable[str]) -> list[ThreatRow]:
        """Return the rows of the known ones among any number of ids, in the order given."""
        found: list[ThreatRow] = []
        for part in _parts(ids, ROWS):
            call = _asking("/v1/rows/lookup", {"threat_ids": part})
            found += (await self._transport.read(call, RowsFound)).items
        return found

    async def seen(self, ids: Iterable[str], *, exact: bool = False) -> dict[str, SeenDocument]:
        """Return the known ones among any number of ids, by id, with level and last activity.

        What is not in it is unknown: no report of it was acknowledged until a second ago, or, with
        `exact`, until now.
        """
        found: dict[str, SeenDocument] = {}
        for part in _parts(ids, ASKED):
            call = _asking("/v1/seen", {"ids": part, "exact": exact})
            known = (await self._transport.read(call, Known)).known
            found.update((one.threat_id, one) for one in known)
        return found

    async def similar(self, threat_id: str, *, limit: int = 20) -> SimilarList:
        """Return threats that share an indicator or the content with one, the most alike first."""
        path = f"/v1/threats/{segment(threat_id)}/similar"
        return await self._get(path, SimilarList, limit=limit)

    async def facets(self, **where: Any) -> FacetsDocument:
        """Count what fits by severity, status, level, source, TLP and tag.

        `where` are the filters of `threats_page` that the read index answers; `status`, `severity`,
        `level` and `overdue`.
        """
        return await self._get("/v1/facets", FacetsDocument, **where)

    async def histogram(
        self,
        *,
        from_ms: int | None = None,
        until_ms: int | None = None,
        buckets: int = 48,
        **where: Any,
    ) -> HistogramDocument:
        """Count what fits by when it was first seen, in equal parts of a stretch of time.

        Without `from_ms` and `until_ms`: of the last 24 hours. `where` as for `facets`.
        """
        stretch = {"from": from_ms, "until": until_ms, "buckets": buckets}
        return await self._get("/v1/histogram", HistogramDocument, **stretch, **where)

    async def kpis(self, *, for_s: int = 86_400) -> KpisDocument:
        """Return the key figures of the last `for_s` seconds."""
        return await self._get("/v1/kpis", KpisDocument, for_s=for_s)

    async def history(self, threat_id: str, *, limit: int = 100) -> ThreatHistory:
        """Return the newest of what was done to a threat; of one that departed, too."""
        path = f"/v1/threats/{segment(threat_id)}/history"
        return await self._get(path, ThreatHistory, limit=limit)

    async def desk(self, threat_id: str) -> ThreatDesk:
        """Return who holds a threat now, and what each analyst did to it last."""
        return await self._get(f"/v1/threats/{segment(threat_id)}/interactions", ThreatDesk)

    async def audit(
        self,
        *,
        analyst: str | None = None,
        action: str | None = None,
        threat_id: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 500,
    ) -> AsyncGenerator[AuditEntryDocument, None]:
        """Give who did what, the newest first; `limit` is the size of the pages that are read."""
        query = {"analyst": analyst, "action": action, "threat_id": threat_id}
        query |= {"since": since, "until": until}
        cursor: str | None = None
        while True:
            page = await self._get("/v1/audit", AuditPage, **query, limit=limit, cursor=cursor)
            for item in page.items:
                yield item
            if (cursor := page.next_cursor) is None:
                return

    async def departures(
        self,
        *,
        reason: str | None = None,
        severity: str | None = None,
        source: str | None = None,
        threat_id: str | None = None,
        since: str | None = None,
        limit: int = 500,
    ) -> AsyncGenerator[DepartureDocument, None]:
        """Give what departed, the last first; `limit` is the size of the pages that are read."""
        query = {"reason": reason, "severity": severity, "source": source}
        query |= {"threat_id": threat_id, "since": since}
        cursor: str | None = None
        while True:
            page = await self._get(
                "/v1/history", DeparturePage, **query, limit=limit, cursor=cursor
            )
            for item in page.items:
                yield item
            if (cursor := page.next_cursor) is None:
                return

    async def stats(self) -> StatsDocument:
        """Return what the database holds."""
        return await self._get("/v1/stats", StatsDocument)

    async def ledger(self, *, deep: bool = False) -> LedgerDocument:
        """Return what came in against where it is; `deep` counts every record again."""
        return await self._get("/v1/ledger", LedgerDocument, deep=deep or None)

    async def policy(self) -> PolicyShown:
        """Return the rules that a team may change, as they are."""
        return await self._get("/v1/policy", PolicyShown)

    async def _get(self, path: str, shape: type[T], **query: Any) -> T:
        return await self._transport.read(Call("GET", path, query), shape)


def _asking(path: str, body: Mapping[str, Any]) -> Call:
    return Call("POST", path, body=msgspec.json.encode(body))


def _parts(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    if not isinstance(ids, Iterable) or isinstance(ids, str | bytes):
        raise UsageError(f"ids must be an iterable of ids, not {type(ids).__name__}")
    rest = iter(ids)
    while part := list(islice(rest, size)):
        yield part
