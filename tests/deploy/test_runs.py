"""What the files say, done outside of a container: the store begins so, and the service."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from tests.deploy.files import COMPOSE, CONTAINERFILE, read_yaml
from tests.support.nodes import wait_until
from tests.support.servers import BINARY, free_port

PASSWORD = "a" * 32


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def place(tmp_path: Path, port: int) -> Path:
    """What the containers are given: the configuration of the store, and both secrets."""
    config = read_yaml(COMPOSE)["configs"]["valkey_conf"]["content"]
    (tmp_path / "data").mkdir()
    (tmp_path / "valkey.conf").write_text(
        config.replace("dir /data", f"dir {tmp_path}/data").replace(
            "bind * -::*", f"bind 127.0.0.1\nport {port}"
        )
    )
    (tmp_path / "valkey_password").write_text(f"{PASSWORD}\n")
    commands = re.search(
        r"^#   (printf .*?)\n#       (.*?) > deploy", COMPOSE.read_text(), re.MULTILINE
    )
    assert commands is not None
    line = f"{commands[1].removesuffix(chr(92))} {commands[2]}"
    line = line.replace("deploy/secrets/valkey_password", str(tmp_path / "valkey_password"))
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    toml = done.stdout.replace("@valkey:6379", f"@127.0.0.1:{port}")
    (tmp_path / "periscope.toml").write_text(toml)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "valkey-server").symlink_to(BINARY)
    return tmp_path


@pytest.fixture
async def store(place: Path, port: int) -> AsyncIterator[subprocess.Popen[bytes]]:
    """The store, begun by the entry point of the compose file."""
    shell, options, script = read_yaml(COMPOSE)["services"]["valkey"]["entrypoint"]
    script = script.replace("$$", "$")
    script = script.replace("/etc/valkey/periscope.conf", str(place / "valkey.conf"))
    script = script.replace("/run/secrets/valkey_password", str(place / "valkey_password"))
    path = f"{place / 'bin'}:{os.environ['PATH']}"
    process = subprocess.Popen(
        [shell, options, script],
        env={**os.environ, "PATH": path},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )

    async def answers() -> bool:
        async with Redis(port=port, password=PASSWORD) as client:
            return bool(await client.ping())

    try:
        await wait_until(answers, "the store answers")
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def test_the_store_is_durable_and_wants_the_password(
    store: subprocess.Popen[bytes], port: int
) -> None:
    async with Redis(port=port, password=PASSWORD) as client:
        wanted = {
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "maxmemory": str(2 << 30),
            "save": "",
        }
        for name, value in wanted.items():
            assert (await client.config_get(name)) == {name: value}
    async with Redis(port=port) as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.get("x")
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert PASSWORD not in processes.stdout


@pytest.fixture
def service(
    store: subprocess.Popen[bytes], place: Path
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The service, with the variables of the image and of the compose file."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("PERISCOPE_")}
    image = dict(re.findall(r"(PERISCOPE_\w+)=(\S+)", CONTAINERFILE.read_text()))
    compose = read_yaml(COMPOSE)["services"]["periscope"]["environment"]
    variables = {
        **own,
        **image,
        **compose,
        "PERISCOPE_CONFIG": str(place / "periscope.toml"),
        "PERISCOPE_DATA_DIR": str(place / "data"),
        "PERISCOPE_SERVE_HOST": "127.0.0.1",
        "PERISCOPE_SERVE_PORT": str(free_port()),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "periscope", "serve"],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process, variables
    process.kill()
    process.communicate()


async def test_the_service_is_healthy_by_the_images_own_check_and_ends_when_told(
    service: tuple[subprocess.Popen[str], dict[str, str]],
) -> None:
    process, variables = service
    found = re.search(r'CMD \["python", "-c", "(.*)"\]$', CONTAINERFILE.read_text(), re.MULTILINE)
    assert found is not None
    check = found[1].replace('\\"', '"')

    async def is_healthy() -> bool:
        assert process.poll() is None, process.communicate()
        done = subprocess.run(
            [sys.executable, "-c", check], env=variables, capture_output=True, check=False
        )
        return done.returncode == 0

    await wait_until(is_healthy, "the check of the image says that it lives", pause_s=0.2)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert PASSWORD not in out + err
    done = subprocess.run(
        [sys.executable, "-c", check], env=variables, capture_output=True, check=False
    )
    assert done.returncode != 0
