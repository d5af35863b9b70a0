"""What was set aside as noise, for people who hold an open database."""

from __future__ import annotations

from periscope.database import Database
from periscope.suppressed import Suppressed, SuppressedPage


class SetAside(Database):
    """What is suppressed.

    Reports that were marked as noise are counted by their id, in an entry that is kept for 30 days
    after the last of them (the newest 100,000 of a partition); the ledger counts them for ever.
    """

    async def get_suppressed(
        self, cursor: str | None = None, count: int = 100, cause: str | None = None
    ) -> SuppressedPage:
        """A page (1 to 1,000) of what is suppressed, what was reported last first.

        With a `cause` (`list:<name>` or `rule:<id>`) only what was last suppressed by it. What is
        not reported again during a walk is returned exactly once; what is moves to the front.

        Raises:
            CursorInvalid: not a cursor of this query and database.
            PartitionsMissing: some partitions are away; a page of the others' is in `partial`.
        """
        return await self._suppression.page(cursor, count, cause)

    async def get_suppressed_entry(self, threat_id: str) -> Suppressed | None:
        """What was set aside of this id, and why; None if nothing is remembered."""
        return await self._suppression.entry(threat_id)

    async def forget_suppressed(self, threat_id: str) -> bool:
        """Forget what was set aside of this id, so that its next report starts anew.

        The ledger's counts stay. Returns whether there was anything; safe to repeat.

        Raises:
            OutcomeUnknown: it may be forgotten.
        """
        return await self._suppression.forget(threat_id)
