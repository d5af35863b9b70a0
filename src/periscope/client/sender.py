"""Many reports over several requests at once, each accounted for whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Mapping
from contextlib import aclosing
from itertools import islice
from typing import Any

import msgspec

from periscope.batches import Batches, SourceFailed
from periscope.client.lines import BODY_REPORTS, Body, Packer
from periscope.client.patience import Patience
from periscope.client.problems import (
    ApiProblem,
    RateLimited,
    ServiceUnavailable,
    Unreachable,
    unreachable,
)
from periscope.client.transport import NDJSON, Call, Transport
from periscope.errors import BatchInterrupted
from periscope.models import BatchResult, Rejection
from periscope.shapes import ReportsTaken

REPEATED_FOR_S = 480.0
"""Less than the ten minutes for which the service remembers what it answered."""
MAX_REJECTIONS_KEPT = 100_000
_COUNTS = ("added", "sightings", "duplicates", "suppressed")


class _Failed(Exception):
    """A body was not taken in: why, and whether an earlier try may have been after all."""

    def __init__(self, problem: ApiProblem, *, in_doubt: bool) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.in_doubt = in_doubt


class Sender:
    """One batch on its way: up to `at_once` bodies under way, counted exactly.

    Bodies that have a threat in common go one after the other, so that what was said last of a
    threat is what stands.
    """

    def __init__(
        self, transport: Transport, query: Mapping[str, Any], *, at_once: int, retry_s: float
    ) -> None:
        self.result = BatchResult()
        self._transport = transport
        self._query = query
        self._at_once = at_once
        self._retry_s = min(retry_s, REPEATED_FOR_S)
        self._packer = Packer()
        self._under_way: dict[asyncio.Task[ReportsTaken], Body] = {}
        self._refused = 0
        self._unknown = 0

    async def run(self, reports: Iterable[Any] | AsyncIterable[Any]) -> BatchResult:
        """Send all reports; see `Client.add_reports`."""
        source = Batches(reports, BODY_REPORTS)
        try:
            async with aclosing(source):
                try:
                    async for items in source:
                        await self._send_all(items)
                    await self._settle()
                except (SourceFailed, ApiProblem) as exc:
                    raise await self._interrupted(exc, source) from _cause(exc)
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
        self.result.rejected.sort()  # by index: bodies come back in any order
        return self.result

    async def _send_all(self, items: list[Any]) -> None:
        bodies = list(self._packer.pack(items))
        self._reject(self._packer.rejected)
        self._packer.rejected = []
        for number, body in enumerate(bodies):
            try:
                await self._make_room(body)
            except ApiProblem:
                self._refused += sum(len(one.lines) for one in bodies[number:])
                raise
            self._under_way[asyncio.create_task(self._send(body))] = body

    async def _make_room(self, body: Body) -> None:
        """Wait until one more may be under way, and none that names the same threats is."""
        while len(self._under_way) >= self._at_once or not all(
            body.ids.isdisjoint(other.ids) for other in self._under_way.values()
        ):
            await self._next()

    async def _settle(self) -> None:
        while self._under_way:
            await self._next()

    async def _next(self) -> None:
        """Wait for an answer, and count it.

        Raises:
            ApiProblem: a body was not taken in; all that were answered are counted.
        """
        done, _ = await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        failure: ApiProblem | None = None
        for task in done:
            body = self._under_way.pop(task)
            try:
                self._count(body, task.result())
            except _Failed as exc:
                self._count_failed(body, exc)
                failure = failure or exc.problem
        if failure is not None:
            raise failure

    async def _send(self, body: Body) -> ReportsTaken:
        call = Call(
            *("POST", "/v1/reports", self._query, b"\n".join(body.lines), NDJSON),
            {"Idempotency-Key": body.token},
        )
        patience, in_doubt = Patience(self._retry_s), False
        while True:
            try:
                answer = await self._transport.once(call)
                return _read(answer.body, len(body.lines))
            except ApiProblem as exc:
                in_doubt |= not exc.is_certain and exc.problem.received is None
                try:
                    if not isinstance(exc, RateLimited | ServiceUnavailable | Unreachable):
                        raise
                    await patience.bear(exc)
                except ApiProblem:
                    raise _Failed(exc, in_doubt=in_doubt) from exc

    def _count(self, body: Body, taken: ReportsTaken) -> None:
        for name in _COUNTS:
            setattr(self.result, name, getattr(self.result, name) + getattr(taken, name))
        self._reject(
            [
                Rejection(body.indices[one.index], one.threat_id, one.reason)
                for one in taken.rejections
            ]
        )

    def _count_failed(self, body: Body, failed: _Failed) -> None:
        problem = failed.problem.problem
        if problem.received is None:
            told = refused = 0
        else:
            told = refused = problem.refused or 0
            for name in _COUNTS:
                count = getattr(problem, name) or 0
                setattr(self.result, name, getattr(self.result, name) + count)
                told += count
            told += problem.rejected or 0
            self.result.rejected_count += problem.rejected or 0
        rest = len(body.lines) - told
        if problem.received is None and not failed.in_doubt:
            refused, rest = rest, 0
        elif failed.in_doubt:  # an earlier try, of which nothing was heard, may have been heeded
            refused, rest = 0, rest + refused
        self._refused += refused
        self._unknown += rest

    async def _interrupted(
        self, exc: SourceFailed | ApiProblem, source: Batches[Any]
    ) -> BatchInterrupted:
        """Learn what became of all that is under way; then account for every report."""
        while self._under_way:
            try:
                await self._settle()
            except ApiProblem:
                continue  # counted; the first failure is the one that is told
        unread = await source.aclose()
        self.result.rejected.sort()
        return BatchInterrupted(
            self.result, refused=self._refused + unread, unknown=self._unknown, cause=exc
        )

    def _reject(self, rejected: list[Rejection]) -> None:
        self.result.rejected_count += len(rejected)
        room = MAX_REJECTIONS_KEPT - len(self.result.rejected)
        self.result.rejected.extend(islice(rejected, max(0, room)))


def _cause(exc: Exception) -> BaseException | None:
    return exc.__cause__ if isinstance(exc, SourceFailed) else exc


def _read(body: bytes, sent: int) -> ReportsTaken:
    """Return what became of the reports of a body.

    Raises:
        ApiProblem: it does not account for as many as were sent.
    """
    try:
        taken = msgspec.json.decode(body, type=ReportsTaken)
    except msgspec.MsgspecError as exc:
        raise unreachable(f"the answer is not as expected: {exc}", is_certain=False) from None
    if taken.received != sent:
        what = f"{sent:,} were sent, and {taken.received:,} answered"
        raise unreachable(what, is_certain=False)
    return taken
