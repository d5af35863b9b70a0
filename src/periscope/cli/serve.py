"""`periscope serve`: the whole product as one service."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from periscope.cli import logs, output
from periscope.cli.options import ANY_STORE, FOR_PEOPLE, OutputOptions, StoreOptions
from periscope.cli.worker import AT_EASE, PaceOptions

if TYPE_CHECKING:
    from periscope.api import Service

SERVICE = Group("Service", sort_key=15)
log = logging.getLogger("periscope.api")

STOPPING = (signal.SIGTERM, signal.SIGINT)


async def serve(
    *,
    host: Annotated[
        str | None,
        Parameter(group=SERVICE, help="Address to listen on (setting serve_host).", metavar="HOST"),
    ] = None,
    port: Annotated[
        int | None,
        Parameter(group=SERVICE, help="Port to listen on (setting serve_port).", metavar="PORT"),
    ] = None,
    pace: PaceOptions = AT_EASE,
    store: StoreOptions = ANY_STORE,
    out: OutputOptions = FOR_PEOPLE,
) -> int:
    """Serve the HTTP API, and do all that must happen by itself."""
    from periscope.api import Service

    settings = store.settings(serve_host=host, serve_port=port)
    logs.set_up_service(settings.log_format, debug=out.debug)
    with told_to_end() as told:
        async with Service(settings, jobs=pace.jobs) as service:
            _settle()
            await _say_where(service, out)
            await told.wait()
            log.info("ending: what is in hand is finished first")
    return 0


@contextlib.contextmanager
def told_to_end() -> Iterator[asyncio.Event]:
    """Give an event that Ctrl-C or SIGTERM sets, instead of what they do otherwise."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in STOPPING:
        loop.add_signal_handler(number, told.set)
    try:
        yield told
    finally:
        for number in STOPPING:
            loop.remove_signal_handler(number)


def _settle() -> None:
    """Take what is there by now, and stays, out of what the garbage collector looks at."""
    gc.collect()
    gc.freeze()


async def _say_where(service: Service, out: OutputOptions) -> None:
    """Say where it listens; and once in the life of a database, its first key."""
    keys = {}
    for tenant in service.tenants.all:
        if (made := await tenant.access.first_key()) is not None:
            keys[tenant.name] = made[1]
    if out.as_json:
        output.show_json({"url": service.url, "first_keys": keys})
        return
    output.write(f"Serving on {service.url}; Ctrl-C ends.\n")
    for name, secret in keys.items():
        output.write(f"Key of the administrator of {name}, shown this once: {secret}\n")
