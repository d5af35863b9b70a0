"""Every error as problem details (RFC 9457): one shape, stable types, no address and no trace."""

from __future__ import annotations

import logging
import re
import traceback
from http import HTTPStatus
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from periscope.errors import (
    ArchiveError,
    BatchInterrupted,
    BugError,
    PeriscopeError,
    StoreError,
)
from periscope.models import BatchResult
from periscope.shapes import Problem

PREFIX = "urn:periscope:problem:"
MEDIA_TYPE = "application/problem+json"
RETRY_S = 2
TITLES = {
    400: "The request cannot be understood.",
    401: "Who you are is not known.",
    403: "This is not yours to do.",
    404: "There is nothing of this name.",
    405: "This cannot be done here.",
    413: "The body is too large.",
    406: "The answer cannot be given in that form.",
    409: "It does not fit what is there.",
    410: "It is no longer there.",
    411: "The length of the body is missing.",
    412: "It has changed meanwhile.",
    415: "The body is of a kind that is not read here.",
    422: "What is asked for cannot be.",
    428: "The version that is to be changed is missing.",
    429: "Too much at once.",
    503: "It cannot be done just now.",
}

DETAILS = {
    404: "There is no such address; GET /openapi.json lists all that there are.",
    405: "This address does not take that method; the header Allow lists those that it takes.",
}
"""What is told where HTTP's own phrase is all that is known."""

log = logging.getLogger("periscope.api")


class RequestRefused(PeriscopeError):
    """A request that HTTP itself lets us refuse; `kind` names the problem."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        field: str | None = None,
        headers: dict[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.field = field
        self.headers = headers or {}
        self.retry_after_s = retry_after_s


def problem_of(exc: BaseException, instance: str) -> Problem:
    """Return what is told of an error; what is none of the caller's business is left out."""
    if isinstance(exc, RequestRefused):
        title = TITLES.get(exc.status) or HTTPStatus(exc.status).phrase
        return Problem(
            *(PREFIX + exc.kind, title, exc.status, str(exc), instance),
            *(exc.field, exc.retry_after_s),
        )
    if isinstance(exc, BatchInterrupted):
        return _interrupted(exc, instance)
    if isinstance(exc, PeriscopeError) and not isinstance(exc, BugError):
        return _known(exc, instance)
    if isinstance(exc, HTTPException) and exc.status_code < 500:
        return _of_http(exc, instance)
    title = "Something went wrong in the server."
    detail = f"The log has more under {instance}; please report it."
    return Problem(PREFIX + "internal-error", title, 500, detail, instance)


def answer(exc: BaseException, instance: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer that tells an error."""
    problem = problem_of(exc, instance)
    headers = dict(getattr(exc, "headers", None) or {})
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, ceil(problem.retry_after_s)))
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="periscope"'
    headers["Content-Type"] = MEDIA_TYPE
    return problem.status, headers, msgspec.json.encode(problem)


def handle(request: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
    """Answer a request that failed: what Litestar calls for everything that is raised."""
    instance = instance_of(request.scope)
    status, headers, body = answer(exc, instance)
    tell(exc, status, instance)
    return Response(body, status_code=status, headers=headers, media_type=MEDIA_TYPE)


def tell(exc: BaseException, status: int, instance: str) -> None:
    """Put in the log what the answer does not say."""
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request %s failed: %s", instance, _fault(exc), exc_info=exc)
    elif status > HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request %s: %s: %s", instance, type(exc).__name__, exc)


def _fault(exc: BaseException) -> str:
    """Return what a fault is and where: its own words may hold what came with the request."""
    frames = traceback.extract_tb(exc.__traceback__, limit=-1)
    where = "".join(f" at {Path(one.filename).name}:{one.lineno}" for one in frames)
    return type(exc).__name__ + where


def instance_of(scope: Any) -> str:
    """Return the id of the request that a scope is of."""
    return str(scope.get("state", {}).get("request_id", "-"))


def kind_of(kind: type[BaseException]) -> str:
    """Return the name of a class as the last part of a type: `threat-unknown`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


def title_of(kind: type[BaseException]) -> str:
    """Return the first sentence of a class's docstring, which says what it means."""
    text = " ".join((kind.__doc__ or kind.__name__).split())
    return re.split(r"(?<=[.])\s", text, maxsplit=1)[0]


def _known(exc: PeriscopeError, instance: str) -> Problem:
    kind, status = type(exc), type(exc).http_status
    hidden = isinstance(exc, StoreError | ArchiveError)
    detail = _without_place(exc) if hidden else str(exc)
    retry_s = getattr(exc, "retry_after_s", None) or None
    if retry_s is None and status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry_s = RETRY_S
    field = getattr(exc, "field", None)
    return Problem(PREFIX + kind_of(kind), title_of(kind), status, detail, instance, field, retry_s)


def _without_place(exc: PeriscopeError) -> str:
    """Return what to do about an error whose own words may name addresses and files."""
    if type(exc).http_status == HTTPStatus.SERVICE_UNAVAILABLE:
        return "Try again shortly; a change that was not acknowledged is safe to repeat."
    return "Nothing was changed; the server's log says what its operator can do."


def _interrupted(exc: BatchInterrupted, instance: str) -> Problem:
    cause = exc.__cause__
    known = isinstance(cause, PeriscopeError)
    status = type(cause).http_status if isinstance(cause, PeriscopeError) else 503
    result: Any = exc.result
    names: tuple[str, ...] = ("added", "sightings", "duplicates", "suppressed")
    if not isinstance(result, BatchResult):
        names = ("recorded", "repeated")
    detail = (
        f"{result.committed:,} were stored, {result.rejected_count:,} rejected, {exc.refused:,} "
        f"refused, of {exc.unknown:,} it is not known. Sending all of it again is safe."
    )
    base = Problem(
        PREFIX + (kind_of(type(cause)) if known and cause else "batch-interrupted"),
        title_of(type(cause) if known and cause else type(exc)),
        status,
        detail,
        instance,
        None,
        RETRY_S if status == HTTPStatus.SERVICE_UNAVAILABLE else None,
    )
    return msgspec.structs.replace(
        base,
        received=result.received + exc.refused + exc.unknown,
        rejected=result.rejected_count,
        refused=exc.refused,
        unknown=exc.unknown,
        **{name: getattr(result, name) for name in names},
    )


def _of_http(exc: HTTPException, instance: str) -> Problem:
    status = exc.status_code
    kind = HTTPStatus(status).phrase.lower().replace(" ", "-")
    title = TITLES.get(status) or HTTPStatus(status).phrase
    field, detail = _at_fault(exc)
    return Problem(PREFIX + kind, title, status, detail, instance, field)


def _at_fault(exc: HTTPException) -> tuple[str | None, str]:
    """Return which part of the request is wrong, and how, from what Litestar says of it."""
    extra = exc.extra if isinstance(exc.extra, list) else []
    first = extra[0] if extra and isinstance(extra[0], dict) else {}
    field, message = first.get("key"), first.get("message")
    if field and message:
        name = str(field).removesuffix("_")  # where the parameter's own name is a word of Python
        return name[:200], f"{name}: {message}"[:1000]
    detail = exc.detail.split(" for GET ")[0].split(" for POST ")[0]
    if detail == HTTPStatus(exc.status_code).phrase:
        detail = DETAILS.get(exc.status_code, detail)
    return None, detail[:1000]
