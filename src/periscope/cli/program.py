"""One run of the program: parse, run, and turn every way to end into an exit code.

0  done                        2  a mistake in how it was called
1  it failed, or does not balance   3  done, and some of the input was rejected
130, 143, 141                  ended by Ctrl-C, SIGTERM, or a reader that went away
"""

from __future__ import annotations

import asyncio
import inspect
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from types import FrameType
from typing import Any

from periscope.errors import PeriscopeError

STDIN = "\0stdin"
"""What `-` becomes before parsing, which would take it for an option; no file has this name."""

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
READER_GONE = 128 + 13
BUG = 70
BUG_REPORT = "this is a bug in Periscope; run it again with --debug and report the traceback"


class Terminated(BaseException):
    """SIGTERM came while no event loop ran."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing escapes."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = given[: given.index("--")] if "--" in given else given
    ending = _Ending(
        debug="--debug" in options,
        json_wanted="--json" in options and options[0] != "bench",
    )
    return ending.code_of(lambda: _run(given, debug=ending.debug))


def _run(given: list[str], *, debug: bool) -> int:
    from periscope.cli.app import build
    from periscope.cli.logs import set_up
    from periscope.cli.output import prepare_streams

    signal.signal(signal.SIGTERM, _terminate)
    prepare_streams()
    set_up(debug=debug)
    if given[:1] in (["ingest"], ["seen"]):
        given = [STDIN if word == "-" else word for word in given]
    command, bound, _ = build().parse_args(given, exit_on_error=False, print_error=False)
    if _is_builtin(command):
        return _run_builtin(command, bound)
    if inspect.iscoroutinefunction(command):
        return asyncio.run(_until_terminated(command(*bound.args, **bound.kwargs)))
    return int(command(*bound.args, **bound.kwargs) or 0)


def _is_builtin(command: Callable[..., Any]) -> bool:
    """Say whether it is one of cyclopts' own: help, version, completion."""
    return not command.__module__.startswith("periscope.")


def _run_builtin(command: Callable[..., Any], bound: inspect.BoundArguments) -> int:
    """They print as they like; what they print goes out in our one place."""
    import contextlib
    import io

    from periscope.cli.output import console, write

    page = io.StringIO()
    with contextlib.redirect_stdout(page):
        if "console" in inspect.signature(command).parameters:
            bound.arguments["console"] = console(sys.__stdout__)
            with bound.arguments["console"].capture() as captured:
                command(*bound.args, **bound.kwargs)
            page.write(captured.get())
        else:
            command(*bound.args, **bound.kwargs)
    write(page.getvalue())
    return 0


async def _until_terminated(work: Coroutine[Any, Any, int | None]) -> int:
    """Run a command; SIGTERM cancels it, so that it gives everything back first."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - we are in one
    ended_by = 0

    def cancel(signum: int, frame: FrameType | None) -> None:
        nonlocal ended_by
        ended_by = signum
        loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGTERM, cancel)
    try:
        return int(await work or 0)
    except asyncio.CancelledError:
        if ended_by:
            return TERMINATED
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise Terminated


def _system_says(exc: OSError) -> str:
    place = f"{exc.filename}: " if exc.filename else ""
    return f"{place}{exc.strerror or exc}"


class _Ending:
    """How a run may end, each way with its line and its exit code."""

    def __init__(self, *, debug: bool, json_wanted: bool) -> None:
        self.debug = debug
        self._json_wanted = json_wanted

    def code_of(self, work: Callable[[], int]) -> int:
        """Do the work; whatever it raises becomes one line and an exit code."""
        try:
            return work()
        except KeyboardInterrupt:
            return INTERRUPTED
        except Terminated:
            return TERMINATED
        except SystemExit as exc:
            return exc.code if isinstance(exc.code, int) else 1
        except PeriscopeError as exc:
            return self._failed(exc)
        except Exception as exc:
            return self._unexpected(exc)

    def _failed(self, exc: PeriscopeError) -> int:
        self._trace()
        self._say(str(exc), type(exc).__name__)
        return exc.exit_code

    def _unexpected(self, exc: Exception) -> int:
        from cyclopts import CycloptsError

        from periscope.cli.output import OutputClosed, discard_output

        if isinstance(exc, OutputClosed | BrokenPipeError):
            discard_output()
            return READER_GONE
        self._trace()
        if isinstance(exc, OSError):
            self._say(_system_says(exc), type(exc).__name__)
            return 1
        if isinstance(exc, CycloptsError):
            from periscope.cli.mistakes import explain

            self._say(explain(exc), "UsageError")
            return 2
        self._say(f"{type(exc).__name__}: {exc}; {BUG_REPORT}", "BugError")
        return BUG

    def _say(self, message: str, kind: str) -> None:
        from periscope.cli.output import complain

        complain(message, kind, json_wanted=self._json_wanted)

    def _trace(self) -> None:
        if self.debug:
            import traceback

            from periscope.cli.text import safe_lines

            print(*safe_lines(traceback.format_exc()), sep="\n", file=sys.stderr)  # noqa: T201
