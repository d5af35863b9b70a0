"""Periscope: exact, live, lossless threat triage on Valkey or Redis."""

from periscope.errors import (
    BatchInterrupted,
    BugError,
    CursorInvalid,
    CursorStale,
    FeedError,
    LibraryMismatch,
    PeriscopeError,
    ReportRejected,
    SettingInvalid,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StoreUnsuitable,
    UsageError,
)
from periscope.ledger import Ledger, Stats
from periscope.models import (
    Action,
    BatchResult,
    Level,
    Outcome,
    Page,
    Rejection,
    Report,
    Severity,
    Status,
    Threat,
)
from periscope.periscope import Periscope
from periscope.policy import Policy
from periscope.scoring import Explanation, Term
from periscope.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "Action",
    "BatchInterrupted",
    "BatchResult",
    "BugError",
    "CursorInvalid",
    "CursorStale",
    "Explanation",
    "FeedError",
    "Ledger",
    "Level",
    "LibraryMismatch",
    "Outcome",
    "Page",
    "Periscope",
    "PeriscopeError",
    "Policy",
    "Rejection",
    "Report",
    "ReportRejected",
    "SettingInvalid",
    "Settings",
    "Severity",
    "Stats",
    "Status",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "StoreUnsuitable",
    "Term",
    "Threat",
    "UsageError",
]
