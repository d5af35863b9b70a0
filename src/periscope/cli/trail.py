"""Entries of the audit trail as one line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from periscope import documents

if TYPE_CHECKING:
    from periscope.archive import AuditEntry


def describe(entry: AuditEntry) -> str:
    """Return what an entry says besides who did what: its outcome, note, comment, as one text."""
    if entry.erased:
        return "(erased)"
    detail = documents.detail(entry)
    if not isinstance(detail, dict):
        return "" if detail is None else str(detail)
    shown = {name: value for name, value in detail.items() if value and name != "until_ms"}
    return "; ".join(f"{name}: {value}" for name, value in shown.items())
