"""API keys and accounts as JSON, for the command line and the HTTP API alike."""

from __future__ import annotations

from periscope.access.words import Account, ApiKey
from periscope.documents import Document, times


def api_key(one: ApiKey, now_ms: int) -> Document:
    """Return a key as it is listed; `state` is good, expired or revoked."""
    return {
        "prefix": one.prefix,
        "name": one.name,
        "scopes": list(one.scopes),
        "limits": {
            "sources": list(one.limits.sources),
            "severities": [severity.value for severity in one.limits.severities],
            "tlp": list(one.limits.tlp),
        },
        "analyst": one.analyst,
        "rate_per_s": one.rate_per_s,
        "burst": one.burst,
        "state": one.state(now_ms),
        **times("created", one.created_ms),
        "created_by": one.created_by,
        **times("expires", one.expires_ms),
        **times("revoked", one.revoked_ms),
        "revoked_by": one.revoked_by,
        **times("last_used", one.last_used_ms),
    }


def account(one: Account) -> Document:
    """Return an account as it is listed; `issuer` is null where a password vouches for it."""
    return {
        "name": one.name,
        "scopes": list(one.scopes),
        "issuer": one.issuer,
        **times("created", one.created_ms),
        "created_by": one.created_by,
        **times("disabled", one.disabled_ms),
    }
