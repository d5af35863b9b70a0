"""What is suppressed, read over all partitions; and forgotten, one by one."""

from __future__ import annotations

from collections import Counter
from heapq import merge

from periscope.errors import PartitionsMissing, UsageError
from periscope.functions import Functions
from periscope.keys import Keyspace
from periscope.marks import MAX_CAUSE_BYTES
from periscope.reader import STRETCH, Reader, check_count, encoded, in_shares, over
from periscope.rules import Rules
from periscope.suppressed import (
    Place,
    Stretch,
    Suppressed,
    SuppressedCalls,
    SuppressedPage,
    place_of,
)


class Suppression(Reader):
    """The suppressed entries of one database."""

    def __init__(self, functions: Functions, keyspace: Keyspace, secret: bytes) -> None:
        super().__init__(functions, keyspace, secret)
        self._calls = SuppressedCalls(functions)

    async def page(self, cursor: str | None, count: int, cause: str | None) -> SuppressedPage:
        """A page of them; see `Periscope.get_suppressed`."""
        check_count(count)
        wanted = _checked(cause)
        query = ("suppressed", wanted)
        walk = await self.resume(query, cursor)

        async def read(rules: Rules) -> SuppressedPage:
            after = Place(*walk.position[:2]) if walk else None
            total = walk.position[2] if walk else await self._total(wanted)
            as_of_ms = walk.as_of_ms if walk else None
            items: list[Suppressed] = []
            while True:
                ask = min(STRETCH, count - len(items))
                try:
                    found = await self._stretch(wanted, ask, as_of_ms, after)
                except PartitionsMissing as exc:
                    raise _as_page(exc, items, ask, total) from exc.__cause__
                items += found.entries[:ask]
                as_of_ms, after = found.now_ms, place_of(items[-1]) if items else after
                if len(found.entries) <= ask or len(items) >= count:
                    break
            token = None
            if len(found.entries) > ask:
                token = self.token(rules, as_of_ms, query, (*place_of(items[-1]), total))
            return SuppressedPage(items, token, as_of_ms, total)

        return await self.steady(read)

    async def _stretch(
        self, cause: str, count: int, as_of_ms: int | None, after: Place | None
    ) -> Stretch:
        """The next `count` over all partitions, and one more if there are more."""
        parts = await in_shares(
            self._keyspace.partitions,
            count + 1,
            as_of_ms,
            lambda keys, wanted, at: self._calls.stretch(keys, cause, wanted, at, after),
            lambda part: part.places,
        )
        return _merged(parts, count + 1)

    async def _total(self, cause: str) -> int:
        causes = await self._causes()
        return causes[cause] if cause else sum(causes.values())

    async def causes(self) -> dict[str, int]:
        """How many entries there are of each cause, most first."""

        async def read(_: Rules) -> dict[str, int]:
            return dict((await self._causes()).most_common())

        return await self.steady(read)

    async def _causes(self) -> Counter[str]:
        total: Counter[str] = Counter()
        try:
            parts = await over(self._keyspace.partitions, self._calls.causes)
        except PartitionsMissing as exc:
            raise exc.having(None) from exc.__cause__
        for part in parts:
            total.update(part)
        return total

    async def entry(self, threat_id: str) -> Suppressed | None:
        """The entry of an id; see `Periscope.get_suppressed_entry`."""
        key_bytes = encoded(threat_id)
        keys = self._keyspace.partition_of(key_bytes)
        return await self.steady(lambda _: self._calls.entry(keys, key_bytes))

    async def forget(self, threat_id: str) -> bool:
        """Forget an entry; see `Periscope.forget_suppressed`."""
        key_bytes = encoded(threat_id)
        keys = self._keyspace.partition_of(key_bytes)
        return await self.steady(lambda _: self._calls.forget(keys, key_bytes))


def _merged(parts: list[Stretch], count: int) -> Stretch:
    ranked = merge(*(part.entries for part in parts), key=place_of, reverse=True)
    entries = [one for one, _ in zip(ranked, range(count), strict=False)]
    return Stretch(parts[0].now_ms, entries)


def _as_page(
    exc: PartitionsMissing, items: list[Suppressed], count: int, total: int
) -> PartitionsMissing:
    """The same error with a page of what could be read; it cannot be gone on with."""
    if not exc.partial:
        return exc.having(None)
    found = _merged(exc.partial, count)
    return exc.having(SuppressedPage(items + found.entries, None, found.now_ms, total))


def _checked(cause: str | None) -> str:
    """The cause to look for, '' for any.

    Raises:
        UsageError: no entry can have it.
    """
    if cause is None:
        return ""
    if not isinstance(cause, str) or not 0 < len(cause.encode(errors="replace")) <= MAX_CAUSE_BYTES:
        raise UsageError("a cause is a text of 1 to 256 bytes, as list:NAME or rule:ID")
    return cause.encode(errors="replace").decode()
