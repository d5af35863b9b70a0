"""The command line: `periscope COMMAND ...`; see `docs/reference/commands.md`.

Results go to standard output, everything else to standard error. Nothing here holds rules of the
domain: a command asks the facade, and shows what it says.
"""

from __future__ import annotations


def main(arguments: list[str] | None = None) -> int:
    """Run one command (of `sys.argv` by default) and return its exit code."""
    from periscope.cli.program import run

    return run(arguments)
