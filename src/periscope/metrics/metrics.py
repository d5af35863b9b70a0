"""`Metrics`: what `/metrics` answers for one namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from time import monotonic

from prometheus_client import exposition, metrics_core
from prometheus_client.openmetrics import exposition as openmetrics_exposition

from periscope.connection import Capacity, Writable
from periscope.errors import StoreError
from periscope.metrics import own
from periscope.metrics.forecast import Forecast
from periscope.metrics.own import IndexState, Requests, WorkerLike
from periscope.metrics.reading import MOST_S, read, within
from periscope.metrics.shared import FeedLike, put_feeds, put_store
from periscope.metrics.sheet import Sheet
from periscope.periscope import Periscope

MOST_AGE_S = 1.0
MIB = 1 << 20


def content_type(*, openmetrics: bool) -> str:
    """The media type of what `Metrics.render` returns."""
    if openmetrics:
        return openmetrics_exposition.CONTENT_TYPE_LATEST
    return exposition.CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """Everything that a program which watches may know of one namespace, and of this process.

    What stands outside the store is asked for when somebody looks: `workers` of this process,
    `feeds` as the store knows them, `letters` (bytes of dead letters by feed; it may block),
    `index` (None while there is none), `streams` (how many are open). `in_flight` is to be kept by
    whoever answers requests. `tells_all` False leaves out what is of the store and the process as a
    whole (memory, disk, CPU): where others live in them too, it would tell of those.
    """

    def __init__(
        self,
        periscope: Periscope,
        *,
        workers: Callable[[], Iterable[WorkerLike]] | None = None,
        feeds: Callable[[], Awaitable[Iterable[FeedLike]]] | None = None,
        letters: Callable[[], Mapping[str, int]] | None = None,
        index: Callable[[], IndexState | None] | None = None,
        streams: Callable[[], int] | None = None,
        tells_all: bool = True,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.in_flight = 0
        self._periscope = periscope
        self._workers, self._feeds, self._letters = workers, feeds, letters
        self._index, self._streams, self._clock = index, streams, clock
        self._tells_all = tells_all
        self._requests = Requests(periscope.settings.namespace)
        self._forecasts = {"memory": Forecast(), "disk": Forecast()}
        self._one_at_a_time = asyncio.Lock()
        self._kept: tuple[float, list[metrics_core.Metric]] | None = None

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered; `route` is the path as it is declared."""
        self._requests.observe(route, method, status, seconds)

    async def render(self, openmetrics: bool = False) -> bytes:
        """Everything, in the text format of Prometheus or in that of OpenMetrics.

        Read once a second at most, however many ask. It never fails because the store does: while
        that is away, `periscope_store_up` is 0, and only what this process knows is there.
        """
        families = await self._read()
        generate = (
            openmetrics_exposition.generate_latest if openmetrics else exposition.generate_latest
        )
        return generate(_Families(families))

    async def _read(self) -> list[metrics_core.Metric]:
        async with self._one_at_a_time:
            if self._kept is None or self._clock() - self._kept[0] >= MOST_AGE_S:
                families = await self._all()
                self._kept = self._clock(), families
            return self._kept[1]

    async def _all(self) -> list[metrics_core.Metric]:
        found = await read(self._periscope)
        sheet = Sheet(self._periscope.settings.namespace)
        put_store(sheet, self._periscope, found)
        if found is not None:
            self._put_room(sheet, found.capacity)
            await self._put_feeds(sheet)
        self._put_own(sheet)
        process = own.process_families() if self._tells_all else ()
        return [*sheet.families(), *self._requests.families(), *process]

    async def _put_feeds(self, sheet: Sheet) -> None:
        if self._feeds is None:
            return
        feeds = list(await within(MOST_S, self._feeds()) or ())
        put_feeds(sheet, feeds)
        if self._letters is not None:
            sizes = await asyncio.to_thread(self._letters)
            # Letters of all namespaces lie in one folder: those of other feeds are not told.
            for feed in feeds:
                sheet.put("periscope_dead_letter_bytes", sizes.get(feed.name), feed.name)

    def _put_own(self, sheet: Sheet) -> None:
        periscope = self._periscope
        sheet.put("periscope_build_info", 1.0, version("periscope-triage"))
        sheet.put("periscope_requests_in_flight", self.in_flight)
        own.put_travel(sheet, periscope.coalescing)
        own.put_filter(sheet, periscope.membership)
        if self._streams is not None:
            sheet.put("periscope_streams_open", self._streams())
        if self._workers is not None:
            own.put_workers(sheet, self._workers())
        if self._index is not None and (state := self._index()) is not None:
            own.put_index(sheet, state)

    def _put_room(self, sheet: Sheet, capacity: Capacity | None) -> None:
        """What is left of memory and disk, and when it is used up."""
        free, reserve = self._free_bytes(), self._periscope.settings.min_free_mb * MIB
        if self._tells_all:
            self._put_forecasts(sheet, capacity, free, reserve)
        if capacity is not None:
            is_writable = capacity.writable is Writable.YES and (free is None or free >= reserve)
            sheet.put("periscope_store_writable", is_writable)

    def _put_forecasts(
        self, sheet: Sheet, capacity: Capacity | None, free: int | None, reserve: int
    ) -> None:
        now_s, name = self._clock(), "periscope_store_time_to_full_seconds"
        if capacity is not None:
            used, most = capacity.used_memory_bytes, capacity.max_memory_bytes
            sheet.put("periscope_store_memory_used_bytes", used)
            if most:
                sheet.put("periscope_store_memory_limit_bytes", most)
                sheet.put(name, self._forecasts["memory"].seconds(now_s, used, most), "memory")
        if free is not None:
            sheet.put("periscope_store_disk_free_bytes", free)
            sheet.put(name, self._forecasts["disk"].seconds(now_s, -free, -reserve), "disk")

    def _free_bytes(self) -> int | None:
        try:
            return self._periscope.free_bytes
        except StoreError:  # the directory is gone, which the store itself will say
            return None


class _Families:
    """What the client library renders: families that were collected already."""

    def __init__(self, families: list[metrics_core.Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[metrics_core.Metric]:
        """All of them."""
        return iter(self._families)
