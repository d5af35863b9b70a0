"""Coverage-guided fuzzing of every reader: `make fuzz`; not part of the tests.

python -m tests.feeds.fuzz_atheris FORMAT [options of libFuzzer]; "-" lets the content decide. It
stops at the first input that gives anything but reports, `Unreadable` and a `FeedError` of one
line, or that takes longer than a second for 64 KiB.
"""

from __future__ import annotations

import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["periscope.feeds", "periscope.intake"]):
    from periscope.errors import FeedError
    from periscope.feeds import ReadOptions, open_feed
    from periscope.feeds.registry import all_formats
    from periscope.intake import Intake
    from periscope.models import Report, Severity, Unreadable

from tests.feeds.support import refusal

OPTIONS = ReadOptions(default_severity=Severity.LOW)
LONGEST_BYTES = 64 * 1024


def reader(name: str | None) -> None:
    """Fuzz one format, from its example (or from all of them)."""

    def once(data: bytes) -> None:
        began = time.process_time()
        try:
            with open_feed(BytesIO(data), format=name, options=OPTIONS) as feed:
                items = list(feed)
        except FeedError as exc:
            refusal(exc)
            return
        assert time.process_time() - began < 1
        assert feed.read == len(items) + feed.skipped.total()
        assert all("\n" not in one.reason for one in items if isinstance(one, Unreadable))
        Intake(bytes(16)).prepare([one for one in items if isinstance(one, Report)], 0)

    with tempfile.TemporaryDirectory() as corpus:
        for one in all_formats():
            if name in (None, one.name):
                (Path(corpus) / one.name).write_bytes(one.example)
        options = [f"-max_len={LONGEST_BYTES}", "-timeout=5", "-rss_limit_mb=1024", corpus]
        atheris.Setup([sys.argv[0], *sys.argv[2:], *options], once)
        atheris.Fuzz()


if __name__ == "__main__":
    reader(None if sys.argv[1] == "-" else sys.argv[1])
