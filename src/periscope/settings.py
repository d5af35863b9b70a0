"""The one table of settings: names, types, defaults, help; read from file and environment.

Nothing here is read at import. `Settings.load()` takes the table `[settings]` of periscope.toml,
then `PERISCOPE_<NAME>` variables, then explicit arguments, each over what came before; an unknown
`PERISCOPE_` variable is an error, because a misspelt one that is silently ignored is found at
3 a.m. So is an unknown key of the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit, urlunsplit

import msgspec

from periscope.config import Config, find_config, read_config
from periscope.errors import SettingInvalid
from periscope.service_settings import ServiceSettings
from periscope.service_settings import described as _help

ENV_PREFIX = "PERISCOPE_"

Durability = Literal["durable", "fast"]
Acknowledgement = Literal["durable", "replicated", "fast"]


def default_data_dir() -> Path:
    """`$XDG_DATA_HOME/periscope`, or `~/.local/share/periscope`."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "periscope"


class Settings(ServiceSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every setting, with its default; each is also a variable `PERISCOPE_<NAME>`."""

    config: Annotated[
        str | None,
        _help(
            "File of settings and feeds (default: periscope.toml in the working directory, else "
            "in periscope/ of the XDG configuration home, if it is there). Arguments and "
            "variables go before what it says."
        ),
    ] = None
    url: Annotated[
        str | None,
        _help(
            "Server to use: redis://, rediss://, valkey://, valkeys://, unix:// or sentinel://; "
            "several host:port of a cluster with commas. Without it, the embedded server.",
            secret=True,
        ),
    ] = None
    data_dir: Annotated[
        str | None,
        _help("Directory of the embedded server's data (default: XDG data home, /periscope)."),
    ] = None
    namespace: Annotated[
        str,
        _help(
            "Prefix of every key; keeps several Periscopes on one server apart.",
            pattern=r"^[a-z0-9][a-z0-9._-]{0,31}\Z",
        ),
    ] = "periscope"
    durability: Annotated[
        Acknowledgement,
        _help(
            "What 'acknowledged' means: durable (fsynced on the server), replicated (and received "
            "by the replicas), or fast (in its memory; up to about 2 s can be lost on a kill)."
        ),
    ] = "durable"
    replicas: Annotated[
        int,
        _help(
            "Replicas that must have a change before it counts as replicated: as many as follow "
            "each primary, or it may be lost when a primary is replaced that still runs.",
            ge=1,
            le=10,
        ),
    ] = 1
    replica_timeout_s: Annotated[
        float, _help("Seconds to wait for them; then the outcome is unknown.", gt=0, le=60)
    ] = 5.0
    partitions: Annotated[
        int,
        _help(
            "Number of partitions of a new database; 0: as stored, or if new 1 (64 on a cluster).",
            ge=0,
            le=1024,
        ),
    ] = 0
    connections: Annotated[
        int, _help("Connections to a server at most; callers beyond them wait.", ge=1, le=1000)
    ] = 8
    connect_timeout_s: Annotated[
        float, _help("Seconds to wait for a connection.", gt=0, le=600)
    ] = 5.0
    call_timeout_s: Annotated[
        float, _help("Seconds to wait for the answer to one call.", gt=0, le=120)
    ] = 30.0
    retry_s: Annotated[
        float,
        _help(
            "Seconds for which a batch repeats unanswered chunks after a lost connection, and any "
            "call waits for another primary, where there can be one; of a lone server's absence "
            "single calls wait for 1 s at most.",
            ge=0,
            le=120,
        ),
    ] = 10.0
    operation_timeout_s: Annotated[
        float,
        _help(
            "Seconds that a single call may take in all: waiting for room and a connection, "
            "repetitions, threats that are on the move. Then it fails, or its outcome is unknown.",
            gt=0,
        ),
    ] = 60.0
    health_check_s: Annotated[
        float, _help("A connection idle for longer is tried before it is used.", ge=0, le=3600)
    ] = 30.0
    client_name: Annotated[
        str,
        _help("Name of the connections in CLIENT LIST.", pattern=r"^[!-~]{1,64}\Z"),
    ] = "periscope"
    tls_ca: Annotated[
        str | None, _help("File of the authorities that sign the server's certificate (TLS).")
    ] = None
    tls_certificate: Annotated[str | None, _help("Certificate shown to the server (TLS).")] = None
    tls_key: Annotated[str | None, _help("Key of that certificate: a file.")] = None
    tls_check_hostname: Annotated[
        bool, _help("Must the server's certificate name the host of the URL?")
    ] = True
    queue_limit: Annotated[
        int,
        _help("Single calls that wait to be sent at most; callers beyond them wait.", ge=1),
    ] = 10_000
    in_flight: Annotated[
        int, _help("Chunks of one batch that are under way at once.", ge=1, le=64)
    ] = 8
    min_free_mb: Annotated[
        int,
        _help("Free disk space (MiB) below which the embedded server refuses new reports.", ge=0),
    ] = 512
    filter: Annotated[
        Literal["auto", "off"],
        _help(
            "Whether threat_exists and seen answer a certain 'no' from a filter in this process "
            "(built when first asked), or always ask the server."
        ),
    ] = "auto"
    filter_error: Annotated[
        float,
        _help(
            "Share of unknown ids for which the filter asks the server after all; less takes "
            "more memory (0.001: 2 to 7 bytes an id).",
            ge=1e-6,
            le=0.1,
        ),
    ] = 0.001

    archive: Annotated[
        str | None,
        _help(
            "Archive of what departed: a file, or postgresql://... where several hosts share one "
            "(default: archive-<namespace>.db in the data directory; beside a URL, one of the "
            "database's own).",
            secret=True,
        ),
    ] = None
    dead_letters_dir: Annotated[
        str | None,
        _help(
            "Directory of what feeds said that cannot be read (default: deadletters in the data "
            "directory). Of another namespace than the usual one: beside it, with -<namespace>."
        ),
    ] = None
    archive_keep_days: Annotated[
        int,
        _help("Days for which the archive keeps what departed; 0: for ever.", ge=0, le=36_500),
    ] = 0
    analyst: Annotated[
        str | None, _help("Who acts on the command line (default: the login name).")
    ] = None

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, /, **given: Any) -> Self:
        """Settings from periscope.toml, the environment and `given` (None means not given).

        Each goes before the one named ahead of it. `config` of what is returned is the file that
        was read.

        Raises:
            SettingInvalid: an unknown name, or a value that does not fit; names the setting.
        """
        environ = os.environ if environ is None else environ
        values = _from_environment(environ)
        values.update({name: value for name, value in given.items() if value is not None})
        if values.get("url") == "":
            raise SettingInvalid("setting url: empty; leave it out for the embedded server")
        unknown = [name for name in values if name not in cls.__struct_fields__]
        if unknown:
            raise SettingInvalid(f"unknown setting {unknown[0]!r}{_suggest(unknown[0])}")
        named = values.pop("config", None)
        path = find_config(None if named is None else str(named), environ)
        fitting = {name: _fit(name, value) for name, value in values.items()}
        return cls(**{**_from_file(read_config(path)), **fitting})

    def shown(self) -> dict[str, Any]:
        """Effective values for logs and `stats`, secrets hidden."""
        hidden = {
            name: hide_password(value)
            for name, value in (("url", self.url), ("archive", self.archive))
            if value
        }
        return {**msgspec.structs.asdict(self), **hidden}

    @property
    def archive_place(self) -> str | Path:
        """Where the archive of the embedded database is by default: a URL, or a file.

        `Periscope.open_archive` finds that of any database.
        """
        return self.archive or self.data_path / f"archive-{self.namespace}.db"

    @property
    def dead_letters_path(self) -> Path:
        """The directory of dead letters; each namespace but the usual has its own beside it."""
        given = self.dead_letters_dir
        found = Path(given).expanduser() if given else self.data_path / "deadletters"
        usual = self.namespace == type(self)().namespace
        return found if usual else found.with_name(f"{found.name}-{self.namespace}")

    @property
    def embedded_durability(self) -> Durability:
        """What the embedded server does.

        Raises:
            SettingInvalid: `replicated`, and it has no replicas.
        """
        if self.durability == "replicated":
            raise SettingInvalid(
                "setting durability: the embedded server has no replicas; give a URL, "
                "or say durable"
            )
        return self.durability

    @property
    def data_path(self) -> Path:
        """The embedded server's data directory."""
        try:
            return Path(self.data_dir).expanduser() if self.data_dir else default_data_dir()
        except RuntimeError as exc:
            raise SettingInvalid(f"setting data_dir: {exc}") from None


def hide_password(url: str) -> str:
    """Return the URL with any user information and query replaced, fit for a log line."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    host = parts.netloc.rpartition("@")[2]
    netloc = f"***@{host}" if "@" in parts.netloc else host
    if parts.scheme == "unix":  # urlunsplit would write one slash, which is no URL of a server
        return f"unix://{netloc}{parts.path}"
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, value in environ.items():
        if not variable.startswith(ENV_PREFIX):
            continue
        name = variable.removeprefix(ENV_PREFIX).lower()
        if name not in Settings.__struct_fields__:
            raise SettingInvalid(
                f"unknown environment variable {variable}{_suggest(name, ENV_PREFIX)}"
            )
        if value:
            values[name] = value
    return values


def _from_file(config: Config) -> dict[str, Any]:
    """Return the settings of a file, and which file that is."""
    if config.path is None:
        return {}
    values: dict[str, Any] = {"config": str(config.path)}
    for name, value in config.settings.items():
        if name not in Settings.__struct_fields__ or name == "config":
            raise SettingInvalid(
                f"{config.path}: unknown setting {name!r} in [settings]{_suggest(name)}"
            )
        try:
            values[name] = _fit(name, value)
        except SettingInvalid as exc:
            raise SettingInvalid(f"{config.path}: {exc}") from None
    return values


def _suggest(name: str, prefix: str = "") -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, Settings.__struct_fields__, n=1)
    known = f"{prefix}{near[0].upper() if prefix else near[0]}" if near else ""
    return f"; did you mean {known}?" if known else ""


def _fit(name: str, value: Any) -> Any:
    kind = get_type_hints(Settings, include_extras=True)[name]
    if isinstance(value, Path):
        value = str(value)
    try:
        return msgspec.convert(value, kind, strict=not isinstance(value, str))
    except msgspec.ValidationError as exc:
        words = get_args(get_args(kind)[0]) if get_origin(get_args(kind)[0]) is Literal else ()
        one_of = f"; one of {', '.join(words)}" if words else ""
        raise SettingInvalid(f"setting {name}: {exc}{one_of}") from None


def describe() -> list[tuple[str, str, Any, str, bool]]:
    """Rows of the settings table: name, type, default, help, secret."""
    rows = []
    hints = get_type_hints(Settings, include_extras=True)
    of_service = len(ServiceSettings.__struct_fields__)
    fields = msgspec.structs.fields(Settings)
    for field in (*fields[of_service:], *fields[:of_service]):
        inner, meta = get_args(hints[field.name])[:2]
        rows.append(
            (field.name, _type_name(inner), field.default, meta.description, meta.extra["secret"])
        )
    return rows


def _type_name(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    return str(getattr(kind, "__name__", kind)).replace(" | None", "")
