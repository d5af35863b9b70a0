"""The facade that people hold: `Periscope.open()` and the calls of DESIGN 5."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from secrets import token_bytes
from types import TracebackType
from typing import Any, Self

import msgspec

from periscope.connection import Connections, ServerFacts
from periscope.engine import Engine
from periscope.errors import SettingInvalid, StoreDamaged, StoreFull, UsageError
from periscope.functions import Functions, RankQuery, Rules
from periscope.intake import Intake
from periscope.keys import Keyspace
from periscope.ledger import Ledger, Stats
from periscope.models import BatchResult, Outcome, Page, Report, Severity, Threat
from periscope.policy import Policy
from periscope.queries import Queries, score_query, severity_query
from periscope.server import EmbeddedServer
from periscope.settings import Settings

log = logging.getLogger("periscope")


class Periscope:
    """One database of threats. Use as `async with Periscope.open() as p:`.

    All methods are safe to call concurrently. Cancelling one call harms no other.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stack = AsyncExitStack()
        self._server: EmbeddedServer | None = None
        self._facts: ServerFacts | None = None
        self._state = "new"

    @classmethod
    def open(cls, url: str | None = None, namespace: str | None = None, **options: Any) -> Self:
        """Describe a database; it is reached on `async with` (or `await p.start()`).

        Without a URL (and without PERISCOPE_URL) it is the embedded server in the data directory:
        started on first use, shared by processes, stopped by the last to leave. `options` are the
        settings of `periscope.settings`.

        Raises:
            SettingInvalid: an option or PERISCOPE_ variable is unknown or does not fit.
        """
        return cls(Settings.load(url=url, namespace=namespace, **options))

    async def start(self) -> Self:
        """Reach the server (or start it), check it, load the function library, read the policy.

        Raises:
            StoreError: one line that says what is wrong with the server and what to do.
        """
        if self._state != "new":
            raise UsageError(f"this database is {self._state}; open another one")
        self._state = "open"
        self._home = (os.getpid(), asyncio.get_running_loop())
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """Give everything back; the last to leave an embedded server stops it. Idempotent."""
        # Shielded: a cancelled close would leave the embedded server with a user that is gone.
        self._state = "closed"
        await asyncio.shield(self._stack.aclose())

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def add_threats_batch(self, reports: Iterable[Any] | AsyncIterable[Any]) -> BatchResult:
        """Take in reports (dicts or `Report`) from any iterable of any length, in bounded memory.

        Chunks of up to 500 reports or 1 MiB are stored atomically, several under way at once and
        in order. A bad report is rejected with its index and a reason; the others go in. Giving
        the same reports again changes nothing but the duplicate counter.

        Raises:
            BatchInterrupted: the server refused or went away, or the iterable itself raised; says
                how many reports were committed, rejected, refused and unknown. Repeating is safe.
        """
        if not isinstance(reports, Iterable | AsyncIterable) or isinstance(reports, str | bytes):
            raise UsageError(f"reports must be an iterable, not {type(reports).__name__}")
        return await self._engine.add_batch(reports)

    async def add_threat(
        self,
        threat_id: str,
        content: str,
        severity: Severity | str,
        metadata: dict[str, Any] | None = None,
        *,
        source: str = "",
        observed_at: Any = None,
    ) -> Outcome:
        """Take in one report; say whether it was added, a sighting or a duplicate.

        Raises:
            ReportRejected: a rule is broken; names the field. It is counted in the ledger.
            StoreError: the server refused (nothing stored) or did not answer (safe to repeat).
        """
        fields = (threat_id, content, severity, metadata, source, observed_at)
        return await self._engine.add_one(dict(zip(Report.__struct_fields__, fields, strict=True)))

    async def get_threat(self, threat_id: str) -> Threat | None:
        """The threat as it stands now, whatever its level; None if unknown. No side effect."""
        found = await self._queries.threats([threat_id])
        return found[0] if found else None

    async def get_threats(self, ids: Iterable[str]) -> list[Threat]:
        """The known ones among `ids`, in the order given."""
        if not isinstance(ids, Iterable) or isinstance(ids, str | bytes):
            raise UsageError(f"ids must be an iterable of ids, not {type(ids).__name__}")
        return await self._queries.threats(ids)

    async def threat_exists(self, threat_id: str, exact: bool = False) -> bool:
        """Is the threat in any level? Asks the server, so it is always exact."""
        return await self._queries.exists(threat_id)

    async def get_top_threats(self, limit: int = 100) -> list[Threat]:
        """The first `limit` of the queue, exactly ranked as of one instant, highest first.

        More than 250 take several calls for that instant: a threat that changes between two of
        them may be missing, or ranked as it was.
        """
        return await self._queries.top(limit)

    async def get_active_paginated(self, cursor: str | None = None, count: int = 100) -> Page:
        """A page (1 to 1,000) of the whole queue in rank order.

        The ranking stands still at the first page's `as_of`: a threat that does not change during
        the walk is returned exactly once.

        Raises:
            CursorInvalid: not a cursor of this query and database.
            CursorStale: the policy changed meanwhile; start again.
        """
        return await self._queries.page(RankQuery(), cursor, count)

    async def get_by_severity(
        self, severity: Severity | str, cursor: str | None = None, count: int = 100
    ) -> Page:
        """A page of the queue of one severity; see `get_active_paginated`."""
        return await self._queries.page(severity_query(severity), cursor, count)

    async def get_by_score_range(
        self, lowest: float, highest: float, cursor: str | None = None, count: int = 100
    ) -> Page:
        """A page of the queue with `lowest <= score <= highest` as of the first page."""
        return await self._queries.page(score_query(lowest, highest), cursor, count)

    def get_all_active(self) -> AsyncIterator[Threat]:
        """Every threat of the queue in rank order; memory stays that of a page.

        Raises:
            CursorStale: the policy changed during the walk.
        """
        return self._queries.walk(RankQuery())

    async def get_stats(self) -> Stats:
        """Counts by status and severity, the unseen, the levels and the ledger."""
        return await self._queries.stats()

    async def get_ledger(self, *, deep: bool = False) -> Ledger:
        """The conservation law; `deep` recounts every record (slow, for a quiet database)."""
        return await self._queries.ledger(deep=deep)

    async def get_policy(self) -> Policy:
        """The policy in force."""
        await self.refresh()
        return self.functions.rules.policy

    async def set_policy(self, policy: Policy) -> Policy:
        """Put a policy in force for all processes; the next read anywhere ranks by it.

        Raises:
            UsageError: somebody else changed it at the same moment; look, and try again.
        """
        if type(policy) is not Policy:
            raise UsageError(f"a policy must be a Policy, not {type(policy).__name__}")
        revision = self.functions.rules.revision
        done, _ = await self.functions.set_policy(self.settings.namespace, revision, policy)
        await self.refresh()
        if not done:
            raise UsageError(
                "the policy was changed by somebody else meanwhile; look and try again"
            )
        return policy

    @property
    def server(self) -> ServerFacts:
        """Kind, version and effective durability of the server, as found at the start."""
        if self._facts is None:
            raise SettingInvalid("not started: use `async with Periscope.open() as p:`")
        return self._facts

    @property
    def _engine(self) -> Engine:
        self._check_open()
        return self._changes

    @property
    def _queries(self) -> Queries:
        self._check_open()
        return self._reads

    def _check_open(self) -> None:
        """Connections belong to one process and one event loop; others would read their replies."""
        if self._state != "open":
            raise UsageError(f"this database is {self._state}: use `async with Periscope.open()`")
        if self._home != (os.getpid(), asyncio.get_running_loop()):
            raise UsageError("this database was opened in another process or event loop")

    async def _start(self) -> None:
        url = self.settings.url or await self._embedded_url()
        connections = Connections(url, self.settings)
        self._stack.push_async_callback(connections.close)
        if self._server is not None:
            connections.revive = self._revive
        self._facts = await connections.examine()
        self.functions = Functions(connections, Rules(Policy(), 0))
        await self.functions.load()
        secret, partitions = await self._read_control()
        self._secret = secret
        self.keyspace = Keyspace.of(self.settings.namespace, partitions)
        self.functions.refresh = self.refresh
        await self._prepare()
        self._changes = Engine(
            self.functions, self.keyspace, Intake(secret), self.settings, self._check_room
        )
        self._reads = Queries(self.functions, self.keyspace, secret)
        log.info("opened %s, settings %s", connections.shown_url, self.settings.shown())

    async def _embedded_url(self) -> str:
        self._server = await EmbeddedServer.join(
            self.settings.data_path, durability=self.settings.durability
        )
        self._stack.push_async_callback(self._server.leave)
        return self._server.url

    async def _revive(self) -> Path:
        assert self._server is not None  # noqa: S101 - set before this is handed out
        await self._server.revive()
        return self._server.socket_path

    async def _read_control(self) -> tuple[bytes, int]:
        wanted = self.settings.partitions
        control = await self.functions.control(
            self.settings.namespace, wanted or 1, token_bytes(16)
        )
        if wanted not in (0, control.partitions):
            raise SettingInvalid(
                f"partitions is {wanted}, but this database has {control.partitions}; "
                "leave the setting out"
            )
        self._take_policy(control.policy, control.policy_revision)
        return control.secret, control.partitions

    async def _read_control_again(self) -> None:
        """The control key as it is now; written anew, as this process knows it, if it was lost."""
        count = len(self.keyspace.partitions)
        control = await self.functions.control(self.settings.namespace, count, self._secret)
        if (control.partitions, control.secret) != (count, self._secret):
            raise StoreDamaged("the database was replaced by another one; start this program again")
        self._take_policy(control.policy, control.policy_revision)

    async def refresh(self) -> None:
        """Read the policy in force anew and bring every partition up to it. Safe to repeat."""
        await self._read_control_again()
        await self._prepare()

    async def _prepare(self) -> None:
        for keys in self.keyspace.partitions:
            await self.functions.prepare(keys)

    def _take_policy(self, encoded: bytes, revision: int) -> None:
        try:
            policy = msgspec.json.decode(encoded, type=Policy)
        except (msgspec.DecodeError, SettingInvalid) as exc:
            raise StoreDamaged(f"the stored policy cannot be read: {exc}") from None
        self.functions.rules = Rules(policy, revision)

    def _check_room(self) -> None:
        if self._server is None or not self.settings.min_free_mb:
            return
        free_mb = self._server.free_bytes() >> 20
        if free_mb < self.settings.min_free_mb:
            raise StoreFull(
                f"only {free_mb:,} MiB free in {self.settings.data_path}, less than "
                f"min_free_mb ({self.settings.min_free_mb:,}); no new reports until there is room"
            )
