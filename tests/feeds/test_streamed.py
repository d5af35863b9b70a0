"""Reports of a stream that a thread reads."""

from __future__ import annotations

import asyncio
import io

from periscope.feeds import StreamReports, open_feed
from periscope.feeds.streamed import BUFFERED_BYTES

LINE = b'{"threat_id":"t","content":"%s","severity":"LOW"}\n' % (b"x" * 200_000)
LINES = 8 * BUFFERED_BYTES // len(LINE)


async def test_large_reports_are_not_read_far_ahead_of_whoever_takes_them() -> None:
    reports = StreamReports(lambda: open_feed(io.BytesIO(LINE * LINES), format="ndjson"))
    feed = await reports.opened()
    assert feed is not None
    taken, ahead = 0, []
    async for _ in reports:
        await asyncio.to_thread(int)  # the reader has its turn
        taken += 1
        ahead.append(feed.bytes_read - taken * len(LINE))
    assert taken == LINES
    assert max(ahead) < 2 * BUFFERED_BYTES + 4 * len(LINE)
