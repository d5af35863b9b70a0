"""/v1/feeds and /v1/deadletters."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from periscope.access import Limits
from periscope.models import Unreadable
from periscope.polling import DeadLetters, Feeds
from periscope.polling.deadletters import letter
from periscope.shapes import (
    FeedDocument,
    FeedDone,
    FeedList,
    FeedRun,
    LetterDocument,
    LetterPage,
    LettersDropped,
    LettersKeptList,
    ReplayDocument,
)
from tests.api.conftest import Served
from tests.api.shaped import remarks, shaped

KEV = {"kind": "http", "place": "https://feeds.example/kev.json", "format": "kev"}
GOOD = {"threat_id": "a", "content": "beacon", "severity": "HIGH"}
BAD = b'{"threat_id": "b", "content": "\x1b[31m\xe2\x80\xae<script>", "severity": "LOUD"}'
Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def with_file(serve: Serve, tmp_path: Path) -> Served:
    """A service whose periscope.toml has a feed that reads a file: one good line, one bad one."""
    lines = tmp_path / "lines.ndjson"
    lines.write_bytes(json.dumps(GOOD).encode() + b"\n" + BAD + b"\n")
    config = tmp_path / "periscope.toml"
    config.write_text(
        f'[feeds.local]\nkind = "file"\nplace = "{lines}"\nformat = "ndjson"\nsettle = "0s"\n'
        'severity_map = "words.toml"\n'
    )
    (tmp_path / "words.toml").write_text("")
    return await serve(config=str(config))


async def test_defined_held_back_resumed_removed(served: Served) -> None:
    admin, path = served.admin, "/v1/feeds/kev"
    made = shaped(await admin.put(path, json={**KEV, "interval": "1h"}), FeedDocument)
    assert (made.state, made.origin, made.definition) == (
        *("new", "store"),
        {"name": "kev", "interval": "1h", **KEV},
    )
    again = await admin.put(path, json={**KEV, "place": "https://feeds.example/k?since=1"})
    assert shaped(again, FeedDocument).definition == {
        "name": "kev",
        **KEV,
        "place": "https://feeds.example/k",
    }
    assert shaped(await admin.post(f"{path}/pause"), FeedDone) == FeedDone("kev", "paused", True)
    assert shaped(await admin.post(f"{path}/pause"), FeedDone) == FeedDone("kev", "paused", False)
    assert shaped(await admin.get(path), FeedDocument).state == "paused"
    assert (await admin.post(f"{path}/run")).status_code == 409
    resumed = shaped(await admin.post(f"{path}/resume"), FeedDone)
    assert resumed == FeedDone("kev", "resumed", True)
    assert [one.name for one in shaped(await admin.get("/v1/feeds"), FeedList).feeds] == ["kev"]
    assert shaped(await admin.delete(path), FeedDone).done == "removed"
    assert (await admin.get(path)).status_code == 404
    for action in ("pause_feed", "resume_feed", "remove_feed", "run_feed"):
        assert {who for who, _ in await remarks(served, action)} == {"key:first"}, action
    assert [told["place"] for _, told in await remarks(served, "define_feed")] == [
        *(KEV["place"], "https://feeds.example/k"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "file", "place": "/etc/passwd"},
        {"kind": "directory", "place": "/etc"},
        {"place": "file:///etc/passwd"},
        {"place": "/etc/passwd"},
        {"place": "https://user:secret@feeds.example/"},
        {"place": "https://feeds.example/?api_key=secret"},
        {"allow": ["127.0.0.1"]},
        {"follow": True},
        {"password_file": "/etc/passwd", "username": "x"},
        {"token_file": "/etc/passwd"},
        {"ca_file": "/etc/passwd"},
        {"severity_map": "/etc/passwd"},
        {"token_env": "PERISCOPE_URL"},
        {"headers_env": {"X": "HOME"}},
        {"token": "secret"},
        {"format": "no such"},
        {"interval": "soon"},
        {"interval": "1ms"},
        {"name": "other"},
    ],
)
async def test_what_must_not_be_defined_from_afar(served: Served, change: dict[str, Any]) -> None:
    answer = await served.admin.put("/v1/feeds/x", json={**KEV, **change})
    assert answer.status_code == 422, answer.text
    assert (await served.admin.get("/v1/feeds")).json() == {"feeds": []}


async def test_names_that_cannot_be(served: Served) -> None:
    for name in ("UPPER", "a%2Fb", "..%2Fx", "ingest", "x" * 33):
        assert (await served.admin.put(f"/v1/feeds/{name}", json=KEV)).status_code == 422


async def test_a_private_address_is_not_reached(served: Served) -> None:
    port = served.service.port
    place = f"http://127.0.0.1:{port}/v1/formats"
    await served.admin.put("/v1/feeds/near", json={"kind": "http", "place": place})
    ran = shaped(await served.admin.post("/v1/feeds/near/run"), FeedRun)
    assert ran.result is not None
    assert ran.result.error is not None
    assert (ran.ended, ran.result.documents) == (True, 0)
    assert "127.0.0.1" in ran.result.error


async def test_secrets_and_paths_are_not_for_everybody(
    with_file: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FEED_TOKEN", "hush-hush")
    fields = {**KEV, "token_env": "FEED_TOKEN"}
    answer = await with_file.admin.put("/v1/feeds/kev", json=fields)
    assert shaped(answer, FeedDocument).definition == {"name": "kev", **fields}
    reader = await with_file.key("read")
    for client in (with_file.admin, reader):
        assert "hush-hush" not in (await client.get("/v1/feeds")).text
    seen = (await reader.get("/v1/feeds")).text
    assert str(tmp_path) not in seen
    assert "FEED_TOKEN" not in seen
    assert "words.toml" not in seen
    assert str(tmp_path) in (await with_file.admin.get("/v1/feeds/local")).text


async def test_feeds_of_the_file_are_run_and_not_changed_here(with_file: Served) -> None:
    admin = with_file.admin
    for answer in (
        await admin.put("/v1/feeds/local", json=KEV),
        await admin.delete("/v1/feeds/local"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (
            409,
            "urn:periscope:problem:feed-in-file",
        )
    ran = shaped(await admin.post("/v1/feeds/local/run"), FeedRun)
    assert ran.result is not None
    assert (ran.result.added, ran.result.rejected, ran.result.error) == (1, 1, None)


async def test_a_long_run_goes_on_and_ends_with_the_service(serve: Serve, tmp_path: Path) -> None:
    served = await serve()
    held = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    feeds = Feeds(served.tenant.periscope)
    place = f"http://127.0.0.1:{port}/"
    await feeds.add_feed("slow", kind="http", place=place, allow=["127.0.0.1"])
    ran = shaped(await served.admin.post("/v1/feeds/slow/run?wait_s=0.2"), FeedRun, 202)
    assert (ran.ended, ran.result) == (False, None)
    await asyncio.wait_for(held.wait(), 10)
    assert (await served.admin.get("/v1/feeds/slow")).json()["state"] == "running"
    assert (await served.admin.post("/v1/feeds/slow/run")).status_code == 409
    await served.service.close()
    server.close()


async def test_who_may(served: Served) -> None:
    await served.admin.put("/v1/feeds/kev", json=KEV)
    reader = await served.key("read")
    limited = await served.key("admin", limits=Limits(("siem",)))
    for client in (reader, limited):
        assert (await client.put("/v1/feeds/kev", json=KEV)).status_code == 403
        for path in ("pause", "resume", "run"):
            assert (await client.post(f"/v1/feeds/kev/{path}")).status_code == 403
        for path in ("/v1/feeds/kev", "/v1/deadletters/kev", "/v1/deadletters/kev/x"):
            assert (await client.delete(path)).status_code == 403
        assert (await client.post("/v1/deadletters/kev/replay")).status_code == 403
    for path in ("/v1/feeds", "/v1/feeds/kev", "/v1/deadletters", "/v1/deadletters/kev"):
        assert (await limited.get(path)).status_code == 403
        assert (await reader.get(path)).status_code == 200


async def test_letters_shown_read_again_dropped(with_file: Served, tmp_path: Path) -> None:
    admin = with_file.admin
    await admin.post("/v1/feeds/local/run")
    kept = shaped(await admin.get("/v1/deadletters"), LettersKeptList)
    assert [(one.feed, one.letters) for one in kept.feeds] == [("local", 1)]
    page = shaped(await admin.get("/v1/deadletters/local"), LetterPage)
    (item,) = page.items
    assert (page.total, item.data) == (1, None)
    one = shaped(await admin.get(f"/v1/deadletters/local/{item.id}"), LetterDocument)
    assert one.data is not None
    assert b64decode(one.data) == BAD
    assert one.excerpt is not None
    assert not {"\x1b", "\u202e"} & set(one.excerpt)

    failed = shaped(await admin.post("/v1/deadletters/local/replay"), ReplayDocument)
    assert ([f.id for f in failed.failed], failed.dropped) == ([one.id], 0)
    (tmp_path / "words.toml").write_text('[words]\nLOUD = "HIGH"\n')
    only = {"ids": ["none"]}
    none = shaped(await admin.post("/v1/deadletters/local/replay", json=only), ReplayDocument)
    assert (none.dropped, none.failed) == (0, [])

    gone = shaped(await admin.delete(f"/v1/deadletters/local/{one.id}"), LettersDropped)
    assert gone.dropped == 1
    assert shaped(await admin.delete("/v1/deadletters/local"), LettersDropped).dropped == 0
    assert (await admin.get(f"/v1/deadletters/local/{one.id}")).status_code == 404
    assert {who for who, _ in await remarks(with_file, "drop_deadletters")} == {"key:first"}
    assert len(await remarks(with_file, "replay_deadletters")) == 2


async def test_places_of_letters_beyond_all_counting(served: Served) -> None:
    answer = await served.admin.get(f"/v1/deadletters/siem?offset={2**63 - 1}")
    assert answer.status_code == 400
    assert answer.json()["field"] == "offset"


async def test_files_that_cannot_be_read_are_said_and_not_shown(served: Served) -> None:
    path = served.tenant.periscope.settings.dead_letters_path
    (path / "kev.ndjson").mkdir(parents=True)
    for answer in (
        await served.admin.get("/v1/deadletters/kev"),
        await served.admin.get("/v1/deadletters/kev/x"),
        await served.admin.post("/v1/deadletters/kev/replay"),
        await served.admin.delete("/v1/deadletters/kev"),
    ):
        assert answer.status_code == 503
        assert str(path) not in answer.text


async def test_letters_go_in_after_a_fix(served: Served) -> None:
    letters = DeadLetters(served.tenant.periscope.settings.dead_letters_path)
    words = Unreadable("no severity", None, "line 1", b'{"threat_id": "x", "content": "beacon"}')
    letters.add("gone", [letter("gone", "a file", words, format="ndjson")])
    answer = await served.admin.post("/v1/deadletters/gone/replay", json={"severity": "LOW"})
    done = shaped(answer, ReplayDocument)
    assert (done.dropped, done.added) == (1, 1)
    assert (await served.admin.get("/v1/threats/x")).json()["severity"] == "LOW"
    for body in ({"format": "no such"}, {"severity": "LOUD"}, {"x": 1}):
        answer = await served.admin.post("/v1/deadletters/gone/replay", json=body)
        assert answer.status_code == 422
    for path in ("..%2F..%2Fetc", "UPPER", "x%00"):
        assert (await served.admin.get(f"/v1/deadletters/{path}")).status_code == 404


async def test_feeds_of_a_namespace_that_is_not_served_are_told(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tmp_path / "periscope.toml"
    config.write_text('[feeds.kev]\nkind = "http"\nplace = "https://feeds.example/"\n')
    await serve(serve_namespaces="one,two", config=str(config))
    assert "are not run" in caplog.text


async def test_tenants_have_letters_and_feeds_of_their_own(serve: Serve, tmp_path: Path) -> None:
    config = tmp_path / "periscope.toml"
    config.write_text('[feeds.kev]\nkind = "http"\nplace = "https://feeds.example/"\n')
    served = await serve(serve_namespaces="one,two", namespace="one", config=str(config))
    one, two = served.service.tenants.all
    first, second = (DeadLetters(t.periscope.settings.dead_letters_path) for t in (one, two))
    first.add("kev", [letter("kev", "a file", Unreadable("x", None, None, b"secret"))])
    made = await two.access.first_key()
    assert made is not None
    other = served.client(made[1])
    assert (await other.get("/v1/deadletters")).json() == {"feeds": []}
    assert (await other.get("/v1/deadletters/kev")).json() == {"items": [], "total": 0}
    assert (await other.get("/v1/feeds")).json() == {"feeds": []}
    assert len((await served.admin.get("/v1/feeds")).json()["feeds"]) == 1
    assert second.kept("kev").letters == 0
    answer = await other.put("/v1/feeds/x", json={**KEV, "token_env": "FEED_TOKEN"})
    assert (answer.status_code, answer.json()["field"]) == (403, "token_env")
