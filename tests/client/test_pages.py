"""The examples of the pages about the service and its client run, against a real service."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from periscope import client
from periscope.client import Client, problems
from tests.api.conftest import Served
from tests.support.servers import ServerProcess
from tests.support.services import ServiceProcess

ROOT = Path(__file__).parents[2]
CLIENT = (ROOT / "docs" / "reference" / "client.md").read_text()
SERVE = (ROOT / "docs" / "how-to" / "serve.md").read_text()


def examples(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


async def run(*command: str, **more: str) -> str:
    """Run a program to its end; what it says."""
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        env=os.environ | more,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


async def test_examples_of_the_client(served: Served) -> None:
    found = examples(CLIENT, "py")
    assert len(found) == 3
    told = [
        await run(
            *(sys.executable, "-W", "error", "-c", example),
            TRIAGE_URL=served.service.url,
            TRIAGE_KEY=served.secret,
        )
        for example in found
    ]
    assert "5000 new, 0 rejected" in told[0]
    assert told[1].startswith("1 ")
    assert told[2].startswith("added [")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
async def test_examples_of_serving(served: Served) -> None:
    found = [one for one in examples(SERVE, "bash") if one.startswith("curl")]
    assert len(found) == 2
    for example in found:
        here = example.replace("http://127.0.0.1:8080", served.service.url)
        told = await run("bash", "-ec", here, KEY=served.secret)
        assert '"rejected":0' in told
    assert (await served.tenant.periscope.get_stats()).queue > 5


@pytest.fixture
def store() -> Iterator[ServerProcess]:
    """A store on which no service was started yet: the first one tells the first key."""
    made = ServerProcess().start()
    yield made
    made.stop()


async def test_the_file_that_sets_tls_up(store: ServerProcess, tmp_path: Path) -> None:
    (settings,) = examples(SERVE, "toml")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    chain = b"".join(one.bytes() for one in issued.cert_chain_pems)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(chain)
    key.write_bytes(issued.private_key_pem.bytes())
    for path in (certificate, key):
        settings = settings.replace(f'"/etc/periscope/{path.name}"', f'"{path}"')
    config = tmp_path / "periscope.toml"
    config.write_text(settings)
    service = ServiceProcess(store, tmp_path, config=config, serve_host="127.0.0.1")
    try:
        await service.start()
        context = ssl.create_default_context()
        authority.configure_trust(context)
        url = service.url.replace("http:", "https:")
        async with Client(url, service.secret, tls=context) as c:
            assert await c.add_reports([{"threat_id": "a", "content": "x", "severity": "LOW"}])
    finally:
        service.kill()


def test_the_errors_of_the_client_are_drawn_whole_and_named() -> None:
    drawn = set(re.findall(r"[├└─│ ]+(\w+)  ", problems.__doc__ or ""))
    kinds = {
        name
        for name, kind in vars(problems).items()
        if isinstance(kind, type) and issubclass(kind, problems.ApiProblem)
    }
    assert drawn == kinds
    assert kinds < set(client.__all__)
    assert client.__all__ == sorted(client.__all__)
    calls: dict[str, Any] = {
        name: call for name, call in vars(Client).items() if not name.startswith("_")
    }
    assert all(call.__doc__ for call in calls.values())
