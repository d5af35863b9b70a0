"""How long, and how often, something that may pass is tried again."""

from __future__ import annotations

import asyncio
import random

from periscope.client.problems import ApiProblem

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Patience:
    """The tries of one call: `most_s` seconds from its first failure on, then it fails.

    Pauses double and differ at random, so that those who failed together do not come back together.
    A pause that the service asks for is kept.
    """

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._until: float | None = None
        self._tries = 0

    async def bear(self, exc: ApiProblem) -> None:
        """Wait before the next try.

        Raises:
            ApiProblem: `exc`, where the time is over, or would be by then.
        """
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._most_s
        pause_s = self._pause(exc.retry_after_s)
        if now + pause_s > self._until:
            raise exc
        self._tries += 1
        await asyncio.sleep(pause_s)

    def _pause(self, asked_s: float | None) -> float:
        usual_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._tries, 16))
        jitter = 0.5 + random.random()  # noqa: S311 - not a secret
        return usual_s * jitter if asked_s is None else asked_s + FIRST_PAUSE_S * jitter
