"""How long a worker waits after a failure: full jitter, so that many do not come back as one."""

from __future__ import annotations

from random import uniform

from periscope.errors import StoreUnavailable

FIRST_S = 1.0
LONGEST_S = 30.0
# Less than the 5 s within which workers promise to be back after the server's return: the rest is
# for connecting.
LONGEST_WHILE_AWAY_S = 4.0


def backoff_s(failures: int, error: BaseException) -> float:
    """Seconds until the next try after so many failures in a row; `error` is the last of them."""
    away = isinstance(error, StoreUnavailable)
    longest_s = LONGEST_WHILE_AWAY_S if away else LONGEST_S
    doubled_s = FIRST_S * 2 ** min(failures - 1, 10)
    return uniform(0, min(longest_s, doubled_s))  # noqa: S311  # jitter is no secret
