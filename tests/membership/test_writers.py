"""Several processes write and ask: nobody denies what was acknowledged (`make soak`: a million)."""

from __future__ import annotations

import os
import time

import pytest

from periscope import Periscope
from tests.conftest import OpenHere
from tests.membership.crowd import crowd, told

SOAK = int(os.environ.get("EXAMPLES", "60")) >= 1000
PROCESSES, IDS = (8, 1_000_000) if SOAK else (4, 20_000)


@pytest.mark.parametrize("partitions", [1, 4])
async def test_no_process_denies_what_another_was_told_is_stored(
    open_here: OpenHere,
    periscope: Periscope,
    partitions: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun = time.monotonic()
    async with open_here(namespace=f"crowd{partitions}", partitions=partitions) as p:
        found = await crowd(open_here.url, PROCESSES, IDS)
        with capsys.disabled():
            print(f"\n{told(found, time.monotonic() - begun)}")  # noqa: T201
        await p.functions.connections.client.flushall()
    assert sum(one.written for one in found) == IDS
    assert sum(one.wrong for one in found) == 0
    asked = sum(one.unknown_asked for one in found)
    assert sum(one.unknown_maybe for one in found) <= 1.2 * 0.001 * asked + 20
