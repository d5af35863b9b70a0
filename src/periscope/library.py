"""The function library: the files of `lua/` as one text, and its place on a server.

Each file but the prelude is wrapped in `do ... end`; nothing is generated, what is on disk is what
is loaded, and `locate` turns a line of the whole back into file and line. The library is loaded
where it is missing or older. It is never downgraded: a newer one serves this program as well,
because a function whose reply changes gets a new name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

import redis.asyncio as redis_asyncio
from redis.exceptions import ResponseError

from periscope.errors import BugError, LibraryMismatch

NAME = "periscope"
_VERSION = re.compile(rb"^local VERSION = (\d+)", re.MULTILINE)


class LibraryState(StrEnum):
    """How a server's library compares with ours."""

    MISSING = "missing"
    OLDER = "older"
    CURRENT = "current"
    DIFFERS = "differs"
    NEWER = "newer"


@dataclass(frozen=True, slots=True)
class Library:
    """The joined text, its version, and for each file the line that it starts after."""

    code: bytes
    version: int
    offsets: tuple[tuple[str, int], ...]

    def locate(self, line: int) -> str:
        """File and line for a line of the joined text: '20_ingest.lua:17'."""
        name, offset = max(
            (entry for entry in self.offsets if entry[1] < line), key=lambda entry: entry[1]
        )
        return f"{name}:{line - offset}"

    def compare(self, loaded: bytes | None) -> LibraryState:
        """Compare the code that a server has loaded with ours."""
        if loaded is None:
            return LibraryState.MISSING
        if loaded.strip() == self.code.strip():
            return LibraryState.CURRENT
        theirs = _version_of(loaded)
        if theirs == self.version:
            return LibraryState.DIFFERS
        return LibraryState.OLDER if theirs < self.version else LibraryState.NEWER


@cache
def read_library() -> Library:
    """Join the files of `lua/` in the order of their names."""
    folder = files("periscope") / "lua"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".lua"))
    lines: list[bytes] = []
    offsets = []
    for position, name in enumerate(names):
        body = (folder / name).read_bytes().splitlines()
        opening, closing = ([b"do"], [b"end"]) if position else ([], [])
        offsets.append((name, len(lines) + len(opening)))
        lines += [*opening, *body, *closing]
    code = b"\n".join(lines) + b"\n"
    return Library(code, _version_of(code), tuple(offsets))


async def loaded_code(client: redis_asyncio.Redis) -> bytes | None:
    """Code of the library on this server, None if it has none."""
    reply = await client.execute_command("FUNCTION LIST", "LIBRARYNAME", NAME, "WITHCODE")
    for entry in reply:
        fields = _as_dict(entry)
        return bytes(fields[b"library_code"])
    return None


async def ensure_library(client: redis_asyncio.Redis) -> LibraryState:
    """Load our library where it is missing or older; return the state that was found.

    Safe to run from many processes at once: loading the same text twice changes nothing.

    Raises:
        LibraryMismatch: the server has other code under our version number.
    """
    library = read_library()
    state = library.compare(await loaded_code(client))
    if state in (LibraryState.MISSING, LibraryState.OLDER):
        if not await _load(client, library, replace=state is LibraryState.OLDER):
            return await ensure_library(client)
    elif state is LibraryState.DIFFERS:
        raise LibraryMismatch(
            f"the server's function library {NAME!r} has version {library.version} but other code; "
            "whoever changed lua/ must raise VERSION in 00_prelude.lua"
        )
    return state


async def _load(client: redis_asyncio.Redis, library: Library, *, replace: bool) -> bool:
    # Two versions may start at the same instant. Without REPLACE the second one fails and looks
    # again; with it (an older one was there) the newer program finds its functions missing at its
    # next call and loads them: it heals, and is never told a wrong reply.
    try:
        await client.execute_command(
            "FUNCTION LOAD", *(["REPLACE"] if replace else []), library.code
        )
    except ResponseError as exc:
        if not replace and "already exists" in str(exc):
            return False
        raise BugError(f"the function library does not load: {exc}") from exc
    return True


def _version_of(code: bytes) -> int:
    found = _VERSION.search(code)
    return int(found[1]) if found else 0


def _as_dict(entry: Any) -> dict[bytes, Any]:
    if isinstance(entry, dict):
        return entry
    return dict(zip(entry[::2], entry[1::2], strict=True))
