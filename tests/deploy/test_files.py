"""The files that a service is run with are sound: by linters where nothing can be run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import compose_spec
import pytest

from periscope import __version__
from periscope.settings import Settings
from tests.deploy.files import COMPOSE, CONTAINERFILE, ROOT, UNIT, read_yaml, unit

HADOLINT = Path(sys.executable).parent / "hadolint"
ANALYZE = shutil.which("systemd-analyze")
DOCKER = shutil.which("docker")


def run(*command: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_container_file_is_clean() -> None:
    done = run(HADOLINT, "--no-color", CONTAINERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_bad_container_file_is_found_out() -> None:
    assert run(HADOLINT, "-", given="FROM debian:latest\nRUN sudo cd /\n").returncode == 1


def test_the_image_is_lean_locked_and_nobodys() -> None:
    text = CONTAINERFILE.read_text()
    build, final = text.split("\nFROM ")[1:]
    installs = re.findall(r"pip\S* (?:--python \S+ )?install (.*)", build)
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-deps --no-index" in install, install
    assert "USER 10001:10001" in final
    assert "HEALTHCHECK" in final
    assert not re.search(r"\b(apt-get|gcc|git|curl|pip install)\b", final)
    copied = re.findall(r"^COPY --from=build .*?(\S+)$", final, re.MULTILINE)
    assert copied == ["/opt/periscope", "/data"]


@pytest.mark.parametrize("lock", ["requirements.lock", "deploy/requirements-build.lock"])
def test_every_line_of_a_lock_has_hashes(lock: str) -> None:
    pins = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())
    assert pins
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins if pin[0] != "#")


def test_the_build_lock_has_what_builds_the_program() -> None:
    text = (ROOT / "deploy" / "requirements-build.lock").read_text()
    assert re.search(r"^hatchling==", text, re.MULTILINE)


def settings_named(names: list[str]) -> dict[str, str]:
    """The variables among `names` as settings; an unknown one fails."""
    fields = set(Settings.__struct_fields__)
    found = {name.removeprefix("PERISCOPE_").lower(): name for name in names}
    assert set(found) <= fields, set(found) - fields
    return found


def test_every_variable_is_a_setting() -> None:
    pattern = r"\b(PERISCOPE_[A-Z_]*[A-Z])\b"
    for path in (CONTAINERFILE, COMPOSE, UNIT):
        settings_named(sorted(set(re.findall(pattern, path.read_text()))))


def test_the_compose_file_is_of_the_specification() -> None:
    parsed = compose_spec.PyCompose.from_yaml(COMPOSE.read_text())
    parsed.validate()
    assert parsed.service_names() == ["valkey", "periscope"]


@pytest.mark.parametrize(
    "line", ["    imag: x", "    restart: sometimes", "    healthcheck: {test: 5}"]
)
def test_a_compose_file_that_is_none_is_found_out(line: str) -> None:
    with pytest.raises(Exception, match=r"extension key|expected|unknown|variant"):
        compose_spec.PyCompose.from_yaml(f"services:\n  a:\n    image: x\n{line}\n")


@pytest.mark.skipif(
    DOCKER is None or run(DOCKER, "compose", "version").returncode != 0,
    reason="docker compose is not installed",
)
def test_docker_compose_takes_the_file(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    secrets = tmp_path / "deploy" / "secrets"
    secrets.mkdir()
    for name in ("valkey_password", "periscope.toml"):
        (secrets / name).write_text("x")
    file = tmp_path / "deploy" / "compose.yaml"
    done = run(str(DOCKER), "compose", "-f", file, "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["services"]) == {"valkey", "periscope"}


def test_the_containers_are_shut_in() -> None:
    compose = read_yaml(COMPOSE)
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service["restart"] == "unless-stopped"
    valkey, periscope = compose["services"]["valkey"], compose["services"]["periscope"]
    assert "ports" not in valkey
    assert compose["networks"]["store"] == {"internal": True}
    assert all(port.startswith("127.0.0.1:") for port in periscope["ports"])
    assert periscope["depends_on"] == {"valkey": {"condition": "service_healthy"}}
    assert periscope["image"] == f"periscope:{__version__}"
    # No secret stands in the file, or in a variable.
    assert set(compose["secrets"]) == {"valkey_password", "periscope.toml"}
    assert not [name for name in periscope["environment"] if "URL" in name or "PASSWORD" in name]


def test_the_grace_is_longer_than_the_drain() -> None:
    drain_s = Settings.load({}).serve_drain_s
    grace = read_yaml(COMPOSE)["services"]["periscope"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > drain_s + 5
    assert int(unit()["TimeoutStopSec"][0]) > drain_s + 5


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "periscope"
    there = tmp_path / "periscope.service"
    text = UNIT.read_text().replace("/opt/periscope/bin/periscope", str(program))
    there.write_text(text)
    done = run(str(ANALYZE), "verify", "--man=no", there)
    assert (done.returncode, done.stderr) == (0, "")
    there.write_text(text.replace("ProtectSystem=strict", "ProtectSystem=perhaps"))
    assert "protect system" in run(str(ANALYZE), "verify", "--man=no", there).stderr


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")
def test_the_unit_is_shut_in() -> None:
    done = run(str(ANALYZE), "security", "--offline=true", "--threshold=20", UNIT)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_the_unit_says_what_it_must() -> None:
    lines = unit()
    assert lines["ExecStart"] == ["/opt/periscope/bin/periscope serve"]
    for name, value in {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "StateDirectory": "periscope",
        "KillMode": "mixed",
        "Restart": "on-failure",
        "RestartPreventExitStatus": "2",
        "StartLimitIntervalSec": "0",
        "CapabilityBoundingSet": "",
    }.items():
        assert lines[name] == [value], name
