"""A process that reads one source to its end and tells what it cost; run by test_bounds.py."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from periscope.errors import FeedError
from periscope.polling.document import FetchOptions, Source
from periscope.polling.fetch import Client
from periscope.polling.http_source import HttpSource
from periscope.polling.misp_source import MispSource
from periscope.polling.taxii_source import TaxiiSource

KINDS: dict[str, Callable[[str, Client, FetchOptions], Source]] = {
    "http": HttpSource,
    "taxii": TaxiiSource,
    "misp": MispSource,
}


def peak_kib() -> int:
    """The most memory that this process had; `ru_maxrss` begins with that of its parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


async def read(source: Source) -> dict[str, object]:
    before, began, documents, size = peak_kib(), time.monotonic(), 0, 0
    error = None
    try:
        async for document in source.documents(None):
            with document.file as file:
                documents += 1
                size += file.seek(0, 2)
    except FeedError as exc:
        error = str(exc)
    grown = (peak_kib() - before) // 1024
    return {
        "documents": documents,
        "bytes": size,
        "error": error,
        "grown_mib": grown,
        "took_s": round(time.monotonic() - began, 2),
    }


async def main(kind: str, place: str, max_bytes: str, small: str) -> None:
    options = FetchOptions(max_bytes=int(max_bytes), allow=("127.0.0.1",))
    client = Client()
    await read(KINDS[kind](small, client, options))  # so that all code is there
    print(json.dumps(await read(KINDS[kind](place, client, options))))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
