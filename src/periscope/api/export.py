"""GET /v1/export: whole lists in one answer, as NDJSON or CSV."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.params import Parameter
from litestar.types import ASGIApp

from periscope.access import Limits, Scope
from periscope.api.forms import EXPORT
from periscope.api.gate import caller_of
from periscope.api.limits import sees
from periscope.api.pages import Asked, check, read_page
from periscope.api.streaming import Streamed, begun
from periscope.exporting import PAGE, ExportFormat, Permit, export
from periscope.models import Severity, Status

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
    level: Annotated[int, Parameter(description="1 work, 2 validated, 3 known.", ge=1, le=3)] = 1,
    severity: Annotated[
        Severity | None, Parameter(description="Only this severity (level 1).")
    ] = None,
    status: Annotated[
        Status | None, Parameter(description="Only this status of level 1; default: open.")
    ] = None,
    overdue: Annotated[bool, Parameter(description="Only what is past its target.")] = False,
    industry: Annotated[
        str | None, Parameter(description="Only this industry (level 3).", max_length=256)
    ] = None,
) -> ASGIApp:
    """Export a list of threats in rank order, of any length, as of one moment.

    An answer that ends without its last chunk is not whole: begin again. In CSV, text that a
    spreadsheet would take for a formula has a quotation mark before it.
    """
    caller = caller_of(request)
    asked = Asked(level, severity, status, None, None, None, overdue, industry, None, PAGE)
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


def permit_of(limits: Limits) -> Permit | None:
    """Return what says whether a threat is within the limits of a key; None without any."""
    return (lambda threat: sees(limits, threat)) if limits else None


ROUTES: tuple[Any, ...] = (export_threats,)
