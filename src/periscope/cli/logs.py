"""Log records on standard error: warnings always, everything with `--debug`."""

from __future__ import annotations

import json
import logging

from periscope.cli.text import safe, safe_lines
from periscope.documents import moment

OF_REQUESTS = ("request_id", "route", "method", "status", "seconds", "caller", "tenant")


_encode = json.JSONEncoder(ensure_ascii=True, default=str).encode


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
        if record.exc_info or record.exc_text or record.stack_info:
            bare = {"exc_info": None, "exc_text": None, "stack_info": None}
            record = logging.makeLogRecord({**record.__dict__, **bare})
        return safe(super().format(record))


class ServiceFormatter(SafeFormatter):
    """A line a record, with its time; of a request also who asked, how long it took, and its id."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text for a terminal."""
        line = f"{moment(int(record.created * 1000))} {super().format(record)}"
        told = record.__dict__
        if "request_id" not in told:
            return line
        who = f"{told['caller']} of {told['tenant']}" if told["caller"] else "nobody known"
        return f"{line} in {told['seconds'] * 1000:.1f} ms, {safe(who)}, {told['request_id']}"


class JsonFormatter(logging.Formatter):
    """A JSON object a record, in ASCII, with what requests say of themselves."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        told = {
            "at": moment(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: getattr(record, name) for name in OF_REQUESTS if hasattr(record, name)},
        }
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        return _encode(told)


def set_up_service(log_format: str, *, debug: bool) -> None:
    """Send the log of a service to standard error: what it does, request by request."""
    # What no line says need not be found out, several times for each request.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else ServiceFormatter(debug=debug))
    level = logging.DEBUG if debug else logging.INFO
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("_granian", "granian.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


def set_up(*, debug: bool) -> None:
    """Send the log to standard error; called once a run."""
    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter(debug=debug))
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, handlers=[handler], force=True
    )
