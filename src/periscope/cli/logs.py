"""Log records on standard error: warnings always, everything with `--debug`."""

from __future__ import annotations

import logging

from periscope.cli.text import safe, safe_lines


class SafeFormatter(logging.Formatter):
    """A line a record, safe for a terminal; tracebacks only when debugging."""

    def __init__(self, *, debug: bool) -> None:
        super().__init__("periscope: %(levelname)s: %(message)s")
        self._debug = debug

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text for a terminal."""
        record.levelname = record.levelname.lower()
        if self._debug:
            return "\n".join(safe_lines(super().format(record)))
        plain = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None})
        return safe(super().format(plain))


def set_up(*, debug: bool) -> None:
    """Send the log to standard error; called once a run."""
    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter(debug=debug))
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, handlers=[handler], force=True
    )
