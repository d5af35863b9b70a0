"""TLS: what a certificate must be, and one line for each thing that is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from periscope import Periscope
from periscope.errors import SettingInvalid, StoreError
from tests.support.servers import ServerProcess, free_port
from tests.support.tls import TlsFront


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


@pytest.fixture(scope="module")
def plain() -> Iterator[ServerProcess]:
    process = ServerProcess(port=free_port()).start()
    yield process
    process.stop()


def one_line(exc: BaseException) -> str:
    text = str(exc)
    assert "\n" not in text, text
    assert len(text) < 400, text
    return text


async def test_everything_goes_through_tls(
    plain: ServerProcess, authority: trustme.CA, trusted: str
) -> None:
    async with TlsFront(plain.socket, authority) as front:
        for scheme in ("rediss", "valkeys"):
            url = front.url.replace("rediss", scheme)
            async with Periscope.open(url, namespace=scheme, tls_ca=trusted) as p:
                reports = (
                    {"threat_id": f"t{i}", "content": "x" * 2_000, "severity": "HIGH"}
                    for i in range(3_000)
                )
                assert (await p.add_threats_batch(reports)).added == 3_000
                await asyncio.gather(
                    *(p.record_interaction(f"t{i}", "ann", "view") for i in range(100))
                )
                assert len(await p.get_top_threats(100)) == 100
                assert (await p.get_ledger(deep=True)).balanced


async def test_an_authority_that_is_not_trusted(
    plain: ServerProcess, authority: trustme.CA, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    async with TlsFront(plain.socket, authority) as front, asyncio.timeout(15):
        for ca in (str(other), None):
            with pytest.raises(StoreError, match="certificate") as caught:
                async with Periscope.open(front.url, tls_ca=ca):
                    pass
            assert "tls_ca" in one_line(caught.value)


async def test_a_certificate_for_another_name(
    plain: ServerProcess, authority: trustme.CA, trusted: str
) -> None:
    async with TlsFront(plain.socket, authority, "other.example") as front, asyncio.timeout(15):
        with pytest.raises(StoreError, match=r"127\.0\.0\.1") as caught:
            async with Periscope.open(front.url, tls_ca=trusted):
                pass
        assert "certificate" in one_line(caught.value)
        async with Periscope.open(front.url, tls_ca=trusted, tls_check_hostname=False) as p:
            assert await p.get_threat("nobody") is None


async def test_a_server_that_wants_a_certificate(
    plain: ServerProcess, authority: trustme.CA, trusted: str, tmp_path: Path
) -> None:
    own = authority.issue_cert("client.example")
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    own.cert_chain_pems[0].write_to_path(str(certificate))
    own.private_key_pem.write_to_path(str(key))
    async with TlsFront(plain.socket, authority, mutual=True) as front, asyncio.timeout(15):
        with pytest.raises(StoreError) as caught:
            async with Periscope.open(front.url, tls_ca=trusted):
                pass
        one_line(caught.value)
        async with Periscope.open(
            front.url, tls_ca=trusted, tls_certificate=str(certificate), tls_key=str(key)
        ) as p:
            assert await p.get_threat("nobody") is None


async def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match=r"tls_ca: .*absent\.pem") as caught:
        async with Periscope.open("rediss://127.0.0.1:1", tls_ca=str(tmp_path / "absent.pem")):
            pass
    one_line(caught.value)


async def test_plain_text_to_a_tls_port_and_tls_to_a_plain_port(
    plain: ServerProcess, authority: trustme.CA, trusted: str
) -> None:
    async with TlsFront(plain.socket, authority) as front, asyncio.timeout(30):
        with pytest.raises(StoreError) as caught:
            async with Periscope.open(f"redis://127.0.0.1:{front.port}", call_timeout_s=2):
                pass
        one_line(caught.value)
        with pytest.raises(StoreError) as caught:
            async with Periscope.open(
                f"rediss://127.0.0.1:{plain.port}", tls_ca=trusted, call_timeout_s=2
            ):
                pass
        one_line(caught.value)
