"""The table of commands, and the cyclopts application made from it.

A command's module is imported when the command is called (or asked for help), not before.
"""

from __future__ import annotations

from typing import NamedTuple

from cyclopts import App, Group, Parameter

WORK = Group("Commands", sort_key=0)
CARE = Group("Upkeep", sort_key=1)
ABOUT = Group("About", sort_key=2)


class Command(NamedTuple):
    """One command: its words, where it lives, what its help says, and examples that run."""

    name: str
    place: str
    group: Group
    summary: str
    more: str
    examples: tuple[str, ...]


SERVER = "server"
SERVER_SUMMARY = "Look at, stop or repair the embedded server."

COMMANDS = (
    Command(
        "ingest",
        "periscope.cli.ingest:ingest",
        WORK,
        "Take in threats from files, or from standard input.",
        "The format of each file is recognised by its content: KEV, STIX, NDJSON, JSON and CSV, "
        "also gzip or zstd. Taking in a file again changes nothing. "
        "Exit code: 0 all taken in, 3 something was rejected, 1 a file or the server failed.",
        (
            "periscope ingest samples/kev-sample.json",
            "cat samples/ndjson-sample.ndjson | periscope ingest - --source siem",
        ),
    ),
    Command(
        "top",
        "periscope.cli.top:top",
        WORK,
        "Show what to look at next: the queue, exactly ranked.",
        "With --watch it stays and follows the queue until Ctrl-C.",
        ("periscope top --limit 5", "periscope top --watch"),
    ),
    Command(
        "list",
        "periscope.cli.listing:listing",
        WORK,
        "Go through the queue page by page, whole or in part.",
        "The ranking stands still during a walk: every page is of the moment of the first one.",
        (
            "periscope list --severity CRITICAL --count 10",
            "periscope list --score 0.7..1.0 --all --json",
        ),
    ),
    Command(
        "show",
        "periscope.cli.show:show_threat",
        WORK,
        "Show everything about one threat, and why it has its score.",
        "Looking at a threat this way leaves no trace on it.",
        ("periscope show CVE-2021-44228",),
    ),
    Command(
        "stats",
        "periscope.cli.stats:stats",
        WORK,
        "Count the threats by status, severity and level.",
        "",
        ("periscope stats",),
    ),
    Command(
        "ledger",
        "periscope.cli.ledger:ledger",
        CARE,
        "Prove that nothing was lost: what came in against where it is.",
        "Exit code: 0 it balances, 1 it does not.",
        ("periscope ledger --deep",),
    ),
    Command(
        "server status",
        "periscope.cli.server:status",
        CARE,
        "Say whether the embedded server runs, and who uses it.",
        "Starts and stops nothing.",
        ("periscope server status",),
    ),
    Command(
        "server stop",
        "periscope.cli.server:stop",
        CARE,
        "Stop the embedded server cleanly.",
        "Needed only if it was left running: the last program that uses it stops it anyway.",
        ("periscope server stop",),
    ),
    Command(
        "server repair",
        "periscope.cli.server:repair",
        CARE,
        "Cut off data that a stopped server cannot read, after keeping a copy.",
        "Only where Periscope says that its data are damaged. "
        "Everything from the damaged change on is cut off: report it again.",
        ("periscope server repair",),
    ),
    Command(
        "bench",
        "periscope.cli.bench:bench",
        CARE,
        "Measure this machine against the figures that Periscope promises.",
        "Runs on servers and data of its own; your database is not touched.",
        ("periscope bench --scale 10k --runs 1",),
    ),
    Command(
        "settings",
        "periscope.cli.settings:settings",
        ABOUT,
        "Show every setting, its value and where that comes from.",
        "",
        ("periscope settings",),
    ),
)

ROOT_EXAMPLES = ("periscope ingest samples/kev-sample.json", "periscope top")


def build() -> App:
    """Return the application; cheap, because it imports no command."""
    app = App(
        name="periscope",
        help="Exact, live, lossless threat triage: what should I look at next?",
        help_epilogue=_examples(ROOT_EXAMPLES),
        help_format="plaintext",
        usage="Usage: periscope COMMAND [OPTIONS]",
        version=_version,
        default_parameter=Parameter(negative=()),
        group_commands=WORK,
    )
    server = App(
        name=SERVER,
        help=SERVER_SUMMARY,
        help_epilogue=_examples(("periscope server status",)),
        group=CARE,
    )
    app.command(server)
    for command in COMMANDS:
        parent, _, name = command.name.rpartition(" ")
        _register(server if parent else app, name, command)
    app["--help"].group = app["--version"].group = (ABOUT,)
    app.register_install_completion_command(
        group=ABOUT, help="Install completion for your shell (bash, zsh, fish, PowerShell)."
    )
    return app


def _register(app: App, name: str, command: Command) -> None:
    app.command(
        command.place,
        name=name,
        help=f"{command.summary}\n\n{command.more}".strip(),
        help_epilogue=_examples(command.examples),
        group=None if app.name == (SERVER,) else command.group,
    )


def _examples(lines: tuple[str, ...]) -> str:
    return "\n".join((f"Example{'s' if len(lines) > 1 else ''}:", "", *(f"    {x}" for x in lines)))


def _version() -> str:
    from periscope import __version__

    return f"periscope {__version__}"
