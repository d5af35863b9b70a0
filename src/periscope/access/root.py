"""What all parts of `Access` stand on: the register, its life, and remarks."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

import msgspec

from periscope.access import checks
from periscope.access.buckets import Buckets
from periscope.access.calls import AccessCalls, patiently
from periscope.access.keyring import Keyring
from periscope.access.passwords import Passwords
from periscope.access.register import LOOK_S, Register
from periscope.access.sessions import Sessions
from periscope.errors import AccessInvalid, PeriscopeError, StoreError
from periscope.periscope import Periscope

MAX_DETAIL_BYTES = 4096
MAX_SUBJECT_CHARS = 512
ITSELF = checks.ITSELF
_ACTION = re.compile(r"[a-z][a-z0-9_]{0,63}")

log = logging.getLogger("periscope")


class AccessRoot:
    """The parts, and the tasks that keep them up."""

    def __init__(self, periscope: Periscope) -> None:
        self._calls = AccessCalls(periscope.functions, periscope.keyspace)
        self._register = Register(self._calls, self._take)
        self._keyring = Keyring(self._register)
        self._passwords = Passwords()
        self._sessions = Sessions(self._register, self._calls)
        self._buckets = Buckets(self._calls)
        self._tasks: list[asyncio.Task[None]] = []
        self._remarks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Read keys and accounts, and follow their changes.

        Raises:
            StoreError: they cannot be read.
        """
        await self._register.refresh()
        self._tasks = [
            asyncio.ensure_future(self._register.follow()),
            asyncio.ensure_future(self._note_uses()),
        ]

    async def close(self) -> None:
        """Follow nothing any more, and note what is still to be noted. Idempotent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tasks:
            with suppress(PeriscopeError):  # when a key was used last: nothing depends on it
                await patiently(self._note(at_once=True))
        self._tasks = []
        await asyncio.gather(*self._remarks, return_exceptions=True)
        self._register.close()
        self._passwords.close()

    @property
    def now_ms(self) -> int:
        """The server's time, as far as it is known here."""
        return self._register.now_ms()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def remark(
        self, who: str, action: str, subject: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Put into the audit trail what is no analyst's act on a threat.

        There it has no threat id; `subject` and `detail` stand in its detail. No secrets.

        Raises:
            AccessInvalid: no action, or more than there is room for.
            AuditFull: the trail must be archived first.
        """
        checks.checked_name(who, "who")
        if not _ACTION.fullmatch(action):
            raise AccessInvalid("action: lower-case letters, digits and _", field="action")
        told = {"subject": subject[:MAX_SUBJECT_CHARS], **(detail or {})}
        if len(msgspec.json.encode(told)) > MAX_DETAIL_BYTES:
            raise AccessInvalid(f"detail: more than {MAX_DETAIL_BYTES:,} bytes", field="detail")
        await self._calls.remark(who, action, told)

    async def _remark_gently(
        self, who: str, action: str, subject: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Remark what has happened whether it can be recorded or not; else the log has it."""
        try:
            await self.remark(who, action, subject, detail)
        except StoreError as exc:
            log.warning("not in the audit trail: %s by %r: %s", action, who, exc)

    def _remark_aside(self, who: str, action: str, subject: str) -> None:
        """Remark gently what nobody is to notice by the time that an answer takes."""
        task = asyncio.ensure_future(self._remark_gently(who, action, subject))
        self._remarks.add(task)
        task.add_done_callback(self._remarks.discard)

    def _take(self, register: Register) -> None:
        self._keyring.take(register.keys)

    async def _note_uses(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            with suppress(PeriscopeError):  # the register tells of a store that is away
                await self._note()

    async def _note(self, *, at_once: bool = False) -> None:
        due = self._keyring.uses_to_note(at_once=at_once)
        if due:
            await self._calls.note_used(due)
