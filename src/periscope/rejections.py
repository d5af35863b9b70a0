"""Why a report is rejected, in our words for what msgspec says."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from periscope.errors import ReportRejected
from periscope.models import MAX_METADATA_DEPTH, SEVERITIES

_SEVERITY = re.compile(r"(?s)Invalid enum value (.*) - at")
_AT = re.compile(r"(?s)^(.*) - at .*?`\$\.?([A-Za-z_]*).*`$")
_MISSING = re.compile(r"missing required field `(\w+)`")
_UNKNOWN = re.compile(r"contains unknown field `(.*)`", re.DOTALL)


def _explain_missing(found: re.Match[str], text: str) -> tuple[str, str]:
    return found[1], f"{found[1]}: missing"


def _explain_unknown(found: re.Match[str], text: str) -> tuple[str, str]:
    return found[
        1
    ], f"{found[1][:100]}: unknown field; what is not of the report goes into metadata"


def _explain_at(found: re.Match[str], text: str) -> tuple[str, str]:
    return found[2], f"{found[2]}: {found[1][0].lower()}{found[1][1:]}"


def _explain_severity(found: re.Match[str], text: str) -> tuple[str, str]:
    known = ", ".join(reversed(SEVERITIES))
    return "severity", f"severity: unknown {found[1][:100]}; use one of {known}"


_EXPLAIN: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], tuple[str, str]]], ...] = (
    (_MISSING, _explain_missing),
    (_UNKNOWN, _explain_unknown),
    (_SEVERITY, _explain_severity),
    (_AT, _explain_at),
)


def rejection_for(exc: Exception) -> ReportRejected:
    """A ReportRejected that names the field, for msgspec's wording of the same."""
    text = str(exc)
    for pattern, explain in _EXPLAIN:
        found = pattern.search(text)
        if found:
            field, reason = explain(found, text)
            return ReportRejected(_one_line(reason), field=field)
    if isinstance(exc, UnicodeError):
        return ReportRejected("not a report: not valid UTF-8 (a lone surrogate)", field="report")
    if not isinstance(exc, msgspec.ValidationError | RecursionError):
        return ReportRejected(f"not a report: {type(exc).__name__} when read", field="report")
    if isinstance(exc, RecursionError):
        return ReportRejected(
            f"metadata: nested deeper than {MAX_METADATA_DEPTH}", field="metadata"
        )
    return ReportRejected(_one_line(f"not a report: {text[0].lower()}{text[1:]}"), field="report")


def _one_line(reason: str) -> str:
    return " ".join(reason.split())
