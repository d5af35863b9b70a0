"""GET /v1/settings: what is in force, without a secret, for the operator of one namespace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from periscope.access import Limits
from periscope.settings import describe
from periscope.shapes import SettingList
from tests.api.conftest import Served
from tests.api.shaped import shaped

Serve = Callable[..., Awaitable[Served]]


async def test_what_is_in_force(serve: Serve) -> None:
    served = await serve(serve_streams=7)
    answer = await served.admin.get("/v1/settings")
    found = {one.name: one for one in shaped(answer, SettingList).items}
    assert list(found) == [row[0] for row in describe()]
    assert (found["serve_streams"].value, found["serve_streams"].default) == (7, 1000)
    assert found["serve_streams"].variable == "PERISCOPE_SERVE_STREAMS"
    assert (found["durability"].value, found["tls_check_hostname"].value) == ("durable", True)
    secrets = {name for name, one in found.items() if one.secret}
    assert "url" in secrets
    assert {found[name].value for name in secrets} == {None}
    assert str(served.tenant.periscope.settings.url) not in answer.text


async def test_who_may(served: Served) -> None:
    reader = await served.key("read", "act", "ingest")
    limited = await served.key("admin", limits=Limits(("siem",)))
    for client in (reader, limited):
        assert (await client.get("/v1/settings")).status_code == 403


async def test_of_several_namespaces_they_are_the_operators(serve: Serve) -> None:
    served = await serve(serve_namespaces="one,two")
    answer = await served.admin.get("/v1/settings")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (
        403,
        "settings-operators",
    )
    assert "two" not in answer.text
