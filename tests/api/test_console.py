"""The console's page and files over HTTP."""

from __future__ import annotations

import gzip

import brotli

from periscope.console import read_assets
from tests.api.conftest import Served

DIRECTIVES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "require-trusted-types-for": "'script'",
}


async def test_the_page_is_open_to_all_and_strict(served: Served) -> None:
    client = served.client(None, event_hooks={})
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    page = await client.get("/console/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-cache"
    policy = page.headers["content-security-policy"]
    told = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert told.items() >= DIRECTIVES.items()
    assert "unsafe" not in policy
    assert "*" not in policy


async def test_files_are_packed_and_kept_under_their_digest(served: Served) -> None:
    client, assets = served.client(None, event_hooks={}), read_assets()
    for name, asset in assets.files.items():
        address = f"/console/{assets.digest}/{name}"
        answer = await client.get(address, headers={"accept-encoding": "gzip"})
        assert answer.status_code == 200, name
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-type"].startswith(asset.media_type)
        assert "immutable" in answer.headers["cache-control"]
        assert answer.content == asset.plain == gzip.decompress(asset.gzip)
    assets.pack()
    smaller = await client.get(address, headers={"accept-encoding": "gzip, br"})
    assert smaller.headers["content-encoding"] == "br"
    assert smaller.content == asset.plain == brotli.decompress(asset.br)
    plain = await client.get(address, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == asset.plain


async def test_nothing_else_is_served(served: Served) -> None:
    client, digest = served.client(None, event_hooks={}), read_assets().digest
    for path in (
        *("0000000000000000/js/main.js", f"{digest}/nothing.js", f"{digest}/vendor/LICENSE-htm"),
        *(f"{digest}/..%2f..%2fassets.py", f"{digest}/%2e%2e/assets.py", f"{digest}//etc/passwd"),
        *(f"{digest}/vendor/vendored.json", f"{digest}/index.html", "a/b/c/d"),
    ):
        answer = await client.get(f"/console/{path}")
        assert answer.status_code == 404, path


async def test_a_service_can_go_without(serve: object) -> None:
    served = await serve(serve_console="off")  # type: ignore[operator]
    client = served.client(None, event_hooks={})
    assert (await client.get("/console/")).status_code == 404
    assert (await client.get("/")).status_code == 404
