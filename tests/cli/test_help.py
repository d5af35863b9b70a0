"""Help: there for every command, with examples that run; and every word of it is documented."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from periscope.cli.app import build
from periscope.cli.commands import COMMANDS, FAMILIES, ROOT_EXAMPLES
from tests.cli.conftest import ROOT, Program

PAGE = (ROOT / "docs" / "reference" / "commands.md").read_text()
# They need a terminal, or minutes, or go on for ever: their own tests run them.
NOT_HERE = ("--watch", "bench", "periscope serve", "periscope demo")


@pytest.mark.parametrize(
    "name", ["", *(family[0] for family in FAMILIES), *(command.name for command in COMMANDS)]
)
def test_every_command_has_help_with_an_example(held: Program, name: str) -> None:
    done = held.with_(COLUMNS="80")(*name.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: periscope {name}".rstrip())
    assert re.search(r"Examples?:\n\n    .*periscope ", done.out)
    assert max(map(len, done.out.splitlines())) <= 80


def test_without_a_command_there_is_help(held: Program) -> None:
    done = held()
    assert done.code == 0
    assert all(command.name.split()[0] in done.out for command in COMMANDS)


def test_the_version(held: Program) -> None:
    assert re.fullmatch(r"periscope \d+\.\d+\.\d+\n", held("--version").out)


@pytest.fixture
def shell(place: Path, tmp_path: Path) -> dict[str, str]:
    """An environment in which `periscope` is this program, with an empty data directory."""
    script = tmp_path / "periscope"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m periscope "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    program = Program({"XDG_RUNTIME_DIR": str(place), "PERISCOPE_DATA_DIR": str(tmp_path / "data")})
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return {**program.environment, "PATH": path}


def test_the_examples_run(shell: dict[str, str]) -> None:
    lines = [*ROOT_EXAMPLES, *(line for command in COMMANDS for line in command.examples)]
    for line in lines:
        if any(word in line for word in NOT_HERE):
            continue
        done = subprocess.run(
            ["sh", "-c", line],
            env=shell,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), line


def options_of(app: App) -> Iterator[str]:
    for argument in app.assemble_argument_collection():
        negatives = set(argument.negatives)
        yield from (x for x in argument.names if x.startswith("-") and x not in negatives)


def app_of(name: str) -> App:
    app = build()
    for word in name.split():
        app = app[word]
    return app


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_and_option_is_documented(name: str) -> None:
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
    words = sections[name] + sections["Options of many commands"]
    for option in options_of(app_of(name)):
        assert re.search(rf"`[^`]*{option}\b", words), option


def test_nothing_is_documented_that_is_not_there() -> None:
    known = {"--help", "--version", "--install-completion", "--shell", "--output", "--"}
    for command in COMMANDS:
        known.update(options_of(app_of(command.name)))
    assert set(re.findall(r"(?<=[` ])--[a-z-]*", PAGE)) <= known


def test_completion_can_be_installed(held: Program, tmp_path: Path) -> None:
    target = tmp_path / "completion"
    done = held.with_(HOME=str(tmp_path))(
        "--install-completion", "--shell", "fish", "--output", str(target)
    )
    assert (done.code, done.err) == (0, "")
    assert "ingest" in target.read_text()


def test_help_imports_no_command() -> None:
    code = (
        "import sys, periscope.cli.app as a; a.build(); "
        "print(sorted(m for m in sys.modules if m.startswith('periscope.cli.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=Program().environment, capture_output=True, check=True
    )
    table = ["command", "commands", "commands_access", "commands_feeds", "commands_noise"]
    table += ["commands_upkeep", "commands_work"]
    assert done.stdout.decode().strip() == str([f"periscope.cli.{m}" for m in ["app", *table]])
