"""The table, the documentation and what is really told are the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from periscope import Periscope
from periscope.metrics import TABLE, IndexState, Metrics, content_type
from periscope.metrics.table import GROUPS
from periscope.polling import DeadLetters, Feeds, Letter
from periscope.workers import PromotionWorker, Supervisor
from tests.metrics.told import families, told
from tests.support.nodes import wait_until

DOCS = Path(__file__).parent.parent.parent / "docs"
PARTS = ("_total", "_bucket", "_sum", "_count", "_info")


def base_of(name: str) -> str:
    return next((name.removesuffix(part) for part in PARTS if name.endswith(part)), name)


@dataclass
class Everything:
    metrics: Metrics
    p: Periscope
    supervisor: Supervisor = field(repr=False)


@pytest.fixture
async def everything(tmp_path: Path) -> AsyncIterator[Everything]:
    """A service in which all there is has something to tell."""
    async with Periscope.open(data_dir=tmp_path / "data", min_free_mb=0, durability="fast") as p:
        await p.add_threat("t", "x", "HIGH")
        await p.record_interaction("t", "ann", "view")
        await p.membership_ready()
        feeds, letters = Feeds(p), DeadLetters(tmp_path / "letters")
        (tmp_path / "feed.ndjson").write_text(
            '{"threat_id": "f", "content": "x", "severity": "LOW", '
            '"observed_at": "2026-01-01T00:00:00Z"}\n'
        )
        await feeds.add_feed("some", kind="file", place=str(tmp_path / "feed.ndjson"), settle="0s")
        await feeds.run_feed("some")
        letters.add("some", [Letter("1", 0, "some", "a file", "no JSON")])
        letters.add("anothers", [Letter("1", 0, "anothers", "a file", "no JSON")])
        async with Supervisor(PromotionWorker(p, wide())) as supervisor:
            metrics = Metrics(
                p,
                workers=supervisor.status,
                feeds=feeds.get_feeds,
                letters=letters.sizes,
                index=lambda: IndexState(is_up=True, lag_s=0.0, threats=2, size_bytes=4096),
                streams=lambda: 3,
            )
            metrics.observe_request("/v1/threats", "GET", 200, 0.003)
            yield Everything(metrics, p, supervisor)


def wide() -> Any:
    from datetime import timedelta

    return timedelta(hours=1)


async def test_all_of_the_table_is_told_and_nothing_else(everything: Everything) -> None:
    p = everything.p
    await p.functions.connections.client.config_set("maxmemory", "1gb")
    clock = [0.0]
    everything.metrics._clock = lambda: clock[0]
    found = await families(everything.metrics)
    clock[0] += 61  # from a minute on it can be said when something is full
    found = await families(everything.metrics)
    names = {one.name for one in found if one.samples}
    assert names == {base_of(name) if name.endswith("_total") else name for name in TABLE}


async def test_types_help_and_labels_are_those_of_the_table(everything: Everything) -> None:
    by_base = {name.removesuffix("_total"): one for name, one in TABLE.items()}
    for family in await families(everything.metrics):
        metric = by_base[family.name]
        assert family.documentation, family.name
        if metric.is_ours:
            assert family.documentation == metric.help
            assert family.type == ("gauge" if metric.kind == "info" else metric.kind)
        for one in family.samples:
            labels = set(one.labels) - {"namespace", "le"}
            assert labels == set(metric.labels), one
            assert ("namespace" in one.labels) is metric.is_ours


async def test_openmetrics_says_the_same(everything: Everything) -> None:
    plain = {one.name for one in await families(everything.metrics)}
    found = await families(everything.metrics, openmetrics=True)
    named = {one.name + ("_info" if one.type == "info" else "") for one in found}
    assert named == plain
    units = {one.name: one.unit for one in found if one.unit}
    assert units["periscope_unseen_oldest_seconds"] == "seconds"
    assert all(name.endswith(f"_{unit}") for name, unit in units.items())


def test_the_content_types_are_those_of_the_formats() -> None:
    assert content_type(openmetrics=False).startswith("text/plain; version=0.0.4")
    assert content_type(openmetrics=True).startswith("application/openmetrics-text; version=1")


def test_the_documentation_has_the_table() -> None:
    assert "{{ metrics }}" in (DOCS / "reference" / "metrics.md").read_text()


def test_the_table_is_in_good_order() -> None:
    rows = [one for group in GROUPS.values() for one in group]
    assert len(rows) == len(TABLE)
    for one in rows:
        assert one.name.endswith("_total") is (one.kind == "counter"), one.name
        assert one.name.endswith("_info") is (one.kind == "info"), one.name
        assert one.help.endswith("."), one.name
        assert one.unit, one.name


async def test_nothing_goes_into_the_registry_that_all_share(everything: Everything) -> None:
    await everything.metrics.render()
    shared = {family.name for family in REGISTRY.collect()}
    assert not [name for name in shared if name.startswith("periscope")]


async def test_what_is_put_in_comes_out(everything: Everything) -> None:
    await wait_until(lambda: asyncio.sleep(0, ran(everything)), "the worker ran")
    everything.metrics.in_flight = 2
    found = await told(everything.metrics)
    assert found["periscope_requests_in_flight"] == {(): 2}
    assert found["periscope_streams_open"] == {(): 3}
    assert found["periscope_index_size_bytes"] == {(): 4096}
    assert found["periscope_worker_up"] == {("promotion",): 1}
    assert found["periscope_worker_runs_total"] == {("promotion",): 1}
    assert found["periscope_feed_up"] == {("some",): 1}
    records = found["periscope_feed_records_total"]
    assert (records["some", "added"], records["some", "dead_letter"]) == (1, 0)
    assert found["periscope_feed_lag_seconds"]["some",] > 0
    assert list(found["periscope_dead_letter_bytes"]) == [("some",)]
    assert found["periscope_dead_letter_bytes"]["some",] > 10
    assert found["periscope_request_duration_seconds_bucket"]["0.005", "GET", "/v1/threats", "2xx"]


def ran(everything: Everything) -> bool:
    (status,) = everything.supervisor.status()
    return status.runs == 1 and status.state == "waiting"
