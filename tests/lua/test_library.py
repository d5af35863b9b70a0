"""The library on a server: loaded where missing or older, never downgraded, healed when flushed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from periscope import LibraryMismatch, Periscope
from periscope.library import Library, LibraryState, ensure_library, loaded_code, read_library
from tests.conftest import OpenHere


@pytest.fixture
async def client(periscope: Periscope) -> AsyncIterator[Any]:
    client = periscope.functions.connections.client
    yield client
    await client.execute_command("FUNCTION", "FLUSH")
    await ensure_library(client)


def other(version: int) -> bytes:
    code = read_library().code
    ours = b"local VERSION = %d" % read_library().version
    return code.replace(ours, b"local VERSION = %d" % version, 1)


async def put(client: Any, code: bytes) -> None:
    await client.execute_command("FUNCTION LOAD", "REPLACE", code)


async def test_missing_is_loaded(client: Any) -> None:
    await client.execute_command("FUNCTION", "FLUSH")
    assert await ensure_library(client) is LibraryState.MISSING
    assert await ensure_library(client) is LibraryState.CURRENT


async def test_older_is_replaced(client: Any) -> None:
    await put(client, other(0))
    assert await ensure_library(client) is LibraryState.OLDER
    assert await loaded_code(client) == read_library().code


async def test_newer_stays(client: Any) -> None:
    newer = other(read_library().version + 1)
    await put(client, newer)
    assert await ensure_library(client) is LibraryState.NEWER
    assert await loaded_code(client) == newer


async def test_different_code_under_our_version_is_refused(client: Any) -> None:
    await put(client, read_library().code + b"\n-- edited\n")
    with pytest.raises(LibraryMismatch, match="raise VERSION"):
        await ensure_library(client)


def test_comparison_names_every_state() -> None:
    library = Library(b"local VERSION = 2\n", 2, ())
    found = {
        library.compare(code)
        for code in (
            None,
            b"local VERSION = 1",
            b"local VERSION = 2\n",
            b"local VERSION = 2 -- x",
            b"local VERSION = 3",
        )
    }
    assert found == set(LibraryState)


async def test_many_starting_at_once_load_it_once(client: Any, open_here: OpenHere) -> None:
    await client.execute_command("FUNCTION", "FLUSH")
    states = await asyncio.gather(*(ensure_library(client) for _ in range(8)))
    assert set(states) <= {LibraryState.MISSING, LibraryState.CURRENT}
    assert await loaded_code(client) == read_library().code


async def test_a_flushed_library_heals_within_one_retry(client: Any, periscope: Periscope) -> None:
    await client.execute_command("FUNCTION", "FLUSH")
    assert await periscope.get_top_threats() == []
    await client.execute_command("FUNCTION", "FLUSH")
    result = await periscope.add_threats_batch(
        {"threat_id": f"t{i}", "content": "x", "severity": "LOW"} for i in range(3000)
    )
    assert result.added == 3000
