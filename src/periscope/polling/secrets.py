"""The values of secrets that a definition only names, looked up when a run begins."""

from __future__ import annotations

import os
from pathlib import Path

from periscope.errors import FeedError
from periscope.polling.definition import Definition
from periscope.polling.document import DEFAULT_TIMEOUT_S, FetchOptions
from periscope.spans import read_span

MAX_SECRET_BYTES = 64 * 1024


def fetch_options(one: Definition, spool_dir: Path | None = None) -> FetchOptions:
    """Return how to fetch, with secrets as values.

    Raises:
        FeedError: a variable is not set, or a file cannot be read; says which, never what is in it.
    """
    timeout = read_span(one.timeout)
    return FetchOptions(
        timeout_s=DEFAULT_TIMEOUT_S if timeout is None else timeout.total_seconds(),
        max_bytes=one.max_bytes,
        allow=tuple(one.allow),
        ca_file=None if one.ca_file is None else Path(one.ca_file),
        username=one.username,
        password=_value(one.password_env, one.password_file),
        token=_value(one.token_env, one.token_file),
        headers={header: _variable(name) for header, name in one.headers_env.items()},
        spool_dir=spool_dir,
        collections=tuple(one.collections),
        added_after=one.added_after,
    )


def _value(variable: str | None, file: str | None) -> str | None:
    if variable is not None:
        return _variable(variable)
    return None if file is None else _first_line(file)


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise FeedError(f"the variable {name}, which should hold a secret, is not set")
    return _fit(value, f"the variable {name}")


def _first_line(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_SECRET_BYTES)
    except OSError as exc:
        raise FeedError(f"{path}, which should hold a secret: {exc.strerror}") from None
    lines = text.decode("utf-8", "replace").splitlines()
    if not lines or not lines[0].strip():
        raise FeedError(f"{path}, which should hold a secret, begins with an empty line")
    return _fit(lines[0].strip(), path)


def _fit(value: str, where: str) -> str:
    if not value.isprintable():
        raise FeedError(f"{where}: the secret holds characters that no header can carry")
    return value
