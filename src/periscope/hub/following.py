"""Events for a reader in this process that leaves none out, however slow it is now and then."""

from __future__ import annotations

from collections.abc import AsyncIterator

from periscope.errors import EventsLost, StoreUnavailable
from periscope.events import EVENTS_LOST
from periscope.hub.hub import EventHub
from periscope.hub.subscription import Ended
from periscope.work import Event

WAIT_S = 60.0


async def follow(hub: EventHub, since: str) -> AsyncIterator[Event]:
    """Give every event after a position, for ever: from the hub, which reads the stream anyway.

    Raises:
        EventsLost: older events are no longer kept; read the state anew.
        StoreUnavailable: the hub was closed. What ended the hub by itself, as it says.
    """
    while True:
        async with hub.subscribe(since, lasting=True) as subscription:
            while (events := await subscription.events(WAIT_S)) is not None:
                for event in events:
                    yield event
            since, ended = subscription.position, subscription.ended
        if ended is Ended.LOST:
            raise EventsLost(EVENTS_LOST)
        if ended is not Ended.LAGGING:
            raise hub.failure or StoreUnavailable("the hub is closed; nothing is told any more")
