"""What a service, or the way to it, answers instead of a result.

    ApiProblem                  anything below, and every problem that has no class of its own
    ├── Unauthenticated         401: the key is not good, or not any more
    ├── Forbidden               403: the key is known, and may not do that
    ├── NotFound                404: there is nothing of this name
    ├── Conflict                409: it does not fit what is there as it stands
    ├── Gone                    410: a cursor or position that was right once; start anew
    ├── RateLimited             429: faster than the key may be; says when to try again
    ├── ServiceUnavailable      502, 503, 504: the service or its store is away; it may pass
    └── Unreachable             no answer: refused, cut off, or not in time

`problem.type` tells problems apart for good: `urn:periscope:problem:claimed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import msgspec

from periscope.errors import PeriscopeError
from periscope.shapes import Problem

MEDIA_TYPE = "application/problem+json"
LONGEST_PAUSE_S = 86_400.0
_decode = msgspec.json.Decoder(Problem).decode


class ApiProblem(PeriscopeError):
    """The service refused or could not do it; `problem` says what, where and what to do.

    `status` is the HTTP status (0 without an answer), `kind` the last part of the problem's type,
    `retry_after_s` the pause that was asked for (None: none was). `is_certain`: nothing was done.
    """

    def __init__(self, problem: Problem, *, is_certain: bool = True) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem
        self.is_certain = is_certain

    @property
    def status(self) -> int:
        """The HTTP status; 0 without an answer."""
        return self.problem.status

    @property
    def kind(self) -> str:
        """The last part of the problem's type: `threat-unknown`."""
        return self.problem.type.rpartition(":")[2]

    @property
    def field(self) -> str | None:
        """The part of the request that is at fault, if it is one."""
        return self.problem.field

    @property
    def retry_after_s(self) -> float | None:
        """The pause that the service asks for before the next try, in seconds."""
        return self.problem.retry_after_s


class Unauthenticated(ApiProblem):
    """The key is not good, or not any more."""


class Forbidden(ApiProblem):
    """The key is known, and may not do that."""


class NotFound(ApiProblem):
    """There is nothing of this name, or not for this key."""


class Conflict(ApiProblem):
    """It does not fit what is there as it stands; nothing was changed."""


class Gone(ApiProblem):
    """A cursor or a position that was right once: start anew without it."""


class RateLimited(ApiProblem):
    """Faster than the key may be: nothing was done."""


class ServiceUnavailable(ApiProblem):
    """The service or its store is away, or it is ending; that may pass."""


class Unreachable(ApiProblem):
    """No answer came: `is_certain` says whether the request cannot have been carried out."""


_KINDS: dict[int, type[ApiProblem]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    429: RateLimited,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: ServiceUnavailable,
}
_PASSING = (408, 502, 504)
_UNSURE = ("outcome-unknown", "partitions-missing", "moving", "batch-interrupted")


def problem_of(status: int, headers: Mapping[str, str], body: bytes) -> ApiProblem:
    """Return the error that an answer tells; one that is no problem document becomes one."""
    problem = _read(status, headers, body)
    if problem.retry_after_s is None and "Retry-After" in headers:
        pause_s = pause_of(headers["Retry-After"])
        problem = msgspec.structs.replace(problem, retry_after_s=pause_s)
    is_certain = status not in _PASSING and not problem.type.endswith(_UNSURE)
    return _KINDS.get(status, ApiProblem)(problem, is_certain=is_certain)


def unreachable(what: str, *, is_certain: bool) -> Unreachable:
    """Return the error of a request to which no answer came."""
    kind = "unreachable" if is_certain else "unanswered"
    return Unreachable(
        Problem(f"urn:periscope:client:{kind}", "The service cannot be reached.", 0, what, "-"),
        is_certain=is_certain,
    )


def untrusted(what: str) -> ApiProblem:
    """Return the error of a service that is not who it should be."""
    return ApiProblem(
        Problem("urn:periscope:client:untrusted", "The service is not trusted.", 0, what, "-")
    )


def pause_of(given: str) -> float | None:
    """Return the seconds of a Retry-After header, which may be a date; None if it is neither."""
    if given.strip().isdigit():
        return min(float(given), LONGEST_PAUSE_S)
    try:
        until = parsedate_to_datetime(given)
    except ValueError:
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return min(max(0.0, (until - datetime.now(UTC)).total_seconds()), LONGEST_PAUSE_S)


def _read(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    if headers.get("Content-Type", "").partition(";")[0].strip() == MEDIA_TYPE:
        try:
            return _decode(body)
        except msgspec.MsgspecError:
            pass
    known = {one.value: one.phrase for one in HTTPStatus}
    title = known.get(status, "The answer is none of HTTP's.")
    detail = f"{status} {title}: not answered by the service itself, but on the way to it"
    return Problem("about:blank", title, status, detail, headers.get("X-Request-ID", "-"))
