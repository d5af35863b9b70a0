"""`periscope show`: everything about one threat, with its score taken apart."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from periscope import documents
from periscope.cli import output
from periscope.cli.figures import age, ago, bar
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.standing import LABEL_CELLS, fact, standing
from periscope.cli.text import safe, safe_lines
from periscope.documents import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType
    from rich.text import Text

    from periscope.periscope import Periscope
    from periscope.scoring import Term
    from periscope.threat import Threat
    from periscope.work import Desk

BAR_CELLS = 20
COUNTS = ("interactions", "escalations", "dismissals", "views", "analysts", "sightings")


@dataclass(frozen=True)
class Look:
    """A threat with its desk: who holds it, and who did what."""

    threat: Threat
    desk: Desk

    @classmethod
    async def at(cls, periscope: Periscope, threat_id: str) -> Look | None:
        """Look at a threat; None if there is none of this id."""
        threat = await periscope.get_threat(threat_id)
        return None if threat is None else cls(threat, await periscope.get_desk(threat_id))

    def document(self) -> documents.Document:
        """Return everything as JSON."""
        return documents.shown(self.threat, self.desk)


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
        look = await Look.at(periscope, threat_id)
    if look is None:
        output.complain(f"no threat {threat_id!r}", "NotFound", json_wanted=out.as_json)
        return 1
    if out.as_json:
        output.show_json(look.document())
    else:
        show(look)
    return 0


def show(look: Look) -> None:
    """Print all of it for people."""
    output.show(*_parts(look))


def _parts(look: Look) -> Iterator[RenderableType]:
    threat = look.threat
    yield from _heading(threat)
    yield from _score(threat)
    yield from standing(threat, look.desk)
    yield from _facts(threat)
    yield from _block("Content", safe_lines(threat.content))
    if threat.metadata:
        # JSON escapes what is below the space; `safe` sees to the rest of the invisible.
        pretty = json.dumps(threat.metadata, indent=2, ensure_ascii=False)
        yield from _block("Metadata", [safe(line) for line in pretty.split("\n")])


def _heading(threat: Threat) -> Iterator[Text]:
    from rich.text import Text

    from periscope.cli.act_told import state
    from periscope.cli.queue import severity_style, title

    yield Text(safe(threat.threat_id), style="bold")
    yield Text(title(threat))
    line = Text()
    line.append(threat.severity.value, style=severity_style(threat.severity))
    line.append(f"  {state(threat)}")
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
    yield fact("Source", safe(threat.source) or "(none)")
    yield fact("First seen", _when(threat.first_seen_ms, threat.as_of_ms))
    yield fact("Last activity", _when(threat.last_activity_ms, threat.as_of_ms))
    if threat.observed_at_ms is not None:
        yield fact("Observed at", _when(threat.observed_at_ms, threat.as_of_ms))
    for name in COUNTS:
        yield fact(name.capitalize(), f"{getattr(threat, name):,}")
    yield fact("Revision", f"{threat.revision:,}")


def _when(moment_ms: int, as_of_ms: int) -> str:
    return f"{moment(moment_ms)} ({ago(as_of_ms - moment_ms)})"


def _block(label: str, lines: list[str]) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    yield Text("")
    yield Text(label, style="bold")
    yield Padding(Text("\n".join(lines), overflow="fold"), (0, 0, 0, 2), expand=False)
