"""`Access`: who may do what in one open database. No HTTP in it; the API calls it."""

from __future__ import annotations

from periscope.access.accounts_desk import AccountsDesk
from periscope.access.keys_desk import KeysDesk


class Access(KeysDesk, AccountsDesk):
    """API keys, accounts, sessions and rates of an open database; `async with`, or start and close.

    All methods are safe to call concurrently, from any number of processes. What is changed is in
    the audit trail with who did it: what gives rights is there before it is done, and is not done
    where it cannot be recorded; what takes rights away is done first. Names are analysts' ids.
    """
