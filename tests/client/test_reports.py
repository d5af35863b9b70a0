"""Reports that the client sends: counted exactly, in order, whatever they are made of."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from periscope import BatchInterrupted, Report, Severity
from periscope.client import Client, Unauthenticated
from periscope.errors import UsageError
from tests.api.conftest import Served


def reports(count: int, content: str = "beacon") -> Iterator[dict[str, Any]]:
    return ({"threat_id": f"t{n}", "content": content, "severity": "HIGH"} for n in range(count))


async def test_many_reports_of_every_kind(client: Client, served: Served) -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    kinds = [
        Report("struct", "x", Severity.LOW, {"a": [1, None]}, "src", moment),
        {"threat_id": "dict", "content": "é\n\u2028", "severity": "low", "observed_at": moment},
        b'{"threat_id":"bytes",\r\n "content":"x","severity":"LOW"}\n',
        bytearray(b'{"threat_id":"more bytes","content":"x","severity":"LOW"}'),
    ]
    result = await client.add_reports([*kinds, *reports(4_500)])
    assert (result.added, result.received, result.rejected) == (4_504, 4_504, [])
    assert (await client.threat("struct")).observed_at == "2026-01-31T12:00:00.000Z"
    assert (await client.threat("dict")).content == "é\n\u2028"
    stats = await served.tenant.periscope.get_stats()
    assert (stats.ledger.received, stats.queue) == (4_504, 4_504)


async def test_an_async_source_that_pauses_is_not_waited_for(
    client: Client, served: Served
) -> None:
    async def source() -> AsyncIterator[dict[str, Any]]:
        yield next(reports(1))
        while not await served.tenant.periscope.threat_exists("t0", exact=True):
            pass  # it was sent although nothing came after it
        for report in reports(10):
            yield report

    result = await client.add_reports(source())
    assert (result.added, result.duplicates) == (10, 1)


async def test_what_is_bad_is_told_by_its_place_among_all(client: Client) -> None:
    class Odd:
        @property
        def threat_id(self) -> str:
            raise RuntimeError

    bad: dict[int, Any] = {
        0: {"threat_id": "nan", "content": "", "severity": "LOW", "metadata": {"x": math.nan}},
        7: {"threat_id": "set", "content": "", "severity": "LOW", "metadata": {"x": {1}}},
        1_001: {"threat_id": "unknown", "content": "", "severity": "LOW", "score": 1},
        1_500: {"threat_id": "sev", "content": "", "severity": "BAD"},
        2_222: b"  \n",
        2_300: b'{"threat_id":"two","content":"","severity":"LOW"}\n{"threat_id":"lines"}',
        2_301: b"x" * (1 << 20),
        2_302: "text",
        2_303: Odd(),
        2_304: {"threat_id": "\ud800", "content": "", "severity": "LOW"},
    }
    given = list(reports(2_400))
    for index, item in bad.items():
        given[index] = item
    result = await client.add_reports(given, at_once=2)
    assert [one.index for one in result.rejected] == list(bad)
    assert (result.added, result.rejected_count) == (2_390, len(bad))
    assert [one.threat_id for one in result.rejected[:4]] == ["nan", "set", "unknown", "sev"]


async def test_what_was_said_last_of_a_threat_stands(client: Client) -> None:
    """Over several requests at once; the bodies share a threat here and there."""
    given = [
        {"threat_id": "hot" if n % 700 == 0 else f"t{n}", "content": f"{n}", "severity": "LOW"}
        for n in range(9_000)
    ]
    result = await client.add_reports(given, at_once=8)
    assert result.added + result.sightings == 9_000
    assert (await client.threat("hot")).content == "8400"


async def test_a_source_that_fails_keeps_what_it_gave(client: Client) -> None:
    def source() -> Iterator[dict[str, Any]]:
        yield from reports(1_777)
        raise ZeroDivisionError("oops")

    with pytest.raises(BatchInterrupted) as caught:
        await client.add_reports(source())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert (caught.value.result.added, caught.value.refused, caught.value.unknown) == (1_777, 0, 0)


async def test_a_key_that_is_revoked_ends_it_with_an_account(served: Served) -> None:
    key, secret = await served.tenant.access.create_key("feed", ("ingest",), by="tests")
    met = 0

    async def source() -> AsyncIterator[dict[str, Any]]:
        nonlocal met
        for report in reports(200_000):
            if met == 5_000:
                await served.tenant.access.revoke_key(key.prefix, by="tests")
            met += 1
            yield report

    async with Client(served.service.url, secret) as c:
        with pytest.raises(BatchInterrupted) as caught:
            await c.add_reports(source())
    told = caught.value
    assert isinstance(told.__cause__, Unauthenticated)
    assert secret not in f"{told!s} {told.__cause__!r}"
    assert told.unknown == 0
    assert told.result.added + told.refused == met
    stats = await served.tenant.periscope.get_stats()
    assert stats.queue == told.result.added


async def test_documents(client: Client, tmp_path: Path) -> None:
    document = json.dumps(
        {
            "vulnerabilities": [
                {
                    "cveID": "CVE-2024-0001",
                    "vendorProject": "E",
                    "product": "P",
                    "vulnerabilityName": "N",
                    "dateAdded": "2024-01-31",
                    "shortDescription": "Runs commands.",
                    "dueDate": "2024-02-21",
                }
            ]
        }
    ).encode()
    taken = await client.send_document(document, format="kev", source="ours")
    assert (taken.format, taken.added) == ("kev", 1)
    packed = tmp_path / "kev.json.gz"
    packed.write_bytes(gzip.compress(document))
    again = await client.send_document(packed, source="ours")
    assert (again.format, again.duplicates) == ("kev", 1)


async def test_what_cannot_be_a_source_is_refused(client: Client) -> None:
    for wrong in ("text", b"{}", 7):
        with pytest.raises(UsageError, match="iterable"):
            await client.add_reports(wrong)  # type: ignore[arg-type]
