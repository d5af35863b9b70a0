"""Several processes write and ask: nobody denies what was acknowledged (`make soak`: a million)."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from periscope import Periscope
from tests.conftest import OpenHere
from tests.membership.crowd import crowd, faults_of, told
from tests.membership.writer import Found

SOAK = int(os.environ.get("EXAMPLES", "60")) >= 1000
PROCESSES, IDS = (8, 1_000_000) if SOAK else (4, 80_000)


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
    assert not faults_of(found)


def test_a_crowd_that_was_told_a_wrong_no_fails() -> None:
    right = Found(written=9, checked=9, unknown_asked=100_000, unknown_maybe=120, local_amid=1)
    assert faults_of([right, right]) == []
    assert faults_of([right, replace(right, wrong=1)]) == ['wrong "no"']
    assert faults_of([right, replace(right, local_amid=0)]) != []
    assert faults_of([right, replace(right, unknown_maybe=121)]) != []
