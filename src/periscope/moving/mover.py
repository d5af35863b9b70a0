"""One run of a move, from wherever it stands to its end. Every step may be repeated."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from periscope.archive import Archive
from periscope.backup import Progress
from periscope.errors import MoveError, OutcomeUnknown, StoreError
from periscope.functions import Arg
from periscope.keeping import Keeping
from periscope.keys import CONTROL_FORMAT, Keyspace, PartitionKeys
from periscope.ledger import Ledger
from periscope.moving.access import carry_access, forget_access
from periscope.moving.calls import NO_DATABASE, MoverCalls
from periscope.moving.console import carry_views, forget_console
from periscope.moving.copying import Copying
from periscope.moving.feeds import carry_feeds, forget_feeds
from periscope.moving.fences import fenced_by, let_in
from periscope.moving.noise import carry_noise, forget_noise
from periscope.moving.proving import Proving
from periscope.moving.reading import Reading, levels
from periscope.moving.settling import settle
from periscope.moving.side import Side
from periscope.moving.state import ABORTING, CLEANING, COPYING, SWITCHING, Move, read_note
from periscope.policy import Policy
from periscope.queries import Queries
from periscope.room import Room
from periscope.rules import Rules

log = logging.getLogger("periscope")
DISCARD_STEP = 100
SETTLE_S = 20
# A program that has just read the control key prepares partitions next: it must still find the
# fence then, or it would make again what was left behind. No start takes a day.
FENCE_KEPT_MS = 86_400_000
OPENED = (
    "a server lost a fence (in a failover?): what was copied may have changed, so nothing was "
    "switched. Run the same command again, which copies it anew, or give it up with --abort"
)
LEFT_OVER = (
    "given up without the target (%s): what was copied there stays, and is no database; before "
    "namespace %r is used there, delete its keys"
)
NOT_CARRIED = ("move", "moving", "moved_to", "clock", "format", "partitions", "generation")


class Sides(NamedTuple):
    """From where to where: the same server twice, but for a move to another one."""

    source: Side
    target: Side


@dataclass(slots=True)
class Mover:
    """Carries out one move; `state` is what the note says."""

    sides: Sides
    state: Move
    policy: Policy
    progress: Progress
    secret: bytes

    @property
    def keyspace(self) -> Keyspace:
        """The keys of the source."""
        state, namespace = self.state, self.sides.source.namespace
        return Keyspace.of(namespace, state.partitions_before, state.generation - 1)

    @property
    def target(self) -> Keyspace:
        """The keys of the copy."""
        return Keyspace.of(
            self.sides.source.namespace, self.state.partitions, self.state.generation
        )

    @property
    def rules(self) -> Rules:
        """The policy of the copy."""
        return Rules(self.policy, self.state.revision)

    @property
    def calls(self) -> MoverCalls:
        """Calls to the source's server."""
        return MoverCalls(self.sides.source.functions, self.state.id)

    @property
    def copy_calls(self) -> MoverCalls:
        """Calls to the copy's server."""
        return MoverCalls(self.sides.target.functions, self.state.id)

    async def run(self, archive: Archive, *, delete: bool) -> Ledger | None:
        """Go on to the end; the ledger of the copy, if it was proved in this run.

        Raises:
            MoveError: the copy is not right, or another process took this move over.
            StoreError: a server cannot be reached; run it again.
        """
        ledger = None
        if self.state.phase == COPYING:
            ledger = await self._copy(archive)
            await self._switch()
        if self.state.phase == SWITCHING:
            await self._switch_over()
        await self._clean(delete=delete)
        return ledger

    async def adopt(self, archive: Archive, *, settle: bool) -> None:
        """Check that the archive is this database's; `settle` while everybody still works.

        Departures and the audit trail are brought into the archive then, so that little is left for
        the time behind the fence. Nothing depends on it, so analysts who are faster end it.
        """
        functions = self.sides.source.functions
        queries = Queries(functions, self.keyspace, self.secret, Room(1000))
        keeping = Keeping(functions, self.keyspace, queries, self.secret)
        await keeping.adopt(archive)
        if not settle:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await keeping.resolve(archive)
                await keeping.archive_audit(archive)

    async def give_up(self, away: StoreError | None = None) -> None:
        """Delete the copy, then let everybody into the source again.

        Another server that is `away`, or goes away, is left as it is: without the note here, what
        it holds can never become the database.
        """
        await self._note(replace(self.state, phase=ABORTING))
        if away is None:
            try:
                await self._drop_copy()
            except StoreError as exc:
                if not self.state.to:
                    raise
                away = exc
        if away is not None:
            log.warning(LEFT_OVER, away, self.sides.source.namespace)
        await let_in(self.sides.source, self.keyspace)
        await self._note(None)

    async def _drop_copy(self) -> None:
        self._begin("copy deleted", "threats")
        await self._clear()
        if self.state.to:
            if (await self.sides.target.control()).get("move") == self.state.id.encode():
                await forget_noise(self.sides.target)
                await forget_feeds(self.sides.target)
                await forget_access(self.sides.target)
                await forget_console(self.sides.target)
            fields: dict[str, Arg] = {"format": "", "moving": ""}
            await self.copy_calls.move(self.sides.target.control_key, self.state.id, "", fields)

    async def _clear(self) -> None:
        """Delete what was copied, with its fences; what is of another move, or none, stays."""
        for keys in self.target.partitions:
            if await fenced_by(self.sides.target, keys) == self.state.id:
                await self._discard(self.sides.target, self.copy_calls, keys, 0)

    async def _copy(self, archive: Archive) -> Ledger:
        await self._close_doors()
        await settle(self.sides.source, self.keyspace, self.calls, archive)
        source, copy = self._readings()
        proving = Proving(copy, self.copy_calls, self.rules)
        copying = Copying(source, self.copy_calls, proving, self.target, self.rules, self.progress)
        self._begin("copied", "threats")
        for keys in self.keyspace.partitions[self.state.copied :]:
            await copying.partition(keys)
            await self._note(replace(self.state, copied=keys.number + 1))
        await self._check_doors()  # first: without a fence the sides may well differ
        await copying.prove_memos(self.keyspace)
        await copying.totals(self.keyspace.partitions)
        await copying.causes(copy)
        return await proving.totals(source, self.keyspace, self.target)

    def _readings(self) -> tuple[Reading, Reading]:
        source, target = self.sides
        return Reading(source, self.calls), Reading(target, self.copy_calls)

    async def _close_doors(self) -> None:
        """Fence the source; make the copy's partitions, and its control key elsewhere, ours."""
        if not await self._all_fenced():
            await self._begin_anew()
        for keys in self.keyspace.partitions:
            await self.calls.fence(keys, self.state.reason)
        if self.state.to:
            await self._reserve()
        for keys in self.target.partitions:
            await self.copy_calls.fence(keys, self.state.reason, new=True)
        await self._look_again()

    async def _all_fenced(self) -> bool:
        source, target = self.sides
        found = [await fenced_by(source, keys) for keys in self.keyspace.partitions]
        found += [await fenced_by(target, keys) for keys in self.target.partitions]
        return set(found) == {self.state.id}

    async def _begin_anew(self) -> None:
        """Whoever came while a fence was missing may have changed anything: copy it all again."""
        if self.state.copied:
            await self._note(replace(self.state, copied=0))
        await self._clear()

    async def _look_again(self) -> None:
        """Take the fences away again if the move was given up while this process stood still.

        One that somebody else has taken over stays as it is.

        Raises:
            MoveError: it was given up.
        """
        control = await self.sides.source.control()
        now = read_note(control.get("move", b"").decode())
        if now is not None and now.id == self.state.id and now.phase != ABORTING:
            return
        before = int(control.get("generation", 0)) == self.state.generation - 1
        if before and "moved_to" not in control:
            await self._drop_copy()
            for keys in self.keyspace.partitions:
                await self.calls.unfence(keys)
        raise MoveError("this move was given up, or finished, by somebody else meanwhile")

    async def _check_doors(self) -> None:
        """Did every fence stand all the time? And are fences and copy where they are to be?

        Raises:
            MoveError: no; nothing was switched.
        """
        try:
            stood = [await self.calls.hold(keys) for keys in self.keyspace.partitions]
            stood += [await self.copy_calls.hold(keys) for keys in self.target.partitions]
        except OutcomeUnknown as exc:
            raise MoveError(
                f"too few replicas have the copy or its fences ({exc}), so nothing was switched: "
                "run the same command again, or give it up with --abort"
            ) from exc
        if not all(stood):
            raise MoveError(OPENED)

    async def _reserve(self) -> None:
        control, calls = self.sides.target.control_key, self.copy_calls
        fields: dict[str, Arg] = {"format": CONTROL_FORMAT + 97, "moving": self.state.reason}
        ours = await calls.move(control, NO_DATABASE, self.state.id, fields)
        if not ours:
            raise MoveError(
                f"there is a database at {self.state.to} by now; nothing was moved: "
                "give this move up with --abort"
            )

    async def _switch(self) -> None:
        self._begin("switched", "")
        source, _ = self._readings()
        entries = [await source.last_entry(keys) for keys in self.keyspace.partitions]
        ms, sequence = max(entries)
        # Above every entry that ever was: the position of who has seen all of them is old as well.
        state = replace(self.state, entry=f"{ms}-{sequence + 1}")
        await self._check_doors()
        if self.state.to:
            await self._note(replace(state, phase=SWITCHING))
        else:
            await self._note(replace(state, phase=CLEANING), self._settings())

    async def _switch_over(self) -> None:
        """Make the copy the database of the other server; the source says from then on where."""
        await self._check_source()
        if not await self._is_over():
            await carry_noise(*self.sides, self.state.id)
            await carry_feeds(*self.sides, self.state.id)
            await carry_access(*self.sides, self.state.id)
            await carry_views(*self.sides, self.state.id)
        control = await self.sides.source.control()
        carried: dict[str, Arg] = {n: v for n, v in control.items() if n not in NOT_CARRIED}
        fields = {**carried, **self._settings(), "moving": ""}
        side = self.sides.target
        await self.copy_calls.move(side.control_key, self.state.id, "", fields)
        if not await self._is_over():
            raise MoveError(f"somebody else has changed the database at {self.state.to}")
        left: dict[str, Arg] = {"moved_to": self.state.to, "format": CONTROL_FORMAT}
        await self._note(replace(self.state, phase=CLEANING), left)

    async def _check_source(self) -> None:
        """Copy again, if the source was open since it was compared and is the database still."""
        if await self._is_over():
            return
        if not all([await self.calls.hold(keys) for keys in self.keyspace.partitions]):
            await self._note(replace(self.state, phase=COPYING))
            raise MoveError(OPENED)

    async def _is_over(self) -> bool:
        """Is the copy the database of the other server?"""
        control = await self.sides.target.control()
        return control.get("generation") == b"%d" % self.state.generation

    def _settings(self) -> dict[str, Arg]:
        """What the control key of the copy says."""
        return {
            "format": CONTROL_FORMAT,
            "partitions": self.state.partitions,
            "generation": self.state.generation,
            "policy": self.state.policy,
            "policy_revision": self.state.revision,
        }

    async def _clean(self, *, delete: bool) -> None:
        # Each of these waits for the replicas that the settings ask for, also where it finds the
        # partition open: until they have the whole copy, nothing of the source is deleted.
        for keys in self.target.partitions:
            await self.copy_calls.open(keys, self.rules, self.state.entry)
        for keys in self.keyspace.partitions:
            await self.calls.fence(keys, self.state.farewell)
        if delete or not self.state.to:
            await self.delete_source(self.keyspace.partitions)
        await self._note(None)

    async def left_behind(self) -> list[PartitionKeys]:
        """The partitions of the source that were not deleted yet; their fences have no end."""
        left = []
        for keys in self.keyspace.partitions:
            there, end_ms = await self.sides.source.read(
                [("HEXISTS", keys.meta, "move"), ("PTTL", keys.meta)]
            )
            if there and int(end_ms) < 0:
                left.append(keys)
        return left

    async def delete_source(self, partitions: Sequence[PartitionKeys]) -> None:
        """Delete what was left behind in these, but for their fences."""
        self._begin("left behind, deleted", "threats")
        for keys in partitions:
            await self._discard(self.sides.source, self.calls, keys, FENCE_KEPT_MS)
        if self.state.to:
            await forget_noise(self.sides.source)
            await forget_feeds(self.sides.source)
            await forget_access(self.sides.source)
            await forget_console(self.sides.source)

    async def _discard(
        self, side: Side, calls: MoverCalls, keys: PartitionKeys, keep_ms: int
    ) -> None:
        # What was left behind may come back in a failover: it has its fence, and is nobody's
        # database. And a source without replicas can be deleted by one who asks for the copy's.
        lasting = not keep_ms
        for level in levels(keys):
            while True:
                (ids,) = await side.read([("ZRANGE", level, 0, DISCARD_STEP - 1)])
                if not ids:
                    break
                await calls.discard(keys, level, ids, lasting=lasting)
                self.progress.done += len(ids)
        await calls.discard_rest(keys, keep_ms, lasting=lasting)

    async def _note(self, state: Move | None, fields: dict[str, Arg] | None = None) -> None:
        """Set the note; the switch is its change from `copying`, together with the settings.

        Raises:
            MoveError: another process has taken this move over, or given it up.
        """
        control, note = self.sides.source.control_key, state.note if state else ""
        if not await self.calls.move(control, self.state.note, note, fields):
            raise MoveError("another process has taken this move over, or given it up")
        self.state = state or self.state

    def _begin(self, stage: str, unit: str, total: int = 0) -> None:
        self.progress.begin(stage, unit, total)
