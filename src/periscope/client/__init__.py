"""A client of the HTTP API: typed, async, and patient where that is safe.

`client.py` is what people hold; `sender.py` carries many reports, `transport.py` one request.
"""

from periscope.client.client import Client
from periscope.client.problems import (
    ApiProblem,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    Unauthenticated,
    Unreachable,
)

__all__ = [
    "ApiProblem",
    "Client",
    "Conflict",
    "Forbidden",
    "Gone",
    "NotFound",
    "RateLimited",
    "ServiceUnavailable",
    "Unauthenticated",
    "Unreachable",
]
