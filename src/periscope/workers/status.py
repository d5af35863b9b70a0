"""How a worker is doing, as others may see it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a worker is in its life."""

    NEW = "new"
    RUNNING = "running"
    """A run is under way."""
    WAITING = "waiting"
    """For the next run."""
    FAILING = "failing"
    """The last run failed; waits to try again."""
    PAUSED = "paused"
    """Waits, and holds its work back until somebody acts: the log says why."""
    ENDED = "ended"
    """Its task ended by itself; a supervisor starts it again."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker at one moment.

    `last_run_ms` is when the last run began, by the clock of the worker's machine (None: never);
    `last_result` what the last run that succeeded did; `last_error` the last failure as one line,
    kept after later successes; `restarts` how often its task had to be started again.
    """

    name: str
    state: State = State.NEW
    runs: int = 0
    failures: int = 0
    consecutive_failures: int = 0
    restarts: int = 0
    last_run_ms: int | None = None
    last_result: Any = None
    last_error: str | None = None

    def begun(self) -> WorkerStatus:
        """The status when a run begins."""
        return replace(self, state=State.RUNNING, runs=self.runs + 1, last_run_ms=wall_ms())

    def succeeded(self, result: object, state: State) -> WorkerStatus:
        """The status when a run has done its job."""
        return replace(self, state=state, consecutive_failures=0, last_result=result)

    def failed(self, error: BaseException, state: State = State.FAILING) -> WorkerStatus:
        """The status after one failure more."""
        return replace(
            self,
            state=state,
            failures=self.failures + 1,
            consecutive_failures=self.consecutive_failures + 1,
            last_error=one_line(error),
        )


def one_line(error: BaseException) -> str:
    """An error as one line of bounded length; its kind too, where it is none of ours."""
    text = " ".join(str(error).split())[:500]
    return text if text and hasattr(error, "exit_code") else f"{type(error).__name__}: {text}"


def wall_ms() -> int:
    """Milliseconds since 1970 by this machine's clock."""
    return time.time_ns() // 1_000_000
