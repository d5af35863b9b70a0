"""Who may do what: API keys, accounts, sessions, rates. `Access` is what others call."""

from periscope.access.access import Access
from periscope.access.words import NO_LIMITS, Account, ApiKey, Identity, Limits, Scope, Session

__all__ = ["NO_LIMITS", "Access", "Account", "ApiKey", "Identity", "Limits", "Scope", "Session"]
