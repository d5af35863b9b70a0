"""What happens in a database, for people who hold it open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from periscope.database import Database
from periscope.work import Event


class Following(Database):
    """The events of `Periscope`."""

    def events(
        self, since: str | None = None, *, away: Callable[[bool], None] | None = None
    ) -> AsyncIterator[Event]:
        """Follow what happens, for ever; `since` is the `position` of the last event one has seen.

        Without it only what happens from now on. Partitions are merged by time. While the store is
        away it waits, and goes on where it was: nothing is left out or given twice; `away` is then
        called with True, and with False when it goes on.

        Raises:
            EventsLost: older events are no longer kept, or the server lost what was given last
                (a restart without append-only file, a failover): read the state anew.
            Moving, StoreDamaged: the database was repartitioned or replaced; open it again.
            StoreUnavailable: the database was closed; or the server is away when one asks to
                follow from now on.
        """
        return self._events.follow(since, away)

    async def get_event_position(self) -> str:
        """The position of now: `events` of it gives what happens from here on.

        Raises:
            StoreUnavailable: the server is away.
        """
        return await self._events.now()
