"""Who may do what: API keys, accounts, sessions, rates. `Access` is what others call."""

from periscope.access.access import Access
from periscope.access.words import Account, ApiKey, Identity, Limits, Scope, Session

__all__ = ["Access", "Account", "ApiKey", "Identity", "Limits", "Scope", "Session"]
