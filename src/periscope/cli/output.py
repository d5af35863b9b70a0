"""The two streams: results on standard output, everything else on standard error.

Whatever is rendered becomes one text first and is written in one place, so that a reader who went
away (`| head`) ends the program quietly, wherever it happens.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from periscope.cli.text import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType
    from rich.text import Text

PIPE_COLUMNS = 120
"""Width of tables where nobody says how wide the reader is."""


class OutputClosed(Exception):
    """Whoever read our standard output went away."""


def prepare_streams() -> None:
    """Never fail on a character that the terminal's encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def console(stream: TextIO | None = None) -> Console:
    """Return a rich console that takes text as it is: no markup, no emoji codes."""
    from rich.console import Console

    stream = stream or sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else PIPE_COLUMNS
    return Console(
        file=stream, markup=False, emoji=False, highlight=False, soft_wrap=False, width=width
    )


def is_plain(stream: TextIO | None = None) -> bool:
    """Say whether the stream's encoding lacks block characters."""
    encoding = (stream or sys.stdout).encoding or "ascii"
    try:
        "█▏●…".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def write(text: str) -> None:
    """Write to standard output.

    Raises:
        OutputClosed: nobody reads it any more.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise OutputClosed from None


def show(*parts: RenderableType) -> None:
    """Render for standard output, in colour where it is a terminal that wants it."""
    screen = console()
    with screen.capture() as captured:
        for part in parts:
            screen.print(part)
    text = captured.get()
    write(text if screen.is_terminal else _without_padding(text))


def _without_padding(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def show_lines(lines: Sequence[Text]) -> None:
    """Render lines that fit as they are; where there is no terminal that costs next to nothing."""
    if console().is_terminal:
        show(*lines)
    else:
        write("".join(f"{line.plain.rstrip()}\n" for line in lines))


def show_json(document: Any) -> None:
    """One JSON document on one line, in ASCII: control characters stay escapes."""
    write(as_json(document) + "\n")


def as_json(document: Any) -> str:
    """Return the document in ASCII on one line."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":"))


def note(line: str) -> None:
    """One safe line on standard error."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"periscope: {safe(line)}\n")
        sys.stderr.flush()


def complain(message: str, kind: str, *, json_wanted: bool) -> None:
    """One line that says what went wrong: for people, or as JSON."""
    if json_wanted:
        with contextlib.suppress(BrokenPipeError):
            sys.stderr.write(as_json({"error": message, "type": kind}) + "\n")
            sys.stderr.flush()
    else:
        note(message)


def discard_output() -> None:
    """Keep the interpreter from complaining at its end about a reader that went away."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
