"""/v1/stats, /v1/ledger, /v1/formats."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from periscope.access import Limits
from periscope.feeds import format_names
from periscope.shapes import FormatList, LedgerDocument, StatsDocument
from tests.api.conftest import Served
from tests.api.shaped import shaped

Serve = Callable[..., Awaitable[Served]]
GOOD = {"threat_id": "a", "content": "beacon", "severity": "HIGH"}


async def test_counts_and_whether_they_come_out(served: Served) -> None:
    await served.admin.post("/v1/reports", json=[GOOD, GOOD, {**GOOD, "threat_id": "b"}])
    found = shaped(await served.admin.get("/v1/stats"), StatsDocument)
    assert (found.queue, found.unseen["HIGH"], found.ledger.received) == (2, 2, 3)
    assert found.server.used_memory_bytes is not None
    ledger = shaped(await served.admin.get("/v1/ledger"), LedgerDocument)
    assert (ledger.added, ledger.duplicates, ledger.balanced, ledger.records) == (2, 1, True, None)
    deep = shaped(await served.admin.get("/v1/ledger?deep=true"), LedgerDocument)
    assert (deep.records, deep.balanced, deep.archived) == (2, True, {})


async def test_what_does_not_balance_is_told_and_no_error(served: Served) -> None:
    await served.admin.post("/v1/reports", json=GOOD)
    periscope = served.tenant.periscope
    keys = periscope.keyspace.partition_of(b"a")
    connections = periscope.functions.connections
    await connections.run("HINCRBY", keys.ledger, "received", 1)
    ledger = shaped(await served.admin.get("/v1/ledger"), LedgerDocument)
    assert not ledger.balanced
    await connections.run("HINCRBY", keys.ledger, "received", -1)


async def test_who_may(served: Served) -> None:
    reader, sender = await served.key("read"), await served.key("ingest")
    limited = await served.key("read", limits=Limits(("siem",)))
    assert (await reader.get("/v1/ledger?deep=true")).status_code == 403
    assert (await reader.get("/v1/ledger")).status_code == 200
    for path in ("/v1/stats", "/v1/ledger"):
        assert (await limited.get(path)).status_code == 403
        assert (await sender.get(path)).status_code == 403
    for client in (reader, sender, limited):
        formats = shaped(await client.get("/v1/formats"), FormatList)
        assert {one.name for one in formats.formats} == set(format_names())


async def test_tenants_do_not_see_what_the_server_has_in_all(
    serve: Callable[..., Awaitable[Served]],
) -> None:
    served = await serve(serve_namespaces="one,two")
    found = shaped(await served.admin.get("/v1/stats"), StatsDocument)
    assert found.server.used_memory_bytes is None


async def test_a_tenant_is_not_told_of_what_all_share(serve: Serve) -> None:
    """Memory, disk and CPU move with what others do; the operator's own namespace is told."""
    served = await serve(serve_namespaces="one,two", namespace="one")
    shared = ("process_", "python_", "periscope_store_memory", "periscope_store_disk_free")
    for tenant, is_told in zip(served.service.tenants.all, (True, False), strict=True):
        _, secret = await tenant.access.create_key("watch", ["read"], by="tests")
        lines = (await served.client(secret).get("/metrics")).text.splitlines()
        found = {one for one in shared if any(line.startswith(one) for line in lines)}
        assert found >= {"process_", "periscope_store_memory"} if is_told else not found
        assert any(line.startswith("periscope_threats{") for line in lines)
