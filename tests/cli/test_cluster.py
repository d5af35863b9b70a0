"""`periscope cluster up|status|down`, as people type it, and Periscope on what was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from periscope import Periscope
from tests.cli.conftest import Program
from tests.support.clusters import free_run


@pytest.fixture
def cluster(tmp_path: Path) -> Program:
    return Program({"PERISCOPE_DATA_DIR": str(tmp_path)})


async def test_up_is_used_and_down_keeps_everything(cluster: Program) -> None:
    port = str(free_run(3)[0])
    shown = cluster("cluster", "status", "--json").document
    assert (shown["state"], shown["nodes"], shown["url"]) == ("absent", [], None)
    try:
        up = cluster("cluster", "up", "--replicas", "0", "--port", port)
        assert up.code == 0, up.err
        url = f"valkey://127.0.0.1:{port},127.0.0.1:{int(port) + 1},127.0.0.1:{int(port) + 2}"
        assert f"Use it: periscope top --url {url}" in up.out
        assert "not for keeping threats safe" in " ".join(up.out.split())
        async with Periscope.open(url) as p:
            assert (p.server.topology, p.server.primaries) == ("cluster", 3)
            result = await p.add_threats_batch(
                {"threat_id": f"t{i}", "content": "x", "severity": "HIGH"} for i in range(300)
            )
            assert result.added == 300
            assert (await p.record_interaction("t7", "ann", "escalate")).escalations == 1
        listed = cluster.with_(PERISCOPE_URL=url)("top", "--limit", "1", "--json")
        assert listed.code == 0, listed.err
        assert '"t7"' in listed.out
        status = cluster("cluster", "status")
        assert status.out.count("primary,") == 3
        assert url in status.out
        assert cluster("cluster", "down").out == "Stopped 3 nodes.\n"
        assert cluster("cluster", "status", "--json").document["state"] == "down"
        assert cluster("cluster", "down", "--json").document == {"stopped": 0, "killed": []}

        again = cluster("cluster", "up", "--json")
        assert (again.code, again.document["url"], again.document["state"]) == (0, url, "ok")
        async with Periscope.open(url) as p:
            ledger = await p.get_ledger(deep=True)
            assert (ledger.balanced, ledger.level_1) == (True, 300)
    finally:
        cluster("cluster", "down")


def test_what_cannot_be_made_is_said_before_anything_starts(cluster: Program) -> None:
    done = cluster("cluster", "up", "--primaries", "2", "--json")
    assert (done.code, done.out) == (2, "")
    assert done.error["error"].startswith("a cluster has 3 to 16 primaries")
    assert cluster("cluster", "down").out == "It was not running.\n"
