"""Read a file by formats, in a process of its own, and tell what it took.

python -m tests.feeds.reading FILE [FORMAT ...] prints a line of JSON for each format ("-" lets the
content decide): seconds of the processor, until the first answer and in all, and by how many KiB
the process grew at most.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

from periscope.errors import FeedError
from periscope.feeds import ReadOptions, format_names, open_feed
from periscope.models import Severity, Unreadable

STATUS = Path("/proc/self/status")
OPTIONS = ReadOptions(default_severity=Severity.LOW)


def memory_kib(name: str) -> int:
    """A figure of the kernel about this process: VmRSS, or VmHWM for the most there was."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def read(path: str, name: str | None) -> dict[str, object]:
    """What reading the whole file by one format takes and gives."""
    Path("/proc/self/clear_refs").write_text("5")  # from now on VmHWM counts anew
    before, began = memory_kib("VmRSS"), time.process_time()
    first = None
    told: list[str] = []
    reports = bad = 0
    try:
        with open_feed(path, format=name, options=OPTIONS) as feed:
            for item in feed:
                first = first or time.process_time() - began
                bad += isinstance(item, Unreadable)
                reports += not isinstance(item, Unreadable)
                if isinstance(item, Unreadable) and len(told) < 10:
                    told.append(item.reason)
    except FeedError as exc:
        told.append(str(exc))
    seconds = time.process_time() - began
    return {
        "format": name,
        "first": first or seconds,
        "seconds": seconds,
        "grown_kib": memory_kib("VmHWM") - before,
        "reports": reports,
        "bad": bad,
        "told": [text.replace(path, "") for text in told],
    }


def main() -> None:
    """Read by each format in turn, those that fit and those that do not."""
    path, *names = sys.argv[1:]
    for name in names or ["-", *format_names()]:
        sys.stdout.write(json.dumps(read(path, None if name == "-" else name)) + "\n")


if __name__ == "__main__":
    main()
