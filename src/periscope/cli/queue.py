"""The queue as a table: which columns fit, and how one threat looks in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.text import Text

from periscope.cli.figures import age, bar
from periscope.cli.text import first_line, fit, safe, width_of
from periscope.models import Severity
from periscope.threat import Threat

GAP = 2
MIN_TITLE = 16
MIN_RANK = 4
MIN_ID, MAX_ID = 8, 48
STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "bright_red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
}


class Cell(NamedTuple):
    """Text and how it is styled; the text alone says everything."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Column:
    """One column; those of a higher `rank` go first when the terminal is narrow."""

    head: str
    width: int
    cell: Callable[[int, Threat], Cell]
    rank: int = 0
    right: bool = False


Columns = Callable[[int, bool], list[Column]]
"""Makes columns, for a width of the ids and for terminals with or without block characters."""


def title(threat: Threat) -> str:
    """Return its title, else the first line of its content, else its id; safe."""
    given = threat.metadata.get("title")
    named = first_line(given) if isinstance(given, str) else ""
    return named or first_line(threat.content) or safe(threat.threat_id)


def severity_style(severity: Severity) -> str:
    """Return the colour of a severity, which stands beside its word and never alone."""
    return STYLES[severity]


class QueueTable:
    """Rows of one width for one screen; the same columns whatever page comes.

    `ranks` is how high ranks get, `sample` some of the threats: their ids decide a width;
    `columns` makes the columns between the rank and the edge.
    """

    def __init__(
        self,
        sample: Sequence[Threat],
        width: int,
        *,
        ranks: int = 0,
        plain: bool = False,
        columns: Columns | None = None,
    ) -> None:
        self._plain = plain
        digits = max(MIN_RANK, len(str(ranks)))
        rank = Column("#", digits, lambda rank, _: Cell(str(rank), "dim"), right=True)
        others = (columns or queue_columns)(id_width(sample, width), plain)
        self._columns = _fitting([rank, *others], width)
        fixed = sum(column.width + GAP for column in self._columns if column.width)
        self._title_width = max(1, width - fixed)

    def header(self) -> Text:
        """Return the line of column names."""
        return self._line([Cell(column.head, "bold") for column in self._columns])

    def row(self, rank: int, threat: Threat) -> Text:
        """One threat on one line, exactly as wide as the table."""
        return self._line([column.cell(rank, threat) for column in self._columns])

    def rows(self, threats: Sequence[Threat], first: int = 1) -> list[Text]:
        """Return several threats, a line each."""
        return [self.row(rank, threat) for rank, threat in enumerate(threats, first)]

    def _line(self, cells: Sequence[Cell]) -> Text:
        line = Text(no_wrap=True)
        for at, (column, cell) in enumerate(zip(self._columns, cells, strict=True)):
            line.append(" " * GAP if at else "")
            width = column.width or self._title_width
            shown = fit(cell.text, width, right=column.right, plain=self._plain)
            line.append(shown, style=cell.style or None)
        line.rstrip()
        return line


def queue_columns(id_cells: int, plain: bool) -> list[Column]:
    """Return the columns of the queue, for ids of that width."""
    return [
        Column("SCORE", 5, lambda _, threat: Cell(f"{threat.score:.3f}")),
        Column("", 6, lambda _, threat: Cell(bar(threat.score, 6, plain=plain), "blue"), rank=5),
        *severity_columns(),
        Column("TITLE", 0, lambda _, threat: Cell(title(threat))),
        Column("SOURCE", 12, lambda _, threat: Cell(safe(threat.source)), rank=4),
        Column("ID", id_cells, lambda _, threat: Cell(safe(threat.threat_id))),
        Column("AGE", 4, lambda _, threat: Cell(age(threat.age_ms)), right=True),
        Column("INT/ESC/SEE", 11, lambda _, threat: Cell(_counts(threat), "dim"), rank=3),
    ]


def severity_columns() -> list[Column]:
    """Return the severity as a word, and as the letter that stands for it where it is narrow."""
    return [
        Column("SEVERITY", 8, lambda _, threat: _severity(threat), rank=2),
        Column("S", 1, lambda _, threat: _letter(threat)),
    ]


def _severity(threat: Threat) -> Cell:
    return Cell(threat.severity.value, severity_style(threat.severity))


def _letter(threat: Threat) -> Cell:
    return Cell(threat.severity.value[0], severity_style(threat.severity))


def _counts(threat: Threat) -> str:
    return f"{threat.interactions}/{threat.escalations}/{threat.sightings}"


def id_width(sample: Sequence[Threat], width: int) -> int:
    """Return how many cells the ids get."""
    longest = max((width_of(safe(one.threat_id)) for one in sample), default=MIN_ID)
    return max(MIN_ID, min(longest, MAX_ID, width // 3))


def _fitting(columns: list[Column], width: int) -> list[Column]:
    """Leave columns out, the least needed first, until the title has room.

    The word of a severity goes last of those, and its letter takes its place.
    """
    while _needed(columns) > width and any(column.rank for column in columns):
        columns.remove(max(columns, key=lambda column: column.rank))
    words = any(column.head == "SEVERITY" for column in columns)
    return [column for column in columns if not (words and column.head == "S")]


def _needed(columns: list[Column]) -> int:
    letters = any(column.head == "SEVERITY" for column in columns)
    kept = [column for column in columns if not (letters and column.head == "S")]
    return sum(max(column.width, MIN_TITLE if not column.width else 1) + GAP for column in kept)
