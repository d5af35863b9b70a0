"""The client that people hold: reports go in, threats come out, over HTTP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self, Unpack

from periscope.client.acts import Acts
from periscope.client.console import Console
from periscope.client.filters import MoreFilters
from periscope.client.following import Following, documents
from periscope.client.records import Records
from periscope.client.sender import Sender
from periscope.client.transport import Call, Transport, segment
from periscope.errors import UsageError
from periscope.models import BatchResult, Severity, Status
from periscope.shapes import (
    EventDocument,
    ReportsTaken,
    ThreatDocument,
    ThreatPage,
    ThreatShown,
)

DOCUMENT_S = 300.0
SILENCE_S = 45.0
_PACKED = {".gz": "gzip", ".zst": "zstd"}


class Client(Acts, Records, Console):
    """One service, seen by whoever holds `key`. Use as `async with Client(url, key=...) as c:`.

    All methods are safe to call concurrently, and cancelling one harms no other. What a service
    that is away, ending or too busy cannot do now is tried again for up to `retry_s` seconds, where
    that cannot do anything twice; each try takes `timeout_s` at most. Certificates are checked
    against the system's, or as `tls` says. Over plain HTTP a key is sent to loopback only, unless
    `insecure` is set. Not to be shared between event loops.

    Raises:
        UsageError: the address is none, or the key would travel in the clear.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = 30.0,
        retry_s: float = 30.0,
        tls: ssl.SSLContext | None = None,
        connections: int = 16,
        insecure: bool = False,
    ) -> None:
        self._transport = Transport(
            url,
            key,
            timeout_s=timeout_s,
            retry_s=retry_s,
            tls=tls,
            connections=connections,
            is_insecure=insecure,
        )

    def __repr__(self) -> str:
        return f"<Client {self._transport.url}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        await self._transport.close()

    async def add_reports(
        self,
        reports: Iterable[Any] | AsyncIterable[Any],
        *,
        source: str | None = None,
        at_once: int = 4,
        retry_s: float | None = None,
    ) -> BatchResult:
        """Take in reports from any iterable of any length, in bounded memory.

        A report is a dict, a `Report` or a line of JSON as bytes. They travel in bodies of up to
        1,000 or 1 MiB, `at_once` of them under way; reports of the same threat are stored in the
        order given. A bad one is rejected with its index and a reason; the others go in. A body to
        which no answer came is sent again and counts once all the same, for up to `retry_s` seconds
        (default: the client's; 480 at most, as long as the service surely remembers).

        Raises:
            BatchInterrupted: the service refused or stayed away, or the iterable itself raised;
                says how many reports were committed, rejected, refused and unknown. Repeating is
                safe. `__cause__` is the `ApiProblem`, or what the iterable raised.
        """
        if not isinstance(reports, Iterable | AsyncIterable) or isinstance(reports, str | bytes):
            raise UsageError(f"reports must be an iterable, not {type(reports).__name__}")
        sender = Sender(
            self._transport,
            {"source": source},
            at_once=max(1, at_once),
            retry_s=self._transport.retry_s if retry_s is None else retry_s,
        )
        return await sender.run(reports)

    async def send_document(
        self,
        document: Path | str | bytes,
        *,
        format: str = "auto",  # noqa: A002 - the name of the parameter of the API
        source: str | None = None,
        timeout_s: float = DOCUMENT_S,
    ) -> ReportsTaken:
        """Take in a document in any format of feeds: a file, or its bytes.

        Files that end in `.gz` or `.zst` are sent as they are. Read whole: up to the service's
        limit (32 MiB unless set otherwise).

        Raises:
            ApiProblem: it cannot be read, or not be taken in; safe to repeat.
        """
        body, headers = document, {}
        if isinstance(document, str | Path):
            path = Path(document)
            body = await asyncio.to_thread(path.read_bytes)
            if (packed := _PACKED.get(path.suffix)) is not None:
                headers["Content-Encoding"] = packed
        assert isinstance(body, bytes)  # noqa: S101 - read above
        query = {"format": format, "source": source}
        call = Call("POST", "/v1/reports", query, body, "application/octet-stream", headers)
        return await self._transport.read(call, ReportsTaken, timeout_s)

    async def threats_page(
        self,
        *,
        level: int | None = None,
        severity: Severity | str | None = None,
        status: Status | str | None = None,
        min_score: float | None = None,
        max_score: float | None = None,
        min_interactions: int | None = None,
        overdue: bool | None = None,
        industry: str | None = None,
        text: str | None = None,
        source: str | None = None,
        tag: str | None = None,
        tlp: str | None = None,
        indicator: str | None = None,
        holder: str | None = None,
        after: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
        **more: Unpack[MoreFilters],
    ) -> ThreatPage:
        """Return one page of threats in rank order; see `GET /v1/threats` for what fits what.

        Text, source, tag, TLP, indicator, holder and `more` are answered by the service's read
        index: the page says how far that has come.

        Raises:
            Gone: the cursor is of a ranking that is no more; start again without it.
            ApiProblem: as the service says.
        """
        query = {name: value for name, value in locals().items() if name not in ("self", "more")}
        return await self._transport.read(Call("GET", "/v1/threats", query | more), ThreatPage)

    async def threats(
        self, *, limit: int = 500, **filters: Any
    ) -> AsyncGenerator[ThreatDocument, None]:
        """Give every threat that the filters of `threats_page` let through, in rank order.

        The ranking stands still during the walk; `limit` is the size of the pages that are read.

        Raises:
            Gone: the ranking is no more (the policy changed); start again.
        """
        cursor = None
        while True:
            page = await self.threats_page(cursor=cursor, limit=limit, **filters)
            for item in page.items:
                yield item
            if (cursor := page.next_cursor) is None:
                return

    async def threat(self, threat_id: str) -> ThreatShown:
        """Return one threat as it stands now, whatever its level: with its score, and who is at it.

        No side effect.

        Raises:
            NotFound: there is none of this id, or not for this key.
        """
        call = Call("GET", f"/v1/threats/{segment(threat_id)}")
        return await self._transport.read(call, ThreatShown)

    async def events(
        self,
        since: str | None = None,
        *,
        kinds: Iterable[str] | None = None,
        threat_id: str | None = None,
        analyst: str | None = None,
        silence_s: float = SILENCE_S,
        retry_s: float = float("inf"),
    ) -> AsyncGenerator[EventDocument, None]:
        """Give what happens, as it happens, from `since` (a `position`; default: now) on, for ever.

        When the connection ends, or nothing is heard for `silence_s` seconds (the service speaks
        every 15), it connects again and goes on where it was: nothing is missed, nothing comes
        twice. Gives up where the service stays away for `retry_s` seconds.

        Raises:
            Gone: events since that position are no longer kept; read the state anew.
            Unauthenticated: the key is no longer good.
        """
        query = {
            "kinds": None if kinds is None else ",".join(kinds),
            "threat_id": threat_id,
            "analyst": analyst,
        }
        following = Following(self._transport, query, since, silence_s)
        async with aclosing(following.events(retry_s)) as events:
            async for event in events:
                yield event

    async def export(self, **filters: Any) -> AsyncGenerator[ThreatDocument, None]:
        """Give a whole list in rank order, of one moment, in one answer of any length.

        `filters` are those of `GET /v1/export`: level, severity, status, overdue, industry.

        Raises:
            Unreachable: it broke off: what was given is not all. Begin again.
        """
        parts = self.export_bytes("ndjson", **filters)
        async with aclosing(parts), aclosing(documents(parts)) as threats:
            async for threat in threats:
                yield threat

    async def export_bytes(
        self,
        format: str = "csv",  # noqa: A002 - the name of the parameter of the API
        **filters: Any,
    ) -> AsyncGenerator[bytes, None]:
        """Give the bytes of an export as they come: `csv` (for spreadsheets) or `ndjson`.

        Raises:
            Unreachable: it broke off: what was given is not all. Begin again.
        """
        call = Call("GET", "/v1/export", {"format": format, **filters})
        async with aclosing(self._transport.stream(call, SILENCE_S)) as parts:
            async for part in parts:
                yield part
