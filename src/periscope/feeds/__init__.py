"""Outside world to reports: files of any supported format, bounded and validated.

    with open_feed("known_exploited_vulnerabilities.json") as feed:
        result = await periscope.add_threats_batch(feed)

Layers: `inputs` (bytes) · `lines`, `json_split`, `csv_rows` (records) · `json_records`, `finding`
(what formats share) · `formats/`, one file a format (reports) · `feed`.
"""

from periscope.feeds.feed import Feed, open_feed
from periscope.feeds.options import ReadOptions
from periscope.feeds.registry import format_names
from periscope.feeds.severity import SeverityTable
from periscope.feeds.streamed import StreamReports

__all__ = [
    "Feed",
    "ReadOptions",
    "SeverityTable",
    "StreamReports",
    "format_names",
    "open_feed",
]
