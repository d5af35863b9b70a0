"""GET /v1/export: whole lists in one answer, as NDJSON or CSV."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.params import Parameter
from litestar.types import ASGIApp

from periscope.access import Scope
from periscope.api.forms import EXPORT
from periscope.api.gate import caller_of
from periscope.api.limits import permit_of
from periscope.api.pages import (
    Asked,
    OfIndustry,
    OfLevel,
    OfSeverity,
    OfStatus,
    Overdue,
    check,
    read_page,
)
from periscope.api.streaming import Streamed, begun
from periscope.exporting import PAGE, ExportFormat, export

MEDIA_TYPES = {
    ExportFormat.NDJSON: "application/x-ndjson",
    ExportFormat.CSV: "text/csv; charset=utf-8; header=present",
}


@get("/export", opt={"scope": Scope.READ, "answers": {200: EXPORT}}, tags=["threats"])
async def export_threats(
    request: Request[Any, Any, Any],
    format: Annotated[  # noqa: A002 - the name of the parameter
        ExportFormat, Parameter(description="`ndjson` (documents) or `csv` (for spreadsheets).")
    ] = ExportFormat.NDJSON,
    level: OfLevel = 1,
    severity: OfSeverity = None,
    status: OfStatus = None,
    overdue: Overdue = False,
    industry: OfIndustry = None,
) -> ASGIApp:
    """Export a list of threats in rank order, of any length, as of one moment.

    An answer that ends without its last chunk is not whole: begin again. In CSV, text that a
    spreadsheet would take for a formula has a quotation mark before it.
    """
    caller = caller_of(request)
    asked = Asked(
        level=level,
        severity=severity,
        status=status,
        overdue=overdue,
        industry=industry,
        limit=PAGE,
    )
    check(asked)
    policy = caller.periscope.functions.rules.policy
    parts = export(
        format,
        policy,
        lambda cursor: read_page(caller.tenant, msgspec.structs.replace(asked, cursor=cursor)),
        permit_of(caller.identity.limits),
    )
    timeout_s = request.app.state.tenants.settings.serve_body_timeout_s
    disposition = f'attachment; filename="threats.{format.value}"'
    return Streamed(
        await begun(parts), MEDIA_TYPES[format], timeout_s, {"content-disposition": disposition}
    )


ROUTES: tuple[Any, ...] = (export_threats,)
