"""`periscope demo`: what somebody sees in the first minutes, with the program as it is."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from periscope.cli.demo import MARK, VISITOR, new_password, prove
from periscope.errors import StoreError
from tests.api.conftest import Served, serve
from tests.cli.conftest import Program, Running

__all__ = ["serve"]

TAKEN_IN = 58
PATIENCE_S = 25.0


@pytest.fixture
def newcomer(place: Path) -> Program:
    """The program, as somebody has it who has set nothing; and never with a screen."""
    return Program({"XDG_RUNTIME_DIR": str(place), "DISPLAY": "", "WAYLAND_DISPLAY": ""})


class Visit:
    """A visitor's session over HTTP, begun with what the demo printed."""

    def __init__(self, url: str, name: str, password: str) -> None:
        origin = {"origin": url.removesuffix("/console/")}
        self._http = httpx.Client(base_url=origin["origin"], trust_env=False, headers=origin)
        signed_in = self._http.post("/v1/session", json={"name": name, "password": password})
        assert signed_in.status_code == 200, signed_in.text
        self._cookie = {"cookie": signed_in.headers["set-cookie"].partition(";")[0]}
        self.scopes = signed_in.json()["scopes"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def get(self, path: str) -> Any:
        answer = self._http.get(path, headers=self._cookie)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def until(self, path: str, name: str, least: int) -> None:
        """Ask again until a number has come so far."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.get(path)[name]) < least:
            assert time.monotonic() < deadline, f"{name} is {found}, not {least}"
            time.sleep(0.2)


def printed(running: Running) -> tuple[str, str, str]:
    """What stands in the box."""
    found: dict[str, str] = {}
    for line in running.stdout:
        if b"Ctrl-C" in line:
            return found["Console"], found["Name"], found["Password"]
        if told := re.search(r"(Console|Name|Password) +(\S+)", line.decode()):
            found[told[1]] = told[2]
    raise AssertionError("it ended without a word")


def test_a_visitor_signs_in_sees_reports_arrive_and_ends_it(newcomer: Program, place: Path) -> None:
    folder = place / "demo"
    with newcomer.start("demo", "--data-dir", str(folder)) as running, ExitStack() as visits:
        visit = visits.enter_context(Visit(*printed(running)))
        assert "admin" in visit.scopes
        visit.until("/v1/stats", "queue", TAKEN_IN + 4)
        assert len(visit.get("/v1/rows?limit=100")["items"]) > TAKEN_IN
        running.process.send_signal(signal.SIGINT)
        done = running.ended()
    assert (done.code, done.err) == (0, "")
    assert "Balanced: nothing is lost, nothing is counted twice." in done.out
    assert f"top --data-dir {folder}" in done.out.splitlines()[-1]
    assert (folder / MARK).exists()


def test_it_ends_by_itself_and_comes_again_with_another_password(
    newcomer: Program, place: Path
) -> None:
    call = ("demo", "--data-dir", str(place / "again"), "--seconds", "0.5", "--json")
    first, second = (newcomer(*call) for _ in range(2))
    told = []
    for done in (first, second):
        assert (done.code, done.err) == (0, "")
        where, ledger = map(json.loads, done.out.splitlines())
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/console/", where["url"])
        assert ledger["balanced"]
        told.append((where["password"], ledger["added"]))
    assert told[0][0] != told[1][0]
    assert told[0][1] >= TAKEN_IN


def test_the_directory_of_anything_else_is_left_alone(newcomer: Program, place: Path) -> None:
    folder = place / "work"
    assert newcomer("ingest", "--data-dir", str(folder), "samples/kev-sample.json").code == 0
    before = sorted(one.name for one in folder.iterdir())
    done = newcomer("demo", "--data-dir", str(folder), "--seconds", "1")
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert f"{folder} holds something that is no demo's" in done.err
    assert sorted(one.name for one in folder.iterdir()) == before


def test_files_without_a_report_are_told_before_anything_is_made(
    newcomer: Program, place: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "nothing.ndjson"
    empty.write_text("")
    folder = place / "none"
    done = newcomer("demo", str(empty), "--data-dir", str(folder))
    words = "periscope: no report in these files: nothing would flow\n"
    assert (done.code, done.out, done.err) == (1, "", words)
    assert not folder.exists()


def test_a_password_can_be_read_out_and_is_long_enough() -> None:
    made = {new_password() for _ in range(50)}
    assert len(made) == 50
    assert all(
        re.fullmatch(r"([bdfghjklmnprstvz][aeiou]){2}(-([b-z][aeiou]){2}){3}", one) for one in made
    )


async def test_a_page_or_a_queue_that_cannot_be_had_is_told(
    serve: Callable[..., Awaitable[Served]],
) -> None:
    password = new_password()
    without, whole = await serve(serve_console="off"), await serve()
    with pytest.raises(StoreError, match="/console/ answers 404"):
        await prove(without.service, password)
    with pytest.raises(StoreError, match="/v1/session answers 401"):
        await prove(whole.service, password)
    await whole.tenant.access.create_account(VISITOR, password, ("read",), by="tests")
    await prove(whole.service, password)
