"""`periscope cluster`: made, used, broken, started again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from periscope.errors import SettingInvalid, StoreDamaged, StoreUnsuitable
from periscope.server import ClusterStatus, cluster_status, start_cluster, stop_cluster
from periscope.server.cluster_plan import find_cluster
from periscope.server.process import ask
from tests.cli.conftest import Program
from tests.support.clusters import free_run
from tests.support.nodes import wait_until


@pytest.fixture
async def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    yield tmp_path
    await stop_cluster(tmp_path)


def roles(found: ClusterStatus) -> list[str]:
    return [node.role for node in found.nodes]


async def tell(data_dir: Path, number: int, *command: str) -> Any:
    home = find_cluster(data_dir)
    plan = home.plan()
    assert plan is not None
    (reply,) = await ask(home.nodes(plan)[number].socket_path, command)
    return reply


async def test_made_stopped_and_started_again_with_all_that_it_held(data_dir: Path) -> None:
    (port, *_) = free_run(6)
    made = await start_cluster(data_dir, port=port)
    assert (made.state, roles(made)) == ("ok", ["primary"] * 3 + ["replica"] * 3)
    assert made.url == "valkey://" + ",".join(f"127.0.0.1:{port + i}" for i in range(6))
    assert sum(node.slots for node in made.nodes) == 16_384
    assert {node.of for node in made.nodes[3:]} == {port, port + 1, port + 2}
    assert await tell(data_dir, 2, "SET", "{a}", "kept") == "OK"
    assert await stop_cluster(data_dir) == (6, ())
    assert (await cluster_status(data_dir)).state == "down"
    again = await start_cluster(data_dir)
    assert (again.state, again.url) == ("ok", made.url)
    assert await tell(data_dir, 2, "GET", "{a}") == "kept"
    with pytest.raises(SettingInvalid, match="--primaries is 5, but the cluster that is here"):
        await start_cluster(data_dir, primaries=5)


async def test_a_node_that_died_is_started_again(data_dir: Path) -> None:
    made = await start_cluster(data_dir, replicas=0, port=free_run(3)[0])
    pid = made.nodes[1].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    async def noticed() -> bool:
        return roles(await cluster_status(data_dir))[1] == "down"

    await wait_until(noticed, "the node is seen to be down")
    again = await start_cluster(data_dir)
    assert (again.state, roles(again)) == ("ok", ["primary"] * 3)
    assert again.nodes[0].pid == made.nodes[0].pid


async def test_one_that_was_interrupted_is_made_to_its_end(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr("periscope.server.cluster_form._until_acquainted", interrupted)
        with pytest.raises(InterruptedError):
            await start_cluster(data_dir, port=free_run(6)[0])
    assert (await cluster_status(data_dir)).state == "half-made"
    assert (await start_cluster(data_dir)).state == "ok"


async def test_a_taken_port_is_named_before_anything_starts(data_dir: Path) -> None:
    (port, *_) = free_run(3)
    said = f"port {port + 1} .* is taken by another"
    with (
        socket.create_server(("127.0.0.1", port + 1)),
        pytest.raises(StoreUnsuitable, match=said),
    ):
        await start_cluster(data_dir, replicas=0, port=port)
    assert (await cluster_status(data_dir)).state == "absent"


async def test_a_node_that_lost_its_memory_is_named(data_dir: Path) -> None:
    made = await start_cluster(data_dir, replicas=0, port=free_run(3)[0])
    await stop_cluster(data_dir)
    (made.directory / f"node-{made.nodes[2].port}" / "nodes.conf").unlink()
    with pytest.raises(StoreDamaged, match=r"does not know the others, its nodes.conf was lost"):
        await start_cluster(data_dir)


def conf(made: ClusterStatus, number: int) -> Path:
    return made.directory / f"node-{made.nodes[number].port}" / "nodes.conf"


async def test_only_the_directory_of_a_node_that_lost_its_memory_need_go(data_dir: Path) -> None:
    made = await start_cluster(data_dir, port=free_run(6)[0])
    for number, key in enumerate(("{b}", "{c}", "{a}")):
        assert await tell(data_dir, number, "SET", key, "kept") == "OK"
    lost = conf(made, 4)
    await stop_cluster(data_dir)
    lost.unlink()
    said = rf"node {made.nodes[4].port} .* remove {re.escape(str(lost.parent))} \(this node's alone"
    with pytest.raises(StoreDamaged, match=said):
        await start_cluster(data_dir)
    await stop_cluster(data_dir)
    shutil.rmtree(lost.parent)
    again = await start_cluster(data_dir)
    assert (again.state, again.unserved_slots) == ("ok", 0)
    assert again.nodes[4].of == made.nodes[4].of
    for number, key in enumerate(("{b}", "{c}", "{a}")):
        assert await tell(data_dir, number, "GET", key) == "kept"


async def test_nothing_need_go_where_a_primary_without_a_replica_lost_its_memory(
    data_dir: Path,
) -> None:
    made = await start_cluster(data_dir, replicas=0, port=free_run(3)[0])
    assert await tell(data_dir, 2, "SET", "{a}", "kept") == "OK"
    lost = conf(made, 2)
    await stop_cluster(data_dir)
    kept = lost.with_suffix(".kept")
    lost.rename(kept)
    with pytest.raises(StoreDamaged, match=r"put back .*nodes.conf, and remove nothing"):
        await start_cluster(data_dir)
    await stop_cluster(data_dir)
    kept.replace(lost)
    assert (await start_cluster(data_dir)).state == "ok"
    assert await tell(data_dir, 2, "GET", "{a}") == "kept"


async def test_slots_that_nobody_serves_are_counted(data_dir: Path) -> None:
    made = await start_cluster(data_dir, port=free_run(6)[0])
    for number in (1, 4):  # a primary and its replica
        pid = made.nodes[number].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    found = await cluster_status(data_dir)
    gone = made.nodes[1].slots
    assert found.unserved_slots == gone
    assert found.state == (
        f"{gone:,} of 16,384 slots are served by nobody, "
        f"without {made.nodes[1].port}, {made.nodes[4].port}"
    )
    shown = Program({"PERISCOPE_DATA_DIR": str(data_dir)})("cluster", "status", "--json")
    assert (shown.code, shown.document["unserved_slots"]) == (1, gone)


@pytest.mark.parametrize("number", [1, 4], ids=["a primary", "a replica"])
async def test_a_frozen_node_does_not_hold_up_the_end(data_dir: Path, number: int) -> None:
    made = await start_cluster(data_dir, port=free_run(6)[0])
    pid = made.nodes[number].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    done = Program({"PERISCOPE_DATA_DIR": str(data_dir)})("cluster", "down")
    assert time.monotonic() - began < 15
    assert done.out == (
        f"Stopped 6 nodes. {made.nodes[number].port} did not end and was killed; "
        "what it acknowledged is kept.\n"
    )
    assert (await cluster_status(data_dir)).state == "down"


@pytest.mark.parametrize("options", [{"primaries": 2}, {"replicas": 9}, {"port": 80}])
async def test_what_is_no_cluster_is_refused(data_dir: Path, options: dict[str, int]) -> None:
    with pytest.raises(SettingInvalid):
        await start_cluster(data_dir, **options)
    assert json.loads(json.dumps((await cluster_status(data_dir)).nodes)) == []
    assert await stop_cluster(data_dir) == (0, ())
