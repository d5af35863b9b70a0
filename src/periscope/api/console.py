"""The console's page and its files, open to all: what is in them nobody need hide."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import PathParameter

from periscope.console import Asset, read_assets

PLACE = "/console/"
CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types periscope",
    )
)
"""Nothing inline, nothing from elsewhere; and no text becomes markup or code by any script."""
PAGE = {
    "content-security-policy": CONTENT_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), usb=()",
    "x-frame-options": "DENY",
}
OPEN: dict[str, Any] = {"include_in_schema": False, "security": []}


@get("/", **OPEN)
async def to_console() -> Response[None]:
    """Lead to the console."""
    return Response(None, status_code=303, headers={"location": PLACE})


@get(PLACE, **OPEN)
async def console(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Serve the page, which names its files with their digest: it is asked for anew each time."""
    assets = read_assets()
    if assets.page.br is None:  # who comes first is sent what gzip makes of it, and nobody waits
        asyncio.get_running_loop().run_in_executor(None, assets.pack)
    has_provider = request.app.state.tenants.sign_on is not None
    page = assets.page_with_sign_on if has_provider else assets.page
    return _sent(request, page, {**PAGE, "cache-control": "no-cache"})


@get("/console/{digest:str}/{name:path}", **OPEN)
async def console_file(
    request: Request[Any, Any, Any],
    digest: Annotated[str, PathParameter()],
    name: Annotated[str, PathParameter()],
) -> Response[Any]:
    """Serve a file of the page: under a digest it never changes. 404 of another version's."""
    assets = read_assets()
    found = assets.files.get(str(name).lstrip("/")) if digest == assets.digest else None
    if found is None:
        return Response(b"", status_code=404, media_type="text/plain")
    kept = {"cache-control": "public, max-age=31536000, immutable"}
    return _sent(request, found, {**kept, "content-security-policy": CONTENT_POLICY})


def _sent(request: Request[Any, Any, Any], one: Asset, headers: dict[str, str]) -> Response[bytes]:
    given = request.headers.get("accept-encoding", "").split(",")
    taken = {name.partition(";")[0].strip() for name in given}
    content, packed = one.plain, ""
    if one.br is not None and "br" in taken:
        content, packed = one.br, "br"
    elif "gzip" in taken:
        content, packed = one.gzip, "gzip"
    told = {"content-encoding": packed} if packed else {}
    headers = {**headers, **told, "vary": "Accept-Encoding"}
    return Response(content, media_type=one.media_type, headers=headers)


ROUTES: tuple[Any, ...] = (to_console, console, console_file)
