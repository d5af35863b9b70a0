"""`repartition`, `rebuild`, and giving either of them up."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Literal

import msgspec
from msgspec.structs import replace

from periscope.archive import Archive
from periscope.backup import Progress
from periscope.errors import (
    MoveError,
    OutcomeUnknown,
    SettingInvalid,
    StoreDamaged,
    StoreError,
    UsageError,
)
from periscope.functions import encode_policy
from periscope.keys import Keyspace
from periscope.ledger import Ledger
from periscope.moving.calls import MoverCalls
from periscope.moving.fences import fenced_by, let_in
from periscope.moving.mover import Mover, Sides
from periscope.moving.side import Side, reach
from periscope.moving.state import ABORTING, COPYING, Move, new_id, read_note
from periscope.policy import Policy
from periscope.settings import Settings, hide_password

MOST_PARTITIONS = 1024


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of the database; `ledger` is the copy's as it was proved (None: before)."""

    partitions: int
    generation: int
    policy: Policy
    to: str
    resumed: bool
    ledger: Ledger | None
    seconds: float


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What was asked for: None is as it is."""

    verb: Literal["repartition", "rebuild"]
    partitions: int | None = None
    to: str = ""
    change: Callable[[Policy], Policy] | None = None


async def repartition(
    settings: Settings,
    archive: Archive,
    partitions: int,
    *,
    to: str | None = None,
    delete_source: bool = False,
    progress: Progress | None = None,
) -> Moved:
    """Give the database another number of partitions, here or (`to`) on another server.

    Meanwhile every other program is refused (`Moving`), reads and writes alike; nothing is lost,
    acknowledged or not. Killed at any point, the same call goes on with it. The copy is compared
    with the source, threat by threat, before it takes its place in one step; then the source is
    deleted (on another server: with `delete_source` only). All programs open the database again.

    Raises:
        UsageError: there is nothing to do, or another move is under way.
        MoveError: the target is not empty, or the copy is not what the database is.
        ArchiveMismatch: this is not the archive of this database.
    """
    if type(partitions) is not int or not 1 <= partitions <= MOST_PARTITIONS:
        raise UsageError(f"partitions must be a whole number from 1 to {MOST_PARTITIONS:,}")
    if delete_source and not to:
        raise UsageError("delete_source is for a move to another server: here it is always deleted")
    wanted = _Wanted("repartition", partitions, hide_password(to) if to else "")
    return await _run(settings, archive, wanted, to, delete_source, progress or Progress())


async def rebuild(
    settings: Settings,
    archive: Archive,
    change: Callable[[Policy], Policy],
    *,
    progress: Progress | None = None,
) -> Moved:
    """Put a policy in force that the boards or ranks must be built anew for; see `repartition`.

    `change` makes it of the one in force.
    """
    wanted = _Wanted("rebuild", change=change)
    return await _run(settings, archive, wanted, None, False, progress or Progress())


async def abort(
    settings: Settings, *, to: str | None = None, progress: Progress | None = None
) -> bool:
    """Give up a move that has not switched yet; False if none is under way.

    The database is as it was before. Killed at any point, the same call goes on with it. A target
    that cannot be reached is left as it is, with a warning.

    Raises:
        UsageError: it has switched: it can only be finished; or it is one to another server, and
            `to` does not say which.
    """
    shown = hide_password(to) if to else ""
    async with reach(settings) as source:
        control = await source.control()
        state = _state_of(control)
        if state is None:
            return await _open_doors(source, control)
        if state.phase not in (COPYING, ABORTING):
            raise UsageError(f"it has switched already; finish it: {state.told()}")
        if state.to != shown:
            raise UsageError(f"it is a move to {state.to or 'no other server'}: say so with --to")
        async with AsyncExitStack() as stack:
            target, away = await _target_if_there(stack, settings, to, source)
            sides = Sides(source, target)
            mover = await _take_over(sides, state, control, progress or Progress())
            await mover.give_up(away)
    return True


async def _target_if_there(
    stack: AsyncExitStack, settings: Settings, to: str | None, source: Side
) -> tuple[Side, StoreError | None]:
    """(the target, None); or, where it cannot be reached, (the source, why)."""
    if to is None:
        return source, None
    try:
        return await stack.enter_async_context(reach(settings, to)), None
    except StoreError as exc:
        return source, exc


async def _open_doors(side: Side, control: dict[str, bytes]) -> bool:
    """Lift fences that a run left which was overtaken by its own abort; were there any?"""
    if "moved_to" in control or "partitions" not in control:
        return False
    count, generation = int(control["partitions"]), int(control.get("generation", 0))
    return await let_in(side, Keyspace.of(side.namespace, count, generation))


async def _run(
    settings: Settings,
    archive: Archive,
    wanted: _Wanted,
    to: str | None,
    delete: bool,
    progress: Progress,
) -> Moved:
    started = time.monotonic()
    async with _sides(settings, to) as sides:
        control = await sides.source.control()
        before = _state_of(control)
        if "partitions" not in control:
            raise MoveError(f"there is no database {settings.namespace!r} to move")
        if before is None and "moved_to" in control:
            mover, ledger = await _clean_later(sides, wanted, control, delete, progress), None
        else:
            mover = await _begin(sides, wanted, control, before, archive, progress)
            ledger = await mover.run(archive, delete=delete)
    state, resumed = mover.state, before is not None
    spent = time.monotonic() - started
    return Moved(
        *(state.partitions, state.generation, mover.policy, state.to), resumed, ledger, spent
    )


@asynccontextmanager
async def _sides(settings: Settings, to: str | None) -> AsyncIterator[Sides]:
    async with reach(settings) as source:
        if to is None:
            yield Sides(source, source)
            return
        async with reach(settings, to) as target:
            yield Sides(source, target)


async def _begin(
    sides: Sides,
    wanted: _Wanted,
    control: dict[str, bytes],
    before: Move | None,
    archive: Archive,
    progress: Progress,
) -> Mover:
    """Begin a move, or take over the one that was interrupted."""
    state = _planned(wanted, control, before)
    if before is not None:
        if before.phase == ABORTING:
            raise UsageError("a move is being given up; finish that with --abort")
        if not before.does(state):
            raise UsageError(f"another move is under way: {before.told()} (or give it up: --abort)")
        mover = await _take_over(sides, before, control, progress)
        await mover.adopt(archive, settle=False)
        return mover
    _check_worth(wanted, state)
    if state.to:
        await sides.target.check_empty()
    mover = _mover(sides, state, control, progress)
    await mover.adopt(archive, settle=True)
    mover.state = state = replace(state, id=new_id(await sides.source.time_ms()))
    if not await mover.calls.move(sides.source.control_key, "", state.note):
        raise UsageError("another move was begun just now; look, and try again")
    again = await sides.source.control()
    if int(again["policy_revision"]) != state.revision_before:
        await mover.calls.move(sides.source.control_key, state.note, "")
        raise UsageError("the policy was changed by somebody else just now; look, and try again")
    return mover


async def _take_over(
    sides: Sides, state: Move, control: dict[str, bytes], progress: Progress
) -> Mover:
    """Go on with a move; the process that was at it, if it still is, finds that and stops."""
    mover = _mover(sides, replace(state, runner=token_hex(8)), control, progress)
    if not await mover.calls.move(sides.source.control_key, state.note, mover.state.note):
        raise UsageError("another process has just taken up this move; let it finish")
    return mover


def _mover(sides: Sides, state: Move, control: dict[str, bytes], progress: Progress) -> Mover:
    return Mover(sides, state, _policy(state.policy.encode()), progress, control["secret"])


async def _clean_later(
    sides: Sides, wanted: _Wanted, control: dict[str, bytes], delete: bool, progress: Progress
) -> Mover:
    """Delete what a move to another server left behind."""
    moved_to = control["moved_to"].decode()
    if not delete or wanted.to != moved_to:
        raise UsageError(
            f"the database has moved to {moved_to} already; --to {moved_to} --delete-source "
            "deletes what is left here"
        )
    there = await sides.target.control()
    if there.get("secret") != control["secret"]:
        raise MoveError(f"the database is not at {moved_to} (any more): nothing was deleted here")
    partitions = int(there["partitions"])
    state = replace(_planned(wanted, control, None), partitions=partitions)
    mover = _mover(sides, state, control, progress)
    left = await mover.left_behind()
    if not left:
        raise UsageError(f"nothing is left here: the database is at {moved_to}")
    mover.state = replace(state, id=await fenced_by(sides.source, left[0]))
    await _confirm(sides.target, there)
    await mover.delete_source(left)
    return mover


async def _confirm(side: Side, control: dict[str, bytes]) -> None:
    """See that what is there is on the replicas that the settings ask for.

    Raises:
        MoveError: too few have it.
    """
    count, generation = int(control["partitions"]), int(control.get("generation", 0))
    try:
        for keys in Keyspace.of(side.namespace, count, generation).partitions:
            await MoverCalls(side.functions, "").hold(keys)
    except OutcomeUnknown as exc:
        raise MoveError(f"too few replicas have the copy ({exc}): nothing was deleted") from exc


def _planned(wanted: _Wanted, control: dict[str, bytes], before: Move | None) -> Move:
    """The move that is wanted of this database, or of the one that it was `before` it switched."""
    policy = _policy(control["policy"])
    changed = wanted.change(policy) if wanted.change else policy
    revision, partitions = int(control["policy_revision"]), int(control["partitions"])
    if before is not None:
        partitions = before.partitions_before
    return Move(
        id="",  # given when it begins
        runner=token_hex(8),
        verb=wanted.verb,
        partitions_before=partitions,
        partitions=wanted.partitions or partitions,
        generation=int(control.get("generation", 0)) + 1,
        to=wanted.to,
        policy=encode_policy(changed).decode(),
        revision=revision + (changed != policy),
        revision_before=revision,
        started_ms=time.time_ns() // 1_000_000,
    )


def _check_worth(wanted: _Wanted, state: Move) -> None:
    if wanted.verb == "rebuild" and state.revision == state.revision_before:
        raise UsageError("the policy says so already: there is nothing to rebuild")
    if (
        wanted.verb == "repartition"
        and not state.to
        and state.partitions == state.partitions_before
    ):
        raise UsageError(f"the number of partitions is {state.partitions} already")


def _state_of(control: dict[str, bytes]) -> Move | None:
    return read_note(control.get("move", b"").decode())


def _policy(encoded: bytes) -> Policy:
    try:
        return msgspec.json.decode(encoded, type=Policy)
    except (msgspec.DecodeError, SettingInvalid) as exc:
        raise StoreDamaged(f"the stored policy cannot be read: {exc}") from None
