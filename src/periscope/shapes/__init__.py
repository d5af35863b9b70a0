"""What travels over HTTP, as types: the API is described by them, the client reads with them.

One file a noun. Times are RFC 3339 text and, in a field ending in `_ms`, integer milliseconds since
1970 (UTC). A document may gain fields; those that are here stay.
"""

from periscope.shapes.accounts import (
    AccountDocument,
    AccountList,
    AccountPassword,
    AccountScopes,
    NewAccount,
)
from periscope.shapes.keys import KeyCreated, KeyDocument, KeyLimits, KeyList, NewKey
from periscope.shapes.policy import PolicyDocument, PolicyShown
from periscope.shapes.problem import Problem
from periscope.shapes.reports import Rejected, ReportsTaken
from periscope.shapes.session import SessionDocument, SignIn
from periscope.shapes.stats import (
    FormatDocument,
    FormatList,
    LedgerDocument,
    ServerDocument,
    StatsDocument,
)
from periscope.shapes.threats import ThreatDocument, ThreatPage

__all__ = [
    "AccountDocument",
    "AccountList",
    "AccountPassword",
    "AccountScopes",
    "FormatDocument",
    "FormatList",
    "KeyCreated",
    "KeyDocument",
    "KeyLimits",
    "KeyList",
    "LedgerDocument",
    "NewAccount",
    "NewKey",
    "PolicyDocument",
    "PolicyShown",
    "Problem",
    "Rejected",
    "ReportsTaken",
    "ServerDocument",
    "SessionDocument",
    "SignIn",
    "StatsDocument",
    "ThreatDocument",
    "ThreatPage",
]
