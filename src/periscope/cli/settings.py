"""`periscope settings`: every setting, its value, and where the value comes from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from periscope.cli import output
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.text import safe
from periscope.config import read_config
from periscope.settings import ENV_PREFIX, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from periscope.settings import Settings


def settings(*, store: StoreOptions = ANY_STORE, out: OutputOptions = FOR_PEOPLE) -> int:
    """Show every setting."""
    rows = list(_rows(store.settings(), store))
    if out.as_json:
        output.show_json({"settings": rows})
    else:
        output.show(*_lines(rows))
    return 0


def _rows(effective: Settings, store: StoreOptions) -> Iterator[dict[str, Any]]:
    shown = effective.shown()
    if shown["data_dir"] is None:
        shown["data_dir"] = str(effective.data_path)
    if shown["archive"] is None:
        usual = effective.archive_place
        own = Path(usual).with_name(f"{Path(usual).stem}-<database>.db")
        shown["archive"] = str(usual if effective.url is None else own)
    in_file = read_config(Path(effective.config) if effective.config else None).settings
    for name, kind, default, text, secret in describe():
        yield {
            "name": name,
            "value": shown[name],
            "origin": _origin(name, store, in_file),
            "variable": ENV_PREFIX + name.upper(),
            "type": kind,
            "default": default,
            "secret": secret,
            "help": text,
        }


def _origin(name: str, store: StoreOptions, in_file: dict[str, Any]) -> str:
    if getattr(store, name, None) is not None:
        return "option"
    if os.environ.get(ENV_PREFIX + name.upper()):
        return "environment"
    return "file" if name in in_file else "default"


def _lines(rows: list[dict[str, Any]]) -> Iterator[Text]:
    from rich.text import Text

    for row in rows:
        value = "(none)" if row["value"] is None else safe(str(row["value"]))
        line = Text(f"{row['name']} = {value}", style="bold")
        line.append(f"  ({row['origin']})", style="not bold dim")
        yield line
        yield Text(f"    {row['help']} {row['variable']}", style="dim")
