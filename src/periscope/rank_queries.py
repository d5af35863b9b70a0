"""What may be asked of the live ranking, from the words that people use."""

from __future__ import annotations

from periscope.errors import UsageError
from periscope.functions import RankQuery
from periscope.models import SEVERITIES, STATUSES, Severity, Status


def severity_query(severity: Severity | str) -> RankQuery:
    """The query for one severity.

    Raises:
        UsageError: no such severity.
    """
    try:
        return RankQuery(severity=Severity(severity).rank)
    except ValueError:
        known = ", ".join(SEVERITIES)
        raise UsageError(f"unknown severity {severity!r}; use one of {known}") from None


def score_query(lowest: float, highest: float) -> RankQuery:
    """The query for scores from `lowest` to `highest`, both included.

    Raises:
        UsageError: not two finite numbers in order.
    """
    for bound in (lowest, highest):
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise UsageError(f"a score bound must be a number, not {bound!r}")
    if not -1e9 < lowest <= highest < 1e9:
        raise UsageError("not a score range: give the lower bound first, both finite")
    return RankQuery(lowest=float(lowest), highest=float(highest))


def status_query(status: Status | str) -> RankQuery:
    """The query for one status of level 1.

    Raises:
        UsageError: no such status.
    """
    try:
        return RankQuery(status=STATUSES.index(Status(status)))
    except ValueError:
        known = ", ".join(STATUSES)
        raise UsageError(f"unknown status {status!r}; use one of {known}") from None


def hot_query(min_interactions: int, cap: int) -> RankQuery:
    """The query for open threats with so many interactions at least.

    Raises:
        UsageError: not from 1 to the policy's cap, which is as far as the board counts.
    """
    if type(min_interactions) is not int or not 1 <= min_interactions <= cap:
        raise UsageError(f"min_interactions must be a whole number from 1 to {cap}")
    return RankQuery(interactions=min_interactions)
