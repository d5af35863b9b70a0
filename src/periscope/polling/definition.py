"""`Definition`: everything that may be said about a feed, in periscope.toml or by command."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from periscope.spans import read_span

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,31}\Z"
INGEST = "ingest"
"""The name under which the letters of `periscope ingest` are kept: no feed's."""
KINDS = ("directory", "file", "http", "misp", "taxii")
FETCHED = ("http", "misp", "taxii")
USUAL_INTERVAL = {"file": "10s", "directory": "10s", "follow": "1s"}
INTERVAL_FETCHED = "15m"
MIB = 1024 * 1024
MAX_FEEDS = 500
"""As many as the store keeps."""


def _help(text: str, kinds: tuple[str, ...] = KINDS, **rules: Any) -> msgspec.Meta:
    return msgspec.Meta(description=text, extra={"kinds": kinds}, **rules)


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A feed that is polled. Secrets are only named here (a variable, a file), never given."""

    name: Annotated[
        str,
        _help(
            "What the feed is called: small letters, digits, dot, hyphen and underscore, up to 32.",
            pattern=NAME_PATTERN,
        ),
    ]
    kind: Annotated[
        Literal["file", "directory", "http", "taxii", "misp"], _help("Where it comes from.")
    ]
    place: Annotated[
        str,
        _help(
            "The path, or the URL (http: or https:, without user information). A path in "
            "periscope.toml counts from the folder of that file.",
            min_length=1,
            max_length=4096,
        ),
    ]
    format: Annotated[
        str | None, _help("Format of what is read; without it the content decides.")
    ] = None
    interval: Annotated[
        str | None,
        _help(
            "Time from the end of a run to the next one: 15m if it is fetched, 10s for files, 1s "
            "for one that is followed."
        ),
    ] = None
    jitter: Annotated[
        str | None, _help("Up to so much is added to it at random; a tenth of it by default.")
    ] = None
    timeout: Annotated[str, _help("How long one request may take in all.", FETCHED)] = "5m"
    source: Annotated[str | None, _help("Source of every report, whatever the feed says.")] = None
    severity: Annotated[str | None, _help("Severity of records that state none.")] = None
    severity_map: Annotated[
        str | None, _help("File with your own table of severity words and numbers (TOML).")
    ] = None
    columns: Annotated[list[str] | None, _help("Column names of CSV without a header line.")] = None
    map: Annotated[
        dict[str, str],
        _help("Where a field is: of threat_id, content, severity, source, observed_at."),
    ] = {}
    delimiter: Annotated[str | None, _help("What separates the columns of CSV.")] = None
    fingerprint: Annotated[
        list[str],
        _help(
            "Fields of a record (dots for nested ones) whose values make its id, for generic "
            "formats: the same values are the same threat."
        ),
    ] = []
    max_bytes: Annotated[
        int, _help("Bytes of one document at most, unpacked.", ge=1, le=64 * 1024 * MIB)
    ] = 1024 * MIB
    max_records: Annotated[
        int, _help("Records of one run at most; the next run goes on. 0: no limit.", ge=0)
    ] = 0
    max_record_bytes: Annotated[int, _help("Bytes of one record at most.", ge=1, le=64 * MIB)] = (
        4 * MIB
    )
    username: Annotated[str | None, _help("User name (basic authentication).", FETCHED)] = None
    password_env: Annotated[str | None, _help("Variable that holds the password.", FETCHED)] = None
    password_file: Annotated[
        str | None, _help("File whose first line is the password.", FETCHED)
    ] = None
    token_env: Annotated[
        str | None, _help("Variable that holds a bearer token (misp: its key).", FETCHED)
    ] = None
    token_file: Annotated[str | None, _help("File whose first line is the token.", FETCHED)] = None
    headers_env: Annotated[
        dict[str, str], _help("Header -> variable that holds its value.", FETCHED)
    ] = {}
    allow: Annotated[
        list[str],
        _help(
            "Hosts, addresses or networks that may be fetched from although they are private.",
            FETCHED,
        ),
    ] = []
    ca_file: Annotated[
        str | None,
        _help("File of the authorities to trust instead of the system's (PEM).", FETCHED),
    ] = None
    collections: Annotated[
        list[str], _help("Ids or titles of collections; without any, all.", ("taxii",))
    ] = []
    added_after: Annotated[
        str | None, _help("Where to begin: only what was added after (RFC 3339).", ("taxii",))
    ] = None
    follow: Annotated[
        bool,
        _help("Read what is appended, line by line, through rotations; needs format.", ("file",)),
    ] = False
    pattern: Annotated[
        str, _help("Which files, as a glob; ** reaches into folders.", ("directory",))
    ] = "*"
    settle: Annotated[
        str,
        _help(
            "A file that changed within this time is still being written.", ("file", "directory")
        ),
    ] = "2s"

    @property
    def is_fetched(self) -> bool:
        """Does it come from another host?"""
        return self.kind in FETCHED

    @property
    def usual_interval(self) -> str:
        """The interval, as it is or as it is by default."""
        usual = USUAL_INTERVAL.get("follow" if self.follow else self.kind, INTERVAL_FETCHED)
        return self.interval or usual

    @property
    def every(self) -> timedelta:
        """Time from the end of a run to the next."""
        return _span(self.usual_interval)

    @property
    def spread(self) -> timedelta:
        """Up to so much is added to the interval."""
        return self.every / 10 if self.jitter is None else _span(self.jitter)

    @property
    def identity(self) -> str:
        """What a position is about: with another one, reading begins anew.

        It is stored, and the query of a URL may hold a secret: so a URL is a digest here.
        """
        place = sha256(self.place.encode()).hexdigest()[:32] if self.is_fetched else self.place
        more = ",".join(sorted(self.collections)) if self.kind == "taxii" else ""
        return f"{self.kind}{':follow' if self.follow else ''} {place} {more}".rstrip()


def _span(text: str) -> timedelta:
    return read_span(text) or timedelta(0)


def describe() -> list[tuple[str, str, Any, str, tuple[str, ...]]]:
    """Rows of the table of fields: name, type, default, meaning, kinds that have it."""
    hints = get_type_hints(Definition, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(Definition):
        inner, meta = get_args(hints[field.name])[:2]
        rows.append(
            (field.name, _type_name(inner), _default(field), meta.description, meta.extra["kinds"])
        )
    return rows


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else "required"


def _type_name(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    name = str(kind) if get_origin(kind) else getattr(kind, "__name__", str(kind))
    return name.replace(" | None", "")
