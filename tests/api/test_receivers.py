"""POST /v1/ingest/{feed}: signed webhooks; the examples of docs/how-to/webhooks.md."""

from __future__ import annotations

import asyncio
import gzip
import hmac
import json
import re
import tomllib
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import time
from typing import Any

import pytest

from periscope.api import receivers as room
from periscope.api.receivers import Unproven
from periscope.errors import RateLimited, SettingInvalid
from periscope.feeds.registry import by_name
from periscope.polling import DeadLetters
from periscope.shapes import ReplayDocument, ReportsTaken
from tests.api.conftest import Served
from tests.api.shaped import shaped

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "webhooks.md"
SECRET, NEXT = "s" * 32, "n" * 32
WHSEC = "whsec_" + b64encode(b"k" * 32).decode()
ALERT = by_name("github").example
REPORT = json.dumps({"threat_id": "x", "content": "beacon", "severity": "HIGH"}).encode()
STANDARD = '[receivers.std]\nformat = "ndjson"\nsignature = "standard"\nsecret_env = "WHSEC"\n'
Serve = Callable[..., Awaitable[Served]]


def mac(body: bytes, secret: str | bytes = SECRET) -> bytes:
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.digest(key, body, "sha256")


def github(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={mac(body, secret).hex()}"}


def scanner(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Signature": f"v0={b64encode(mac(body, secret)).decode()}"}


def standard(body: bytes, age_s: float = 0, key: bytes = b"k" * 32) -> dict[str, str]:
    stamp = str(int(time() - age_s))
    given = b64encode(mac(f"msg_1.{stamp}.".encode() + body, key)).decode()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{b64encode(b'0' * 32).decode()} v2,x v1,{given}",
    }


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The receivers of the how-to page, and one for standard webhooks."""
    monkeypatch.setenv("GITHUB_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("WHSEC", WHSEC)
    (tmp_path / "scanner-secret").write_text(f"{SECRET}\n")
    (tmp_path / "scanner-secret-next").write_text(f"\n{NEXT}\n")
    blocks = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    path = tmp_path / "periscope.toml"
    path.write_text("\n".join((*blocks, STANDARD)))
    assert set(tomllib.loads(path.read_text())["receivers"]) == {"code", "scanner", "std"}
    return path


@pytest.fixture
async def receiving(serve: Serve, config: Path) -> Served:
    return await serve(config=str(config))


async def post(
    served: Served, name: str, body: bytes, headers: Mapping[str, str], **more: str
) -> Any:
    client = served.client(None)
    return await client.post(f"/v1/ingest/{name}", content=body, headers={**headers, **more})


async def test_github_sends_an_alert_and_a_ping(receiving: Served) -> None:
    ping = b'{"zen": "Speak like a human.", "hook_id": 1}'
    event = "X-GitHub-Event"
    answer = await post(receiving, "code", ping, github(ping), **{event: "ping"})
    assert shaped(answer, ReportsTaken).received == 0
    taken = shaped(await post(receiving, "code", ALERT, github(ALERT)), ReportsTaken)
    assert (taken.received, taken.added, taken.format) == (1, 1, "github")
    again = shaped(await post(receiving, "code", ALERT, github(ALERT)), ReportsTaken)
    assert (again.added, again.duplicates) == (0, 1)


async def test_a_signature_of_ones_own_and_two_secrets(receiving: Served) -> None:
    for secret in (SECRET, NEXT):
        answer = await post(receiving, "scanner", REPORT, scanner(REPORT, secret))
        assert shaped(answer, ReportsTaken).received == 1
    found = (await receiving.admin.get("/v1/threats/x")).json()
    assert found["source"] == "scanner"


async def test_standard_webhooks(receiving: Served) -> None:
    answer = await post(receiving, "std", REPORT, standard(REPORT))
    assert shaped(answer, ReportsTaken).added == 1
    again = await post(receiving, "std", REPORT, standard(REPORT, age_s=200))
    assert shaped(again, ReportsTaken).duplicates == 1
    for headers in (
        standard(REPORT, age_s=400),
        standard(REPORT, age_s=-400),
        standard(REPORT, key=b"j" * 32),
        {**standard(REPORT), "webhook-id": "msg_2"},
        {**standard(REPORT), "webhook-timestamp": "soon"},
        {**standard(REPORT), "webhook-timestamp": "１７"},
        {**standard(REPORT), "webhook-signature": ""},
    ):
        given = [(name.encode(), value.encode()) for name, value in headers.items()]
        client = receiving.client(None)
        refused = await client.post("/v1/ingest/std", content=REPORT, headers=given)
        assert refused.status_code == 401, headers


async def test_whatever_is_not_signed_is_answered_alike(receiving: Served) -> None:
    good = github(ALERT)["X-Hub-Signature-256"]
    wrong: list[tuple[str, bytes, dict[str, str]]] = [
        ("code", ALERT, {}),
        ("code", ALERT, github(ALERT, NEXT)),
        ("code", ALERT + b" ", github(ALERT)),
        ("code", ALERT, {"X-Hub-Signature-256": good.upper()}),
        ("code", ALERT, {"X-Hub-Signature-256": good[:-2]}),
        ("code", ALERT, {"X-Hub-Signature-256": good.removeprefix("sha256=")}),
        ("code", ALERT, {"X-Hub-Signature-256": "sha256=" + "0" * 64}),
        ("code", ALERT, {"X-Hub-Signature": good}),
        ("code", ALERT, {"Authorization": f"Bearer {receiving.secret}"}),
        ("scanner", ALERT, github(ALERT)),
        ("none", ALERT, github(ALERT)),
        ("none", ALERT, {}),
        ("%FF", ALERT, {}),
        ("a%2Fb", ALERT, github(ALERT)),
    ]
    answers = [await post(receiving, *one) for one in wrong]
    assert {one.status_code for one in answers} == {401}
    bodies = [{**one.json(), "instance": ""} for one in answers]
    assert all(one == bodies[0] for one in bodies)
    assert (await receiving.admin.get("/v1/ledger")).json()["received"] == 0
    twice = [("X-Hub-Signature-256", good), ("X-Hub-Signature-256", good)]
    client = receiving.client(None)
    refused = await client.post("/v1/ingest/code", content=ALERT, headers=twice)
    assert refused.status_code == 401


async def test_what_cannot_be_read_is_kept(receiving: Served) -> None:
    bodies = [b"", b"{", b"[" * 100_000, b"\x00\xff" * 100, b'{"threat_id": 7}', REPORT + b"\n{"]
    for body in bodies:
        answer = await post(receiving, "std", body, standard(body))
        assert answer.status_code == 200, answer.text
    letters = DeadLetters(receiving.tenant.periscope.settings.dead_letters_path)
    kept = [one.data for one in letters.read("std")]
    assert b'{"threat_id": 7}' in kept
    assert b"\x00\xff" * 100 in kept
    ledger = (await receiving.admin.get("/v1/ledger")).json()
    assert (ledger["added"], ledger["rejected"]) == (1, len(kept))
    replayed = await receiving.admin.post("/v1/deadletters/std/replay")
    assert shaped(replayed, ReplayDocument).dropped == 0


async def test_letters_that_cannot_be_kept_are_no_success(receiving: Served) -> None:
    path = receiving.tenant.periscope.settings.dead_letters_path
    path.write_text("in the way")
    body = REPORT + b"\n{"
    answer = await post(receiving, "std", body, standard(body))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert str(path) not in answer.text
    path.unlink()
    taken = shaped(await post(receiving, "std", body, standard(body)), ReportsTaken)
    assert (taken.duplicates, taken.rejected) == (1, 1)


async def test_packed_bodies_are_signed_as_they_are_sent(receiving: Served) -> None:
    body = gzip.compress(REPORT)
    packed = {"content-encoding": "gzip"}
    answer = await post(receiving, "std", body, standard(body), **packed)
    assert shaped(answer, ReportsTaken).added == 1
    torn = body[:-10]
    answer = await post(receiving, "std", torn, standard(torn), **packed)
    assert answer.status_code == 400
    bomb = gzip.compress(b"x" * (64 << 20))
    answer = await post(receiving, "std", bomb, standard(bomb), **packed)
    assert answer.status_code == 400


async def test_bodies_are_bounded_before_their_sender_is_known(
    receiving: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_BODY_BYTES", 1000)

    async def parts() -> Any:
        for _ in range(100):
            yield b"x" * 100

    client = receiving.client(None)
    for content in (b"x" * 1001, parts()):
        for name in ("std", "none"):
            answer = await client.post(f"/v1/ingest/{name}", content=content)
            assert answer.status_code == 413
            if not isinstance(content, bytes):
                break


@pytest.mark.parametrize("moment", ["9" * 400, "9" * 1000, "-1", "1e9", "²", ""])
async def test_moments_that_are_none(receiving: Served, moment: str) -> None:
    """A number that no float holds was a fault, and told that there is such a receiver."""
    headers = {**standard(REPORT), "webhook-timestamp": moment.encode()}
    answer = await post(receiving, "std", REPORT, headers)  # type: ignore[arg-type]
    assert answer.status_code == 401


async def test_bodies_that_trickle_keep_no_room(serve: Serve, config: Path) -> None:
    """Each part comes in time, and the whole would take for ever: others need the room."""
    served = await serve(config=str(config), serve_body_timeout_s=0.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.service.port)
    writer.write(b"POST /v1/ingest/code HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    answer = asyncio.create_task(reader.readuntil(b"\r\n"))
    for _ in range(100):
        writer.write(b" ")
        done, _ = await asyncio.wait({answer}, timeout=0.1)
        if done:
            break
    assert (await answer).startswith(b"HTTP/1.1 408 ")
    writer.close()


def test_unproven_bodies_have_room_together() -> None:
    unproven = Unproven(100)
    unproven.take(60)
    with pytest.raises(RateLimited):
        unproven.take(60)
    unproven.give(60)
    unproven.take(100)


async def test_each_namespace_has_its_own(serve: Serve, tmp_path: Path, config: Path) -> None:
    config.write_text(STANDARD + 'namespace = "two"\n')
    served = await serve(config=str(config), serve_namespaces="one,two", namespace="one")
    body = REPORT + b"\n{"
    answer = await post(served, "std", body, standard(body))
    assert shaped(answer, ReportsTaken).added == 1
    one, two = served.service.tenants.all
    assert (await one.periscope.get_threat("x"), one.name) == (None, "one")
    assert await two.periscope.get_threat("x") is not None
    assert (await served.admin.get("/v1/deadletters")).json() == {"feeds": []}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('signature = "github"', "no secret"),
        ('signature = "github"\nsecret_env = "NOT_SET"', "NOT_SET is not set"),
        ('signature = "github"\nsecret_env = "SHORT"', "less than 16"),
        ('signature = "github"\nsecret_file = "none"', "none"),
        ('signature = "standard"\nsecret_env = "GITHUB_WEBHOOK_SECRET_X"', "no base64"),
        ('signature = "md5"\nsecret_env = "WHSEC"', "md5"),
        ('signature = "hmac-sha256"\nsecret_env = "WHSEC"', "header"),
        ('signature = "github"\nsecret_env = "WHSEC"\nheader = "X"', "hmac-sha256"),
        ('signature = "github"\nsecret_env = "WHSEC"\nformat = "no"', "format 'no'"),
        ('signature = "github"\nsecret_env = "WHSEC"\nnamespace = "x"', "not served"),
        ('signature = "github"\nsecret_env = "WHSEC"\nsecret = "x"', "secret"),
    ],
)
async def test_receivers_that_cannot_be_are_told_at_the_start(
    serve: Serve, config: Path, monkeypatch: pytest.MonkeyPatch, more: str, said: str
) -> None:
    monkeypatch.setenv("SHORT", "x" * 15)
    monkeypatch.setenv("GITHUB_WEBHOOK_SECRET_X", "!" * 20)
    config.write_text(f"[receivers.bad]\n{more}\n")
    with pytest.raises(SettingInvalid, match=said) as caught:
        await serve(config=str(config))
    assert "receiver bad" in str(caught.value)
    assert WHSEC not in str(caught.value)


async def test_alertmanager_shows_a_key(receiving: Served) -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (path,) = re.findall(r"url: https://periscope\.example(/\S+)", block)
    client = await receiving.key("ingest")
    answer = await client.post(path, content=by_name("alertmanager").example)
    assert shaped(answer, ReportsTaken).added >= 1
