"""Real processes that start at the same moment: one gets the first key, five guesses are tried."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from periscope import Periscope
from periscope.access import Access
from tests.access.conftest import PASSWORD
from tests.conftest import OpenHere

ROOT = Path(__file__).parents[2]


async def at_once(url: str, verb: str, name: str, count: int) -> list[str]:
    """What so many processes say that are let go at the same moment."""
    command = [sys.executable, "-m", "tests.access.child", url, verb, name]
    running = [
        await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(count)
    ]
    for one in running:
        assert one.stdout is not None
        assert await one.stdout.readline() == b"ready\n"
    said = await asyncio.gather(*(one.communicate(b"go\n") for one in running))
    return [out.decode().strip() for out, _ in said]


async def test_of_many_processes_one_gets_the_first_key(
    periscope: Periscope, open_here: OpenHere
) -> None:
    found = await at_once(open_here.url, "first", "", 4)
    assert sorted(found) == ["none", "none", "none", "one"]
    async with Access(periscope) as access:
        (key,) = await access.keys()
        assert (key.name, key.scopes, key.created_by) == ("first", ("admin",), "periscope")
        await access.revoke_key(key.prefix, by="ann")
        assert await access.first_key() is None


async def test_who_has_accounts_gets_no_first_key(access: Access) -> None:
    await access.create_account("ann", PASSWORD, ["read"], by="root")
    assert await access.first_key() is None


async def test_five_guesses_over_all_processes(access: Access, open_here: OpenHere) -> None:
    await access.create_account("ann", PASSWORD, ["read"], by="root")
    found = await at_once(open_here.url, "guess", "ann", 2)
    assert sum(map(int, found)) == 5
