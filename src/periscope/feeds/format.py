"""What a format is: a name, a way to recognise it, and a way to read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from periscope.feeds.inputs import Input
from periscope.feeds.options import ReadOptions
from periscope.models import Report, Unreadable

Item = Report | dict[str, Any] | Unreadable
Skip = Callable[[str], None]
"""Called with the reason for every record that is understood and left out on purpose."""


class Sample(NamedTuple):
    """The first bytes of an input after decompression; `complete` if there are no more."""

    data: bytes
    complete: bool


class Format(Protocol):
    """One kind of file; the same file always gives the same items in the same order."""

    @property
    def name(self) -> str:
        """The word by which `open_feed(format=...)` knows it."""
        ...

    def recognises(self, sample: Sample) -> bool:
        """Whether the sample looks like this format; cheap, and never raises."""
        ...

    def read(self, source: Input, options: ReadOptions, skip: Skip) -> Iterator[Item]:
        """Items of the input, lazily and in bounded memory.

        Raises:
            FeedError: at once where the file can never give a report, and as `Broken` while
                iterating where reading cannot go on.

        """
        ...
