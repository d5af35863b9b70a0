"""The cyclopts application, made from the table of commands."""

from __future__ import annotations

from cyclopts import App, Parameter

from periscope.cli.command import ABOUT, CARE, WORK, Command
from periscope.cli.commands import BENCH, COMMANDS, FAMILIES, ROOT_EXAMPLES


def build() -> App:
    """Return the application; cheap, because it imports no command."""
    app = App(
        name="periscope",
        help="Exact, live, lossless threat triage: what should I look at next?",
        help_epilogue=examples_of(ROOT_EXAMPLES),
        help_format="plaintext",
        usage="Usage: periscope COMMAND [OPTIONS]",
        version=_version,
        default_parameter=Parameter(negative=()),
        group_commands=WORK,
    )
    parents = {"": app}
    for name, summary, example in FAMILIES:
        parents[name] = App(
            name=name, help=summary, help_epilogue=examples_of((example,)), group=CARE
        )
        app.command(parents[name])
    for command in COMMANDS:
        parent, _, name = command.name.rpartition(" ")
        if parent == BENCH:
            continue  # it is a command itself, and brings these along
        register(parents[parent], name, command)
    app["--help"].group = app["--version"].group = (ABOUT,)
    app.register_install_completion_command(
        group=ABOUT, help="Install completion for your shell (bash, zsh, fish, PowerShell)."
    )
    return app


def register(app: App, name: str, command: Command) -> None:
    """Put a command of the table into an application, to be imported when it is called."""
    own = {} if command.name == BENCH else {"help_epilogue": examples_of(command.examples)}
    app.command(
        command.place,
        name=name,
        help=f"{command.summary}\n\n{command.more}".strip(),
        group=None if " " in command.name else command.group,
        **own,
    )


def examples_of(lines: tuple[str, ...]) -> str:
    """The end of a help page."""
    return "\n".join((f"Example{'s' if len(lines) > 1 else ''}:", "", *(f"    {x}" for x in lines)))


def _version() -> str:
    from periscope import __version__

    return f"periscope {__version__}"
