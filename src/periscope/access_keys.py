"""The keys about who may do what: under the control tag, as they belong to no partition."""

from __future__ import annotations

from periscope.keys import control_key


class AccessKeys:
    """The keys about API keys, accounts and sessions, all in the slot of the control key."""

    __slots__ = ("access", "control")

    def __init__(self, namespace: str) -> None:
        self.control = control_key(namespace)
        self.access = self.control + b":access"

    def attempts(self, digest: str) -> bytes:
        """The key of failed sign-ins under a name, by the digest of that name."""
        return self.control + b":attempts:" + digest.encode()

    def session(self, digest: str) -> bytes:
        """The key of a session, by the digest of its token."""
        return self.control + b":session:" + digest.encode()

    def bucket(self, prefix: str) -> bytes:
        """The key of what an API key may still spend."""
        return self.control + b":bucket:" + prefix.encode()
