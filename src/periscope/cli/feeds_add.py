"""`periscope feeds add`: a feed as options, into the database."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any

from cyclopts import Group, Parameter

from periscope.cli import output
from periscope.cli.ingest_options import AS_THEY_ARE, FileOptions, pair
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.text import safe
from periscope.errors import UsageError

PACE = Group("How often", sort_key=5)
LOCAL = Group("Files and directories", sort_key=20)
FETCHING = Group("Fetching", sort_key=30)
LIMITS = Group("Limits", sort_key=40)


def _option(name: str, group: Group, text: str, metavar: str | None = None) -> Parameter:
    return Parameter(name=name, group=group, help=text, metavar=metavar, show_default=False)


@Parameter(name="*")
@dataclass(frozen=True)
class FeedOptions:
    """What may be said about a feed besides how its documents are read; as in `Definition`."""

    interval: Annotated[
        str | None, _option("--interval", PACE, "Time between two runs.", "DURATION")
    ] = None
    jitter: Annotated[
        str | None, _option("--jitter", PACE, "Up to so much is added at random.", "DURATION")
    ] = None
    follow: Annotated[
        bool, _option("--follow", LOCAL, "Read what is appended to a file, through rotations.")
    ] = False
    pattern: Annotated[
        str | None, _option("--pattern", LOCAL, "Which files of a directory.", "GLOB")
    ] = None
    settle: Annotated[
        str | None,
        _option("--settle", LOCAL, "How long a file must have been left alone.", "DURATION"),
    ] = None
    timeout: Annotated[
        str | None, _option("--timeout", FETCHING, "How long one request may take.", "DURATION")
    ] = None
    username: Annotated[str | None, _option("--username", FETCHING, "User name.", "NAME")] = None
    password_env: Annotated[
        str | None, _option("--password-env", FETCHING, "Variable of the password.", "NAME")
    ] = None
    password_file: Annotated[
        str | None, _option("--password-file", FETCHING, "File of the password.", "FILE")
    ] = None
    token_env: Annotated[
        str | None, _option("--token-env", FETCHING, "Variable of a token.", "NAME")
    ] = None
    token_file: Annotated[
        str | None, _option("--token-file", FETCHING, "File of a token.", "FILE")
    ] = None
    headers_env: Annotated[
        tuple[str, ...],
        _option(
            "--header-env",
            FETCHING,
            "A header, and the variable that holds its value. May be repeated.",
            "HEADER=NAME",
        ),
    ] = ()
    allow: Annotated[
        tuple[str, ...],
        _option(
            "--allow",
            FETCHING,
            "A host, address or network that may be fetched from although it is private. May be "
            "repeated.",
            "HOST",
        ),
    ] = ()
    ca_file: Annotated[
        str | None, _option("--ca-file", FETCHING, "File of the authorities to trust.", "FILE")
    ] = None
    collections: Annotated[
        tuple[str, ...],
        _option("--collection", FETCHING, "A TAXII collection: id or title.", "NAME"),
    ] = ()
    added_after: Annotated[
        str | None, _option("--added-after", FETCHING, "Where TAXII begins (RFC 3339).", "TIME")
    ] = None
    max_bytes: Annotated[
        int | None, _option("--max-bytes", LIMITS, "Bytes of one document at most.", "N")
    ] = None
    max_records: Annotated[
        int | None, _option("--max-records", LIMITS, "Records of one run at most.", "N")
    ] = None
    max_record_bytes: Annotated[
        int | None, _option("--max-record-bytes", LIMITS, "Bytes of one record at most.", "N")
    ] = None

    def given(self) -> dict[str, Any]:
        """Return what was given, as fields of a definition."""
        found: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value is not False and value != ():
                found[field.name] = list(value) if isinstance(value, tuple) else value
        if self.headers_env:
            found["headers_env"] = dict(_header(one) for one in self.headers_env)
        return found


USUAL = FeedOptions()


async def add(
    name: Annotated[str, Parameter(name="NAME", help="What the feed is called.")],
    kind: Annotated[
        str, Parameter(name="KIND", help="One of file, directory, http, taxii or misp.")
    ],
    place: Annotated[str, Parameter(name="PLACE", help="The path or the URL.")],
    /,
    *,
    feed: FeedOptions = USUAL,
    files: FileOptions = AS_THEY_ARE,
    replace: Annotated[
        bool, Parameter(help="Define a feed anew that is there already.", show_default=False)
    ] = False,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Define a feed."""
    from periscope.polling import Feeds, shown_fields
    from periscope.polling.checks import define

    fields_given = {"kind": kind, "place": place, **feed.given(), **reading_of(files)}
    define(name, fields_given)  # a mistake is told before the database is reached
    async with store.open() as periscope:
        done = await Feeds(periscope).add_feed(name, replace=replace, **fields_given)
    if out.as_json:
        output.show_json(shown_fields(done))
    else:
        output.write(f"Feed {safe(done.name)} is defined; workers run it from now on.\n")
    return 0


def reading_of(files: FileOptions) -> dict[str, Any]:
    """Return the options about reading as fields of a definition."""
    given: dict[str, Any] = {
        "format": files.known_format(),
        "map": dict(pair(one) for one in files.mapping),
        "columns": None if files.columns is None else [c.strip() for c in files.columns.split(",")],
        "delimiter": files.delimiter,
        "severity": files.severity,
        "severity_map": None if files.severity_map is None else str(files.severity_map),
        "source": files.source,
        "fingerprint": list(files.read_options().fingerprint),
    }
    return {name: value for name, value in given.items() if value not in (None, {}, [])}


def _header(text: str) -> tuple[str, str]:
    name, sign, variable = text.partition("=")
    if not (name and sign and variable):
        raise UsageError("--header-env: write it as HEADER=NAME, with the name of a variable")
    return name, variable
