"""Every type of problem that the service answers with: its name, its status, when."""

from __future__ import annotations

import inspect
from typing import NamedTuple

from periscope import errors
from periscope.api.problems import kind_of, title_of
from periscope.errors import BugError, PeriscopeError


class ProblemKind(NamedTuple):
    """A type of problem: the last part of its `type`, its status, and when it is answered."""

    kind: str
    status: int
    when: str


REFUSALS = (
    ProblemKind("bad-request", 400, "A parameter or field has a value that cannot be one."),
    ProblemKind("body-broken-off", 400, "The body ended before it was whole."),
    ProblemKind("body-missing", 400, "There is no body, where one is needed."),
    ProblemKind("body-unreadable", 400, "The body is not what its type or packing says."),
    ProblemKind("parameter-repeated", 400, "A query parameter is given twice."),
    ProblemKind("parameter-unfit", 400, "A query parameter says `null`: leave it out instead."),
    ProblemKind("parameter-unknown", 400, "There is no such query parameter here."),
    ProblemKind("feed-secret-forbidden", 403, "Feeds with secrets are for the operator to define."),
    ProblemKind("other-origin", 403, "A page of another origin sent it, with a session."),
    ProblemKind("settings-operators", 403, "The service has several namespaces: ask its operator."),
    ProblemKind("not-found", 404, "There is no such path, or nothing of that name."),
    ProblemKind("method-not-allowed", 405, "The path has other methods; `Allow` names them."),
    ProblemKind("feed-in-file", 409, "The feed is defined in periscope.toml, and changed there."),
    ProblemKind("view-changed", 409, "Somebody else has changed the view since that revision."),
    ProblemKind("views-full", 409, "There are as many saved views as there may be."),
    ProblemKind("body-timeout", 408, "No part of the body came in time."),
    ProblemKind("policy-changed", 412, "The policy is not of the revision that `If-Match` names."),
    ProblemKind("body-too-large", 413, "The body is longer than is read here."),
    ProblemKind("request-entity-too-large", 413, "The body is longer than is read here."),
    ProblemKind("encoding-unknown", 415, "The body is packed in a way that is not read here."),
    ProblemKind("media-type-unknown", 415, "The body has a type that is not read here."),
    ProblemKind("analyst-missing", 422, "Nobody is said to act, and the key stands for nobody."),
    ProblemKind("body-unfit", 422, "The body is readable, and not what is asked for."),
    ProblemKind("feed-invalid", 422, "The feed cannot be defined, or its records be read, so."),
    ProblemKind("format-unknown", 422, "There is no such format of feeds."),
    ProblemKind(
        "idempotency-key-unfit",
        422,
        "Header and body give two ids of one request; or this kind of body can have none.",
    ),
    ProblemKind("namespace-missing", 422, "The service has several namespaces: name one."),
    ProblemKind("parameters-unfit", 422, "Parameters that do not go together."),
    ProblemKind("password-wrong", 422, "That is not the old password."),
    ProblemKind("policy-invalid", 422, "No policy can be so."),
    ProblemKind("position-unfit", 422, "That is no position of this database's events."),
    ProblemKind("view-invalid", 422, "No view can have such a name or query."),
    ProblemKind("internal-error", 500, "A fault of the service; its log has it."),
    ProblemKind("index-off", 501, "The service keeps no read index (setting serve_index)."),
    ProblemKind("configuration-unusable", 503, "periscope.toml cannot be used as it is now."),
    ProblemKind(
        "letters-not-kept", 503, "What cannot be read cannot be kept either; send it again."
    ),
    ProblemKind(
        "letters-unreadable", 503, "Dead letters cannot be read or written; the log has why."
    ),
    ProblemKind("too-many-streams", 503, "As many event streams are open as there may be."),
    ProblemKind("ending", 503, "The process is about to end, and is not ready any more."),
)
"""What HTTP itself lets us refuse; a test compares it with the code that does."""


def all_kinds() -> list[ProblemKind]:
    """Return every type of problem, by status and name."""
    raised = [
        ProblemKind(kind_of(kind), kind.http_status, title_of(kind))
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, PeriscopeError) and kind not in (PeriscopeError, BugError)
    ]
    return sorted({*raised, *REFUSALS}, key=lambda one: (one.status, one.kind))
