"""`periscope.toml`: where it is, and what it says before anybody has looked at the values.

    [settings]          the settings of `settings.py`
    [feeds.NAME]        feeds that workers poll
    [oidc]              the OpenID provider that people sign in with
    [receivers.NAME]    webhooks that the service takes in

It is the file that is named (`--config`, PERISCOPE_CONFIG), else ./periscope.toml, else
$XDG_CONFIG_HOME/periscope/periscope.toml, else none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from periscope.errors import SettingInvalid

NAME = "periscope.toml"
MAX_BYTES = 4 * 1024 * 1024
TABLES = ("feeds", "oidc", "receivers", "settings")
OF_TABLES = ("feeds", "receivers")
"""Tables that hold a table for each name."""


class Config(NamedTuple):
    """A file as it was read; `path` is None where there is none."""

    path: Path | None
    settings: dict[str, Any]
    feeds: dict[str, dict[str, Any]]
    oidc: dict[str, Any]
    receivers: dict[str, dict[str, Any]]


NOTHING = Config(None, {}, {}, {}, {})


def find_config(given: str | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file that counts, None if there is none; one that is named must be there.

    Raises:
        SettingInvalid: the file that was named is not there.
    """
    if given:
        path = Path(given).expanduser()
        if not path.exists():
            raise SettingInvalid(f"setting config: there is no file {given}")
        return path
    return next((path for path in _usual_places(environ) if path.is_file()), None)


def _usual_places(environ: Mapping[str, str]) -> Iterable[Path]:
    yield Path(NAME)
    if base := environ.get("XDG_CONFIG_HOME"):
        yield Path(base) / "periscope" / NAME
    elif home := environ.get("HOME"):
        yield Path(home) / ".config" / "periscope" / NAME


def read_config(path: Path | None) -> Config:
    """Read the file; its values are looked at by whoever knows them.

    Raises:
        SettingInvalid: it cannot be read, is no TOML, or has a table that is none of ours.
    """
    if path is None:
        return NOTHING
    found = _parsed(path)
    for name, value in found.items():
        if name not in TABLES:
            raise SettingInvalid(f"{path}: unknown table {name!r}{suggestion(name, TABLES)}")
        if not isinstance(value, dict):
            raise SettingInvalid(f"{path}: {name} must be a table: write [{name}]")
    for table in OF_TABLES:
        for name, value in found.get(table, {}).items():
            if not isinstance(value, dict):
                raise SettingInvalid(
                    f"{path}: {table}.{name} must be a table: write [{table}.{name}]"
                )
    tables = (found.get(name, {}) for name in ("settings", "feeds", "oidc", "receivers"))
    return Config(path, *tables)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise SettingInvalid(f"{path}: more than {MAX_BYTES:,} bytes; is this periscope.toml?")
        return tomllib.loads(text.decode())
    except OSError as exc:
        raise SettingInvalid(f"{path}: cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise SettingInvalid(f"{path}: not valid UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise SettingInvalid(f"{path}: no TOML: {_one_line(exc)}") from None


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing where nothing comes near."""
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split())[:200] or type(exc).__name__
