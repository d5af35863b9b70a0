"""What a format is: a name, a way to recognise it, a way to read it, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from periscope.feeds.inputs import Input
from periscope.feeds.options import ReadOptions
from periscope.models import Report, Unreadable

Item = Report | dict[str, Any] | Unreadable
Skip = Callable[[str], None]
"""Called with the reason for every record that is understood and left out on purpose."""

PRODUCT, FAMILY, GENERAL = 10, 50, 90
"""Values of `Format.rank`: one product's own form, a standard that many write, any data at all."""


class Sample(NamedTuple):
    """The first bytes of an input after decompression; `complete` if there are no more."""

    data: bytes
    complete: bool


class Format(Protocol):
    """One kind of file; the same file always gives the same items in the same order.

    A package of anybody's adds one by an entry point of the group `periscope.formats`: its name is
    the format's, its value a class that is called without arguments.
    `periscope.feeds.testing.check_format` tests it.
    """

    @property
    def name(self) -> str:
        """The word by which `open_feed(format=...)` knows it: a-z, 0-9, - and _."""
        ...

    @property
    def title(self) -> str:
        """What people call it, such as "Suricata EVE"."""
        ...

    @property
    def one_report_is(self) -> str:
        """What gives one report, such as "an event of type alert"."""
        ...

    @property
    def rank(self) -> int:
        """When detection asks it: `PRODUCT` before `FAMILY` before `GENERAL`, then by name."""
        ...

    @property
    def example(self) -> bytes:
        """A small input that is recognised as this format and gives at least one report."""
        ...

    @property
    def mapping(self) -> tuple[tuple[str, str], ...]:
        """Rows of its table in the documentation: a report's field, and where it comes from."""
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
