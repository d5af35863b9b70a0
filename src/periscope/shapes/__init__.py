"""What travels over HTTP, as types: the API is described by them, the client reads with them.

One file a noun. Times are RFC 3339 text and, in a field ending in `_ms`, integer milliseconds since
1970 (UTC). A document may gain fields; those that are here stay.
"""

from periscope.shapes.acts import (
    ActBody,
    ActDone,
    Allowed,
    ClaimBody,
    CommentBody,
    DecideBody,
    EraseBody,
    Erased,
    InteractionBody,
    InteractionsTaken,
    Next,
    NextBody,
    NoteBody,
    Promoted,
    RecallDone,
    ReleaseBody,
    Released,
    RemoveBody,
    Removed,
    SnoozeBody,
    UndoBody,
    UndoDone,
)
from periscope.shapes.events import (
    EventDocument,
)
from periscope.shapes.problem import (
    Problem,
)
from periscope.shapes.reports import (
    Rejected,
    ReportsTaken,
)
from periscope.shapes.threats import (
    ClaimDocument,
    DeskDocument,
    DoneLast,
    ScoreExplanation,
    Term,
    ThreatDocument,
    ThreatPage,
    ThreatShown,
)

__all__ = [
    "ActBody",
    "ActDone",
    "Allowed",
    "ClaimBody",
    "ClaimDocument",
    "CommentBody",
    "DecideBody",
    "DeskDocument",
    "DoneLast",
    "EraseBody",
    "Erased",
    "EventDocument",
    "InteractionBody",
    "InteractionsTaken",
    "Next",
    "NextBody",
    "NoteBody",
    "Problem",
    "Promoted",
    "RecallDone",
    "Rejected",
    "ReleaseBody",
    "Released",
    "RemoveBody",
    "Removed",
    "ReportsTaken",
    "ScoreExplanation",
    "SnoozeBody",
    "Term",
    "ThreatDocument",
    "ThreatPage",
    "ThreatShown",
    "UndoBody",
    "UndoDone",
]
