"""The sources, by kind of feed; what fetches is imported when it is needed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from periscope.polling.definition import Definition
from periscope.polling.directory_source import DirectorySource
from periscope.polling.document import Source
from periscope.polling.file_source import FileSource
from periscope.polling.follow_source import FollowSource
from periscope.polling.secrets import fetch_options


def make_source(one: Definition) -> Source:
    """Return where the documents of a feed come from, for one run.

    Raises:
        FeedError: a secret is not where it should be, or two things do not fit together.
    """
    return SOURCES[one.kind](one)


def _file(one: Definition) -> Source:
    return FollowSource(one) if one.follow else FileSource(one)


def _http(one: Definition) -> Source:
    from periscope.polling.fetch import Client
    from periscope.polling.http_source import HttpSource

    return HttpSource(one.place, Client(), fetch_options(one, _spool_dir()))


def _taxii(one: Definition) -> Source:
    from periscope.polling.fetch import Client
    from periscope.polling.taxii_source import TaxiiSource

    return TaxiiSource(one.place, Client(), fetch_options(one, _spool_dir()))


def _misp(one: Definition) -> Source:
    from periscope.polling.fetch import Client
    from periscope.polling.misp_source import MispSource

    return MispSource(one.place, Client(), fetch_options(one, _spool_dir()))


def _spool_dir() -> Path:
    return Path(tempfile.gettempdir())


SOURCES: dict[str, Callable[[Definition], Source]] = {
    "file": _file,
    "directory": DirectorySource,
    "http": _http,
    "taxii": _taxii,
    "misp": _misp,
}
