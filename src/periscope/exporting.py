"""Threats as lines for other programs: NDJSON, and CSV that is safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from periscope import documents
from periscope.header import read_threat
from periscope.spliced import Splicer

if TYPE_CHECKING:
    from periscope.policy import Policy
    from periscope.threat import RecordPage, Threat

PAGE = 500
OF_DOCUMENTS = (
    *("threat_id", "severity", "score", "level", "status", "outcome", "memory_type"),
    *("interactions", "escalations", "dismissals", "analysts", "sightings", "confidence"),
    *("overdue", "first_seen", "last_activity", "due", "observed_at", "source"),
)
OF_METADATA = ("title", "type", "tlp", "tags", "indicators", "references", "industry")
COLUMNS = (*OF_DOCUMENTS, *OF_METADATA, "content", "metadata")
BEGINS_FORMULA = frozenset("=+-@|%\t\r\n\0" + "＝＋－＠｜％")
_INVISIBLE = (0x20, 0xA0, 0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFEFF)
UNSEEN = "".join(map(chr, (*_INVISIBLE, *range(0x2066, 0x206A))))
_CONTROLS = dict.fromkeys((*range(1, 32), *range(127, 160)), "�")
VISIBLE: dict[int, str | None] = {**_CONTROLS, **{ord(one): one for one in "\t\r\n"}, 0: None}

Page = Callable[[str | None], Awaitable["RecordPage"]]
"""Reads the page after a cursor."""
Permit = Callable[["Threat"], bool]


class ExportFormat(StrEnum):
    """How threats are written."""

    NDJSON = "ndjson"
    CSV = "csv"


async def export(
    form: ExportFormat, policy: Policy, page: Page, permit: Permit | None = None
) -> AsyncIterator[bytes]:
    """Give all pages of a walk as text, a page at a time; memory stays that of one.

    `permit` leaves out what it refuses. The first item comes after the first page was read, so that
    what is wrong with the walk is raised before anything is given.

    Raises:
        CursorStale: the policy changed during the walk.
    """
    found = await page(None)
    if form is ExportFormat.CSV:
        yield _row(COLUMNS)
    splicer = Splicer(policy)
    while True:
        if form is ExportFormat.NDJSON and permit is None:
            lines = splicer.items(found.items, found.as_of_ms)
            yield b"".join(line + b"\n" for line in lines)
        else:
            threats = [read_threat(*one, found.as_of_ms, policy) for one in found.items]
            kept = [one for one in threats if permit is None or permit(one)]
            yield b"".join(map(_line if form is ExportFormat.NDJSON else _csv_row, kept))
        if found.next_cursor is None:
            return
        found = await page(found.next_cursor)


def safe_cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula, whatever stands before its first letter.

    A quotation mark is put before what would be one, as OWASP advises. NUL is left out, as readers
    of CSV end at it; other control characters, which a terminal would obey, are replaced.
    """
    text = text.translate(VISIBLE)
    begin = text.lstrip(UNSEEN + '"')[:1]
    return f"'{text}" if begin in BEGINS_FORMULA and begin else text


def _line(threat: Threat) -> bytes:
    return msgspec.json.encode(documents.threat(threat)) + b"\n"


def _csv_row(threat: Threat) -> bytes:
    document = documents.threat(threat)
    metadata = threat.metadata
    return _row(
        [
            *(_cell(document[name]) for name in OF_DOCUMENTS),
            *(_cell(metadata.get(name)) for name in OF_METADATA),
            _cell(threat.content),
            _cell(msgspec.json.encode(metadata).decode() if metadata else None),
        ]
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, list):
        value = "; ".join(_plain(one) for one in value)
    return safe_cell(_plain(value))


def _plain(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("value"), str):
        return str(value["value"])  # a typed indicator
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _row(cells: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(cells)
    return out.getvalue().encode(errors="replace")
