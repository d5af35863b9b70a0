"""`periscope demo`: the console on a real feed, in a database of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter, validators

from periscope.cli import output
from periscope.cli.options import FOR_PEOPLE, OutputOptions
from periscope.cli.text import safe
from periscope.errors import AccessInvalid, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    import httpx

    from periscope.access import Access
    from periscope.api import Service
    from periscope.settings import Settings

DEMO = Group("Demo", sort_key=15)
MARK = "this-is-a-demo"
MARK_TEXT = "A database of `periscope demo`. Whoever has no use for it may remove the directory.\n"
VISITOR = "visitor"
CONSONANTS, VOWELS = "bdfghjklmnprstvz", "aeiou"
SYLLABLES, GROUPS = 2, 4
DRAIN_S = 1.0
ANSWER_S = 30.0


@Parameter(name="*")
@dataclass(frozen=True)
class DemoOptions:
    """Where a demo runs, and for how long."""

    data_dir: Annotated[
        str,
        Parameter(
            name="--data-dir", group=DEMO, help="Data directory, of demos alone.", metavar="DIR"
        ),
    ] = ".demo"
    port: Annotated[
        int,
        Parameter(
            name="--port",
            group=DEMO,
            help="Port of loopback; 0 is any free one.",
            validator=validators.Number(gte=0, lte=65_535),
        ),
    ] = 0
    seconds: Annotated[
        float | None,
        Parameter(
            name="--seconds",
            group=DEMO,
            help="End by itself after so long.",
            validator=validators.Number(gt=0, lte=86_400),
        ),
    ] = None
    no_open: Annotated[
        bool,
        Parameter(
            name="--no-open", negative=(), group=DEMO, help="Open no browser.", show_default=False
        ),
    ] = False


AS_USUAL = DemoOptions()


async def demo(
    paths: Annotated[
        tuple[str, ...],
        Parameter(
            name="PATH",
            help="Files whose reports flow in; without any, those of samples/.",
            show_default=False,
        ),
    ] = (),
    /,
    *,
    how: DemoOptions = AS_USUAL,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Try it: the console on a real feed."""
    from periscope.api import Service
    from periscope.cli.demo_flow import Flow, samples
    from periscope.cli.ledger import tell_ledger
    from periscope.cli.serve import told_to_end
    from periscope.cli.worker import AT_EASE

    flow = Flow(samples(paths))
    settings = _settings(Path(how.data_dir), how.port)
    with told_to_end() as told:
        async with Service(settings, jobs=AT_EASE.jobs) as service:
            periscope = service.tenants.all[0].periscope
            await flow.begin(periscope)
            await _welcome(service, how, out)
            await _flow_until(told, flow.go_on(periscope), how.seconds)
            found = await periscope.get_ledger()
    code = tell_ledger(found, as_json=out.as_json)
    if not out.as_json:
        output.write(f"Next, the same queue: {_program()} top --data-dir {safe(how.data_dir)}\n")
    return code


async def _welcome(service: Service, how: DemoOptions, out: OutputOptions) -> None:
    """Say where the visitor gets in, once it is proved that they do."""
    password = await _admit(service.tenants.all[0].access)
    await prove(service, password)
    _say_where(service, password, out)
    if not (how.no_open or out.as_json):
        await _open(service)


def _settings(data_dir: Path, port: int) -> Settings:
    """Return the settings of a demo, and mark its directory.

    Those of the environment and of periscope.toml are about databases that are none.

    Raises:
        UsageError: there is something else in that directory.
    """
    from periscope.settings import Settings

    mark = data_dir / MARK
    if not mark.exists():
        if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
            raise UsageError(
                f"{data_dir} holds something that is no demo's: it stays as it is. Give another "
                "--data-dir, or remove it yourself"
            )
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.write_text(MARK_TEXT)
    return Settings(data_dir=str(data_dir), serve_port=port, serve_drain_s=DRAIN_S)


async def _admit(access: Access) -> str:
    """Give the visitor an account, or another password, and return it."""
    password = new_password()
    try:
        await access.create_account(VISITOR, password, ("admin",), by="demo")
    except AccessInvalid:  # there is one from the last time
        await access.set_password(VISITOR, password, by="demo")
        await access.enable_account(VISITOR, by="demo")
    return password


def new_password() -> str:
    """Return a password that can be read out: 19 characters, drawn from 2 to the 50th."""
    return "-".join(
        "".join(secrets.choice(CONSONANTS) + secrets.choice(VOWELS) for _ in range(SYLLABLES))
        for _ in range(GROUPS)
    )


async def prove(service: Service, password: str) -> None:
    """Have the page, and the queue as the visitor has it, once over HTTP.

    Raises:
        StoreError: it cannot be had; says what was answered.
    """
    import httpx

    origin = {"origin": service.url}
    try:
        async with httpx.AsyncClient(
            base_url=service.url, trust_env=False, timeout=ANSWER_S, headers=origin
        ) as client:
            await _look(client)
            rows = await _read_queue(client, password)
    except httpx.HTTPError as exc:
        raise StoreError(f"the console cannot be had: {type(exc).__name__}") from None
    waiting = (await service.tenants.all[0].periscope.get_stats()).queue
    if waiting and not rows:
        raise StoreError("the queue cannot be had: nothing is in it, and something should be")


async def _look(client: httpx.AsyncClient) -> None:
    """Have the page, and the program that it names."""
    page = _good(await client.get("/console/"))
    program = re.search(r'src="(/console/[^"]+\.js)"', page.text)
    if program is None:
        raise StoreError("the console's page is not what it should be")
    _good(await client.get(program[1]))


async def _read_queue(client: httpx.AsyncClient, password: str) -> int:
    """Sign in, read the first row of the queue, sign out; how many there were."""
    given = {"name": VISITOR, "password": password}
    signed_in = _good(await client.post("/v1/session", json=given))
    cookie = {"cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    queue = _good(await client.get("/v1/rows", params={"limit": 1}, headers=cookie))
    await client.delete("/v1/session", headers=cookie)
    return len(queue.json()["items"])


def _good(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise StoreError(f"{answer.request.url.path} answers {answer.status_code}")
    return answer


def _say_where(service: Service, password: str, out: OutputOptions) -> None:
    from rich import box
    from rich.panel import Panel

    address = f"{service.url}/console/"
    if out.as_json:
        output.show_json({"url": address, "name": VISITOR, "password": password})
        return
    lines = f"Console   {address}\nName      {VISITOR}\nPassword  {password}"
    frame = box.ASCII if output.is_plain() else box.ROUNDED
    output.show(Panel.fit(lines, title="Periscope", box=frame, padding=(1, 3)))
    output.write("Reports arrive every few seconds. Ctrl-C ends.\n")


async def _open(service: Service) -> None:
    """Open the visitor's browser, where there is a screen and somebody at it."""
    import webbrowser

    has_screen = sys.platform == "darwin" or any(
        map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))
    )
    if has_screen and sys.stdout.isatty():
        await asyncio.to_thread(webbrowser.open, f"{service.url}/console/")


async def _flow_until(
    told: asyncio.Event, flowing: Coroutine[None, None, None], seconds: float | None
) -> None:
    """Let reports flow until somebody ends it, its time is over, or they can flow no more."""
    flow = asyncio.create_task(flowing)
    ending = asyncio.create_task(told.wait())
    try:
        await asyncio.wait({flow, ending}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ending.cancel()
        flow.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await flow


def _program() -> str:
    """How this program is called here."""
    return "periscope" if shutil.which("periscope") else shlex.quote(sys.argv[0])
