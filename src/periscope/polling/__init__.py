"""Feeds that are read again and again: where they come from, and how far each has come.

Layers: `addresses`, `guard` (where a request may go) · `fetch` (one request) · one file a source ·
`document` (what a source gives) · `reading` (a document in slices) · `run`, `runner` (one run of a
feed, while it is ours) · `worker` (all that are due) · `feeds` (what people do with them).
"""

from periscope.polling.deadletters import DeadLetters, Kept, Letter
from periscope.polling.definition import Definition
from periscope.polling.document import Document, Source
from periscope.polling.feeds import FeedInfo, Feeds, fields_of, shown_fields
from periscope.polling.replay import Replayed, replay
from periscope.polling.runner import Ended
from periscope.polling.state import Counts, Status
from periscope.polling.worker import FeedStats, FeedWorker

__all__ = [
    "Counts",
    "DeadLetters",
    "Definition",
    "Document",
    "Ended",
    "FeedInfo",
    "FeedStats",
    "FeedWorker",
    "Feeds",
    "Kept",
    "Letter",
    "Replayed",
    "Source",
    "Status",
    "fields_of",
    "replay",
    "shown_fields",
]
