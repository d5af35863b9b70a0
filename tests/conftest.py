"""Fixtures that every test may use: a real server, a database in it, and a watch over its keys."""

from __future__ import annotations

import gc
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis

from periscope import Periscope
from periscope.key_table import KEY_TABLE
from tests.support.history import FIGURE
from tests.support.servers import ServerProcess

settings.register_profile(
    "tests",
    deadline=None,
    max_examples=int(os.environ.get("EXAMPLES", "60")),
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("tests")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # The tests were started in the background: what they start would be deaf to Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List the figures that tests told: what was acknowledged, lost, how long it took."""
    told = [
        line.removeprefix(FIGURE)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for line in report.capstdout.splitlines()
        if line.startswith(FIGURE)
    ]
    if told:
        terminalreporter.section("figures")
        for line in sorted(told):
            terminalreporter.line(line)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PERISCOPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")  # nobody's own periscope.toml


@pytest.fixture(scope="module", autouse=True)
def _no_old_garbage() -> None:
    """Clear away what the tests before left; a collection amid a measurement would cost seconds."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def server() -> Iterator[ServerProcess]:
    """One server for all tests of a process; it holds nothing between two of them."""
    process = ServerProcess().start()
    yield process
    process.stop()


@pytest.fixture
def open_here(server: ServerProcess) -> OpenHere:
    return OpenHere(server.url)


class OpenHere:
    """Opens databases on the session's server: `open_here(partitions=3)`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, **options: object) -> Periscope:
        return Periscope.open(self.url, **{"retry_s": 0.0, **options})  # type: ignore[arg-type]


@pytest.fixture
async def periscope(open_here: OpenHere) -> AsyncIterator[Periscope]:
    """An empty database; afterwards its ledger must balance and its keys be those of the table."""
    async with Redis.from_url(open_here.url) as client:
        await client.flushall()
    async with open_here() as p:
        client = p.functions.connections.client
        yield p
        ledger = await p.get_ledger(deep=True)
        assert ledger.balanced, ledger
        await assert_only_known_keys(p)
        await client.flushall()


async def assert_only_known_keys(p: Periscope) -> None:
    """Every key is of the table, and only those for ever have no time to live."""
    client = p.functions.connections.client
    patterns = {kind: _pattern(kind.pattern) for kind in KEY_TABLE}
    async for key in client.scan_iter(count=1000):
        kind = next((k for k, pattern in patterns.items() if pattern.fullmatch(key)), None)
        assert kind is not None, f"{key!r} is not in the key table"
        if "minutes" in kind.lifetime:
            assert await client.pttl(key) > 0, f"{key!r} has no time to live"


def _pattern(shape: str) -> re.Pattern[bytes]:
    text = re.escape(shape).replace("ns", "[a-z0-9._-]+").replace(":p\\}", r":[0-9.]+\}")
    return re.compile(re.sub(r"<\w+>", ".*", text).encode(), re.DOTALL)
