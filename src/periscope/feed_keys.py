"""The keys about feeds that are polled: under the control tag, as they belong to no partition."""

from __future__ import annotations

from typing import NamedTuple

from periscope.keys import control_key


class FeedKeys(NamedTuple):
    """The keys about feeds, all in the slot of the control key."""

    control: bytes
    feeds: bytes
    state: bytes
    position: bytes

    @property
    def own(self) -> tuple[bytes, ...]:
        """Those that hold nothing else."""
        return self[1:]


def feed_keys(namespace: str) -> FeedKeys:
    """Return the keys about feeds that are polled."""
    control = control_key(namespace)
    names = (b":feeds", b":feed_state", b":feed_position")
    return FeedKeys(control, *(control + name for name in names))
