"""`periscope formats`: what `periscope ingest` reads, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from periscope.cli import grid, output
from periscope.cli.options import FOR_PEOPLE, OutputOptions
from periscope.cli.text import safe
from periscope.feeds.format import FAMILY, PRODUCT
from periscope.feeds.registry import all_formats, by_name

if TYPE_CHECKING:
    from periscope.feeds.format import Format

INDENT = "    "


def formats(
    name: Annotated[
        str | None,
        Parameter(name="NAME", help="Show this one: an example, and what each field comes from."),
    ] = None,
    /,
    *,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """List the formats that feeds are read in, or show one."""
    if name is not None:
        _show(by_name(name), out)
        return 0
    found = sorted(all_formats(), key=lambda one: one.name)
    if out.as_json:
        output.show_json({"formats": [_told(one) for one in found]})
    else:
        rows = [(one.name, one.title, one.one_report_is) for one in found]
        grid.show(("FORMAT", "TITLE", "ONE REPORT IS"), rows)
    return 0


def _told(one: Format) -> dict[str, Any]:
    return {"name": one.name, "title": one.title, "one_report_is": one.one_report_is}


def _show(one: Format, out: OutputOptions) -> None:
    example = one.example.decode("utf-8", "replace")
    if out.as_json:
        rows = [{"field": field, "from": source} for field, source in one.mapping]
        output.show_json({**_told(one), "rank": one.rank, "example": example, "mapping": rows})
        return
    lines = [
        f"{one.name}: {one.title}",
        f"One report is {one.one_report_is}. Recognised {_when(one.rank)}.",
        "",
        "Example:",
        *(f"{INDENT}{line}" for line in example.splitlines()),
        "",
    ]
    output.write("".join(f"{safe(line).rstrip()}\n" for line in lines))
    grid.show(
        ("FIELD", "COMES FROM"), [(field, said.replace("`", "")) for field, said in one.mapping]
    )


def _when(rank: int) -> str:
    if rank <= PRODUCT:
        return "by a product's own form, before all others"
    return "as a standard that many write" if rank <= FAMILY else "where no other format fits"
