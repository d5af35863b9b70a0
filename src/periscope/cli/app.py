"""The cyclopts application, made from the table of commands."""

from __future__ import annotations

from cyclopts import App, Parameter

from periscope.cli.commands import (
    ABOUT,
    CARE,
    COMMANDS,
    FAMILIES,
    ROOT_EXAMPLES,
    WORK,
    Command,
)


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
    parents = {"": app}
    for name, summary, example in FAMILIES:
        parents[name] = App(
            name=name, help=summary, help_epilogue=_examples((example,)), group=CARE
        )
        app.command(parents[name])
    for command in COMMANDS:
        parent, _, name = command.name.rpartition(" ")
        _register(parents[parent], name, command)
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
        group=None if " " in command.name else command.group,
    )


def _examples(lines: tuple[str, ...]) -> str:
    return "\n".join((f"Example{'s' if len(lines) > 1 else ''}:", "", *(f"    {x}" for x in lines)))


def _version() -> str:
    from periscope import __version__

    return f"periscope {__version__}"
