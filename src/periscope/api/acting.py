"""What all acts have in common: on which threat, who acts, and under which id."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from litestar.params import HeaderParameter, Parameter

from periscope.access.checks import is_reserved
from periscope.api.gate import Caller, caller_of
from periscope.api.limits import check_visible, unknown
from periscope.api.problems import RequestRefused
from periscope.errors import Forbidden

ThreatId = Annotated[str, Parameter(description="The threat's id, percent-encoded.")]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="Id of the request, where the body gives none: the same request with the same "
        "id again changes nothing and gets the first answer, for a day.",
        min_length=1,
        max_length=128,
    ),
]

NO_ANALYST = "so the audit trail calls API keys and Periscope itself, and no analyst"


def threat_id_of(encoded: str) -> str:
    """Return the id of a path as it was sent.

    Raises:
        ThreatUnknown: it is no text, so that no threat has it.
    """
    try:
        return unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise unknown() from None


async def at_work(request: Any, encoded_id: str) -> tuple[Caller, str]:
    """Return who asks, and the threat that a path names, which they may see.

    Raises:
        ThreatUnknown: no threat can have that id; or it is beyond the key's limits.
    """
    caller, threat_id = caller_of(request), threat_id_of(encoded_id)
    await check_visible(caller, threat_id)
    return caller, threat_id


def analyst_of(caller: Caller, given: str | None) -> str:
    """Return who acts: whom the key or session stands for, else whom the body names.

    Raises:
        Forbidden: the body names somebody else.
        RequestRefused: nobody is named, or who is no analyst.
    """
    own = caller.identity.analyst
    if own is None and given is None:
        raise RequestRefused(
            422,
            "analyst-missing",
            "analyst_id: say who acts; your key stands for no analyst",
            field="analyst_id",
        )
    if own is not None and given not in (None, own):
        raise Forbidden(f"you act as {own!r}, and cannot act for others")
    if own is None and is_reserved(str(given)):
        raise RequestRefused(422, "body-unfit", f"analyst_id: {NO_ANALYST}", field="analyst_id")
    return str(own or given)


def request_id_of(given: str | None, key: str | None) -> str | None:
    """Return the id of a request: the body's, else the header's.

    Raises:
        RequestRefused: there are two.
    """
    if given is not None and key is not None and given != key:
        raise RequestRefused(
            422,
            "idempotency-key-unfit",
            "the body gives another id than the header; give one of them",
            field="Idempotency-Key",
        )
    return key if given is None else given
