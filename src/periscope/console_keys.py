"""The keys about what a console shows: under the control tag, as they belong to no partition."""

from __future__ import annotations

from typing import NamedTuple

from periscope.keys import control_key


class ConsoleKeys(NamedTuple):
    """The keys about saved views and the timeline, all in the slot of the control key."""

    control: bytes
    views: bytes
    timeline: bytes

    @property
    def own(self) -> tuple[bytes, ...]:
        """Those that hold nothing else."""
        return self[1:]


def console_keys(namespace: str) -> ConsoleKeys:
    """Return the keys about what a console shows."""
    control = control_key(namespace)
    return ConsoleKeys(control, control + b":views", control + b":timeline")
