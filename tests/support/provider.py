"""An OpenID provider as a process of its own, and somebody with a browser."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support.servers import free_port


@contextmanager
def running_provider(people: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A real provider that knows these people; its URL."""
    port = free_port()
    claims = [word for one in people for word in ("--user-claims", json.dumps(one))]
    command = [sys.executable, "-m", "oidc_provider_mock", "-p", str(port), "-n", "true", *claims]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                try:
                    httpx.get(f"{url}/jwks", trust_env=False)
                    break
                except httpx.TransportError:
                    assert child.poll() is None
                    time.sleep(0.05)
            yield url
        finally:
            child.kill()


async def in_the_browser(url: str, subject: str, back: str) -> tuple[str, str]:
    """What somebody does there: choose who to be; the code and state that come back."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        assert (await browser.get(url)).status_code == 200
        answer = await browser.post(url, data={"sub": subject})
    assert answer.status_code in (302, 303)
    place = answer.headers["location"]
    assert place.startswith(back + "?")
    found = parse_qs(urlsplit(place).query)
    return found["code"][0], found["state"][0]
