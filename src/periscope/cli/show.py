"""`periscope show`: everything about one threat, with its score taken apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope.cli import documents, output
from periscope.cli.figures import age, bar, moment
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.text import fit, safe, safe_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType
    from rich.text import Text

    from periscope.models import Threat
    from periscope.scoring import Term

LEVELS = {1: "1 (working)", 2: "2 (short-term)", 3: "3 (long-term)"}
BAR_CELLS = 20
LABEL_CELLS = 16
COUNTS = ("interactions", "escalations", "dismissals", "views", "analysts", "sightings")


async def show_threat(
    threat_id: Annotated[
        str, Parameter(name="ID", help="The threat's id; put -- before one with a hyphen in front.")
    ],
    /,
    *,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Show everything about one threat."""
    async with store.open() as periscope:
        threat = await periscope.get_threat(threat_id)
    if threat is None:
        output.complain(f"no threat {threat_id!r}", "NotFound", json_wanted=out.as_json)
        return 1
    if out.as_json:
        explained = documents.explanation(threat.explain())
        output.show_json({**documents.threat(threat), "explanation": explained})
    else:
        output.show(*_parts(threat))
    return 0


def _parts(threat: Threat) -> Iterator[RenderableType]:
    yield from _heading(threat)
    yield from _score(threat)
    yield from _facts(threat)
    yield from _block("Content", safe_lines(threat.content))
    if threat.metadata:
        # JSON escapes what is below the space; `safe` sees to the rest of the invisible.
        pretty = json.dumps(threat.metadata, indent=2, ensure_ascii=False)
        yield from _block("Metadata", [safe(line) for line in pretty.split("\n")])


def _heading(threat: Threat) -> Iterator[Text]:
    from rich.text import Text

    from periscope.cli.queue import severity_style, title

    yield Text(safe(threat.threat_id), style="bold")
    yield Text(title(threat))
    line = Text()
    line.append(threat.severity.value, style=severity_style(threat.severity))
    home = f", home level {int(threat.home)}" if threat.home is not None else ""
    line.append(f"  {threat.status.value}, level {LEVELS[int(threat.level)]}{home}")
    yield line


def _score(threat: Threat) -> Iterator[Text]:
    from rich.text import Text

    explained, plain = threat.explain(), output.is_plain()
    yield Text("")
    line = Text("Score".ljust(LABEL_CELLS), style="bold")
    line.append(f"{explained.score:.3f}  {bar(explained.score, BAR_CELLS, plain=plain)}")
    yield line
    highest = max((term.weight for term in explained.terms), default=1) or 1
    for term in explained.terms:
        yield _term(term, highest, plain=plain)


def _term(term: Term, highest: float, *, plain: bool) -> Text:
    from rich.text import Text

    given = term.input
    if term.name == "recency":
        given = f"{age(int(given.removesuffix(' ms')))} since the last activity"
    line = Text(f"  {term.name}".ljust(LABEL_CELLS))
    line.append(f"{term.value:.3f}  ")
    line.append(bar(term.value / highest, BAR_CELLS, plain=plain), style="blue")
    line.append(f"  {term.weight:g} x {term.factor:.3f}: {given}", style="dim")
    return line


def _facts(threat: Threat) -> Iterator[Text]:
    from rich.text import Text

    yield Text("")
    yield _fact("Source", safe(threat.source) or "(none)")
    yield _fact("First seen", _when(threat.first_seen_ms, threat.as_of_ms))
    yield _fact("Last activity", _when(threat.last_activity_ms, threat.as_of_ms))
    if threat.observed_at_ms is not None:
        yield _fact("Observed at", _when(threat.observed_at_ms, threat.as_of_ms))
    for name in COUNTS:
        yield _fact(name.capitalize(), f"{getattr(threat, name):,}")
    if threat.consolidations:
        yield _fact("Consolidations", f"{threat.consolidations:,}")
        yield _fact("Confidence", f"{threat.confidence:.3f}")
    yield _fact("Revision", f"{threat.revision:,}")


def _fact(label: str, value: str) -> Text:
    from rich.text import Text

    return Text.assemble((fit(label, LABEL_CELLS), "bold"), value)


def _when(moment_ms: int, as_of_ms: int) -> str:
    return f"{moment(moment_ms)} ({age(as_of_ms - moment_ms)} ago)".replace("now ago", "now")


def _block(label: str, lines: list[str]) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    yield Text("")
    yield Text(label, style="bold")
    yield Padding(Text("\n".join(lines), overflow="fold"), (0, 0, 0, 2), expand=False)
