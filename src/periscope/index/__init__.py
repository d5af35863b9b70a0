"""The read index: what the board does not index, found; the board alone says how it ranks."""

from periscope.index.read_index import ReadIndex
from periscope.index.status import (
    Facets,
    FilteredPage,
    Histogram,
    IndexState,
    IndexStatus,
    Similar,
    SimilarThreat,
)
from periscope.index.where import EVERYTHING, Where

__all__ = [
    "EVERYTHING",
    "Facets",
    "FilteredPage",
    "Histogram",
    "IndexState",
    "IndexStatus",
    "ReadIndex",
    "Similar",
    "SimilarThreat",
    "Where",
]
