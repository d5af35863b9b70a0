"""A thread of the archive's own: the loop never waits, and every step is one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from periscope.archive.schema import identify
from periscope.archive.session import Mode, Session, transaction
from periscope.errors import ArchiveError, ArchiveMismatch

T = TypeVar("T")

Connect = Callable[[bool], Session]  # whether to make the archive where there is none


class Worker:
    """Carries out steps one after the other, in its thread, on its connection.

    The connection is made at the first step. After any error it is closed, and the next step makes
    a new one; a step whose connection was lost is repeated once, which is safe as every step is
    idempotent. `again=False` is for those whose transaction spans several steps. An archive that
    has another identity by then is refused.
    """

    def __init__(
        self, connect: Connect, shown: str, identity: str = "", *, again: bool = True
    ) -> None:
        self.shown = shown
        self.identity = identity
        self._connect = connect
        self._again = again
        self._session: Session | None = None
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="periscope-archive")

    async def run(self, mode: Mode, step: Callable[[Session], T]) -> T:
        """Run the step in a transaction of its own.

        A cancelled call either never starts or runs to its end unseen.
        """

        def whole(session: Session) -> T:
            with transaction(session, mode):
                return step(session)

        return await self.run_bare(whole)

    async def run_bare(self, step: Callable[[Session], T]) -> T:
        """Run the step without a transaction around it."""
        if self._closed:
            raise ArchiveError(f"archive {self.shown}: is closed; open it again")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._attempt, step)

    async def close(self) -> None:
        """Wait for the steps under way, then close the connection; harmless when closed."""
        if self._closed:
            return
        self._closed = True
        dropped = asyncio.wrap_future(self._thread.submit(self._drop))
        try:
            await asyncio.shield(dropped)
        finally:
            self._thread.shutdown(wait=False)

    def _attempt(self, step: Callable[[Session], T]) -> T:
        try:
            return step(self._ready())
        except BaseException:
            lost = self._session is not None and self._session.lost
            self._drop()
            if not (lost and self._again):
                raise
        try:
            return step(self._ready())
        except BaseException:
            self._drop()
            raise

    def _ready(self) -> Session:
        if self._session is None:
            session = self._connect(not self.identity)
            try:
                self._recognise(session)
            except BaseException:
                session.close()
                raise
            self._session = session
        return self._session

    def _recognise(self, session: Session) -> None:
        identity = identify(session, self.shown, create=not self.identity)
        if self.identity not in ("", identity):
            raise ArchiveMismatch(
                f"archive {self.shown}: is another one than before (identity {identity}, it was "
                f"{self.identity}); was it replaced?"
            )
        self.identity = identity

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
