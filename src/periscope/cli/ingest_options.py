"""What may be said about a file that it does not say itself, checked, with a hint for mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from periscope.cli.mistakes import suggestion
from periscope.errors import UsageError

if TYPE_CHECKING:
    from periscope.feeds import ReadOptions
    from periscope.models import Severity

READING = Group("Reading", sort_key=10)


@Parameter(name="*")
@dataclass(frozen=True)
class FileOptions:
    """How files are read; every one may be left out."""

    format_name: Annotated[
        str | None,
        Parameter(
            name="--format",
            group=READING,
            help="Format of every file. Recognising it takes the first 64 KiB of a stream: name "
            "the format of one that is to be followed as it comes.",
            metavar="NAME",
        ),
    ] = None
    mapping: Annotated[
        tuple[str, ...],
        Parameter(
            name="--map",
            group=READING,
            help="Where a field is: threat_id, content, severity, source, observed_at, title, "
            "tags, indicator ... = the column (CSV) or key (JSON, dots for nested). May be "
            "repeated.",
            metavar="FIELD=COLUMN",
            show_default=False,
        ),
    ] = ()
    columns: Annotated[
        str | None,
        Parameter(
            name="--columns",
            group=READING,
            help="Column names of CSV without a header line.",
            metavar="A,B,C",
        ),
    ] = None
    delimiter: Annotated[
        str | None,
        Parameter(
            name="--delimiter",
            group=READING,
            help="What separates the columns of CSV (tab for a tab), instead of recognising it.",
            metavar="CHAR",
        ),
    ] = None
    severity: Annotated[
        str | None,
        Parameter(
            name="--severity",
            group=READING,
            help="Severity of records that state none.",
            metavar="WORD",
        ),
    ] = None
    severity_map: Annotated[
        Path | None,
        Parameter(
            name="--severity-map",
            group=READING,
            help="Your own table of severity words and numbers.",
            metavar="FILE.toml",
        ),
    ] = None
    source: Annotated[
        str | None,
        Parameter(
            name="--source",
            group=READING,
            help="Source of every report, whatever the file says.",
            metavar="NAME",
        ),
    ] = None

    fingerprint: Annotated[
        tuple[str, ...],
        Parameter(
            name="--fingerprint",
            group=READING,
            help="A field (dots for nested) that makes the id, instead of the record's own: what "
            "has the same values is the same threat. May be repeated.",
            metavar="FIELD",
            show_default=False,
        ),
    ] = ()

    def known_format(self) -> str | None:
        """Return the format asked for, if any.

        Raises:
            UsageError: there is no such format.
        """
        from periscope.feeds import format_names

        name = self.format_name
        known = format_names()
        if name is not None and name.lower() not in known:
            near = suggestion(name, known) or f"; one of {', '.join(known)}"
            raise UsageError(f"--format {name}: there is no such format{near}")
        return name

    def read_options(self) -> ReadOptions:
        """Return the options for the feed.

        Raises:
            UsageError: one of them cannot be; names it.
        """
        from periscope.feeds import ReadOptions, SeverityTable

        return ReadOptions(
            columns=dict(pair(one) for one in self.mapping),
            header=_names(self.columns),
            delimiter=_one_character(self.delimiter),
            default_severity=None if self.severity is None else _severity(self.severity),
            severity_map=SeverityTable.load(self.severity_map),
            source=self.source,
            fingerprint=self.fingerprint,
        )


AS_THEY_ARE = FileOptions()


def pair(text: str) -> tuple[str, str]:
    """Return field and column of `FIELD=COLUMN`.

    Raises:
        UsageError: it is none, or reports have no such field.
    """
    from periscope.feeds.options import MAPPABLE

    name, sign, column = text.partition("=")
    if not (name and sign and column):
        raise UsageError(f"--map {text}: write it as FIELD=COLUMN, like threat_id=alert_id")
    if name not in MAPPABLE:
        near = suggestion(name, MAPPABLE) or f"; one of {', '.join(MAPPABLE)}"
        raise UsageError(f"--map {text}: reports have no field {name}{near}")
    return name, column


def _one_character(delimiter: str | None) -> str | None:
    if delimiter in ("\\t", "tab"):
        return "\t"
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise UsageError(
            f"--delimiter {delimiter!r} must be one character (tab for a tab), no quote or line end"
        )
    return delimiter


def _severity(word: str) -> Severity:
    from periscope.models import Severity

    try:
        return Severity(word)
    except ValueError:
        known = ", ".join(Severity)
        raise UsageError(f"--severity {word}: there is no such severity; one of {known}") from None


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]
