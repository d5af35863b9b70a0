"""The formats, in the order in which detection asks them: the particular before the general."""

from __future__ import annotations

from periscope.errors import FeedError
from periscope.feeds.csv_rows import CsvRows
from periscope.feeds.format import Format
from periscope.feeds.json_document import JsonDocument
from periscope.feeds.kev import Kev
from periscope.feeds.ndjson import Ndjson
from periscope.feeds.stix import Stix

ALL: tuple[Format, ...] = (Kev(), Stix(), Ndjson(), JsonDocument(), CsvRows())
FORMATS: tuple[str, ...] = tuple(sorted(one.name for one in ALL))


def by_name(name: str) -> Format:
    """Return the format of that name, in any case.

    Raises:
        FeedError: there is none; names those that there are.

    """
    for one in ALL:
        if one.name == name.lower():
            return one
    raise FeedError(f"--format {name}: there is no such format; one of {', '.join(FORMATS)}")
