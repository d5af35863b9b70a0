"""What a process that makes load is asked to do, and what it says afterwards."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["health", "page", "pages", "threat", "act"]


class Task(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Of which service, with how many connections."""

    port: int
    key: str
    connections: int


class Post(Task, frozen=True, kw_only=True):
    """Send new reports from number `first` on, in bodies of `each`, `per_s` bodies a second.

    0 a second: as fast as the service answers.
    """

    first: int
    bodies: int
    each: int = 1000
    per_s: float = 0.0


class Ask(Task, frozen=True, kw_only=True):
    """Make small requests of one kind about the threats of the scale, each after a pause."""

    kind: Kind
    requests: int
    scale: int
    pause_s: float = 0.0


class Follow(Task, frozen=True, kw_only=True):
    """Keep event streams open until each has told of the threat `last`, or `most_s` are over."""

    last: str
    most_s: float


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Moments are of the monotonic clock, which all processes share.

    `samples_ms`: how long each request took. `ended`: when each was answered, in the order in which
    they were made; a body of `Post` has its place in it.
    """

    wall_s: float
    cpu_s: float
    samples_ms: list[float] = []
    ended: list[float] = []


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What event streams told: of each event its threats, and when it came on each stream.

    `fell_behind`: streams that ended, or did not tell the same as the others.
    """

    cpu_s: float
    threats: list[list[str]]
    arrived: list[list[float]]
    fell_behind: int


AnyTask = Post | Ask | Follow
