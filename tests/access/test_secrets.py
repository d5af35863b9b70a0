"""No secret, password or token is in the store, in a log or in an error."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from periscope import PeriscopeError
from periscope.access import Access
from tests.access.support import plain_client
from tests.conftest import OpenHere
from tests.support.servers import ServerProcess

PASSWORDS = ["first pass phrase", "second pass phrase", "a wrong pass phrase"]


async def everything(client: object) -> bytes:
    """All keys with all that they hold."""
    found = []
    async for key in client.scan_iter():  # type: ignore[attr-defined]
        found.append(key)
        found.append(await client.dump(key))  # type: ignore[attr-defined]
        kind = await client.type(key)  # type: ignore[attr-defined]
        if kind == b"hash":
            pairs = await client.hgetall(key)  # type: ignore[attr-defined]
            found += [part for pair in pairs.items() for part in pair]
        elif kind == b"string":
            found.append(await client.get(key))  # type: ignore[attr-defined]
        elif kind == b"stream":
            for _, fields in await client.xrange(key):  # type: ignore[attr-defined]
                found += list(fields.values())
    return b"\n".join(found)


async def test_nothing_secret_is_stored_or_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = ServerProcess("--appendonly", "yes", "--appendfsync", "always").start()
    try:
        async with OpenHere(server.url)() as p, Access(p) as access:
            secrets, told = await _use(access)
            stored = await everything(plain_client(p))
        log = b"".join(
            one.read_bytes() for one in server.folder.rglob("*") if one.is_file()
        )  # the append-only file, and what the server itself says
    finally:
        server.stop()
    assert b"psk_" not in stored
    assert b'"digest"' in stored
    assert b'"digest"' in log
    for secret in secrets:
        for place in (stored, log, caplog.text.encode(), told.encode()):
            assert secret.encode() not in place
            assert secret[:20].encode() not in place


async def _use(access: Access) -> tuple[list[str], str]:
    """Do all that has to do with secrets: those, and all that was said meanwhile."""
    first = await access.first_key()
    assert first is not None
    key, second = await access.create_key("siem", ["ingest"], by="ann", rate_per_s=10)
    await access.create_account("ann", PASSWORDS[0], ["read"], by="root")
    token, session = await access.sign_in("ann", PASSWORDS[0])
    who = [await access.identify_key(second), await access.identify_session(token)]
    await access.spend(who[0])
    told = [repr(first[0]), repr(key), repr(session), repr(who), repr(await access.keys())]
    told.append(repr(await access.accounts()))
    for call in (
        access.identify_key(second[:-1] + "\0"),
        access.identify_session(token[:-1]),
        access.sign_in("ann", PASSWORDS[2]),
        access.sign_in(PASSWORDS[1], PASSWORDS[2]),
        access.create_account("ann", PASSWORDS[1], ["read"], by="root"),
        access.set_password("nobody", PASSWORDS[1], by="root"),
    ):
        with pytest.raises(PeriscopeError) as caught:
            await call
        told.append(f"{caught.value!r} {caught.value.__cause__!r}")
    await access.set_password("ann", PASSWORDS[1], by="root")
    last, _ = await access.sign_in("ann", PASSWORDS[1])
    await access.sign_out(last)
    await access.revoke_key(key.prefix, by="ann")
    shown = [secret[len("psk_12345678_") :] for secret in (first[1], second)]
    return [*shown, token, last, *PASSWORDS], "\n".join(told)
