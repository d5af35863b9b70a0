"""How often, and for how long, a call that is safe to repeat is repeated."""

from __future__ import annotations

import asyncio
from random import uniform

from redis.exceptions import AskError, MovedError, RedisError

from periscope.connection.explain import (
    ELSEWHERE,
    LOST,
    is_busy,
    is_moving,
    is_short_of_replicas,
)
from periscope.connection.node import Node
from periscope.connection.topology import Topology

FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 0.25
MOST_REDIRECTIONS = 16


class Patience:
    """One call's patience: after each failure `bear` makes ready for another try, or raises it.

    `away_s`: how long a server may be away, counted from when anybody first found it so; while it
    is away longer, each call tries once and fails. `wait_s`: how long this call waits for it in any
    case. `moving_s`: how long keys may be on the move, or somebody's script hold up the server.
    """

    def __init__(
        self, topology: Topology, away_s: float, moving_s: float, wait_s: float = 0.0
    ) -> None:
        self._topology = topology
        self._away_s, self._moving_s, self._wait_s = away_s, moving_s, wait_s
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._tries = 0
        self._redirections = 0

    async def bear(self, exc: BaseException, key: bytes, node: Node | None) -> None:
        """Wait and look around, as this failure asks for.

        Raises:
            the failure itself: it is none that passes, or patience has ended.
        """
        if isinstance(exc, MovedError):
            await self._follow(exc, key)
        elif is_moving(exc) or is_busy(exc) or type(exc) is AskError:
            await self._pause(exc, self._began + self._moving_s)
        elif isinstance(exc, (*LOST, *ELSEWHERE)) or is_short_of_replicas(exc):
            await self._look_around(exc, node)
        else:
            raise exc

    async def _follow(self, exc: MovedError, key: bytes) -> None:
        self._redirections += 1
        if self._redirections > MOST_REDIRECTIONS:
            raise exc
        await self._topology.moved(key, exc)

    async def _look_around(self, exc: BaseException, node: Node | None) -> None:
        now = self._now()
        if node is not None and isinstance(exc, LOST) and node.away_since is None:
            node.away_since = now
        since = self._began if node is None or node.away_since is None else node.away_since
        alone = not self._topology.can_change
        impatient = max(self._away_s, self._wait_s) <= 0
        if alone and (not isinstance(exc, LOST) or (impatient and self._tries > 0)):
            raise exc
        await self._pause(exc, max(since + self._away_s, self._began + self._wait_s))
        await self._topology.refresh()

    async def _pause(self, exc: BaseException, deadline: float) -> None:
        """A little longer each time, and never the same for two callers."""
        self._tries += 1
        if self._now() >= deadline and self._tries > 1:
            raise exc
        most = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**self._tries)
        await asyncio.sleep(uniform(most / 2, most) if self._tries > 1 else 0)  # noqa: S311


REPEATABLE = (RedisError, *LOST)
