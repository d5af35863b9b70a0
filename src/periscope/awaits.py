"""What an acknowledgement waits for, beyond what the server does by itself: disks and replicas.

A change that is to be so safe is followed, on its connection, by a small write of its own and by
WAITAOF and WAIT. These count what *their connection* wrote: a change that was stored over another
one, before that was lost, writes nothing when it is sent again, and the small write stands for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntFlag
from typing import Any

from periscope.connection import ServerFacts
from periscope.errors import AuditFull, OutcomeUnknown, StoreDamaged, StoreUnavailable, UsageError
from periscope.keys import touch_key
from periscope.settings import Acknowledgement, Settings

TOUCH_MS = 60_000
SHORT = (
    "stored, but not as safely as asked for: too few replicas (or no disk) confirmed it in time; "
    "repeating it is safe"
)
DOUBT = "sent, and not answered: repeating it is safe"
UNSENT = "nothing was sent"


class Awaits(IntFlag):
    """What an acknowledgement waits for."""

    NOTHING = 0
    DISK = 1
    REPLICAS = 2


def asked_for(
    settings: Settings, facts: ServerFacts | None, durability: Acknowledgement | None = None
) -> Awaits:
    """What to wait for: what the settings ask for, or (`durability`) a single call.

    Raises:
        UsageError: this is no level of durability.
    """
    # A server that fsyncs every second is asked to say when; one that always does need not.
    disk = Awaits.DISK if facts is not None and facts.durability == "fast" else Awaits.NOTHING
    match durability or settings.durability:
        case "replicated":
            return Awaits.REPLICAS | disk
        case "durable" if durability is not None:
            return disk
        case "durable" | "fast":
            return Awaits.NOTHING
        case other:
            raise UsageError(f"durability is durable, replicated or fast, not {other!r}")


def following(
    key: bytes, awaits: Awaits, settings: Settings
) -> list[tuple[bytes | str | int, ...]]:
    """The commands that follow a change of this key on its connection; none for NOTHING."""
    if not awaits:
        return []
    wait_ms = int(settings.replica_timeout_s * 1000)
    commands: list[tuple[bytes | str | int, ...]] = [
        ("SET", touch_key(key), b"1", "PX", TOUCH_MS),
    ]
    if Awaits.DISK in awaits:
        commands.append(("WAITAOF", 1, 0, wait_ms))
    if Awaits.REPLICAS in awaits:
        commands.append(("WAIT", settings.replicas, wait_ms))
    return commands


def is_safe(awaits: Awaits, told: Sequence[Any], replicas: int) -> bool:
    """Do the answers to `following` say that enough disks and replicas have it?

    One that is an error says nothing of the kind.
    """
    if any(isinstance(answer, Exception) for answer in told):
        return False
    answers = iter(told[1:])
    on_disk = Awaits.DISK not in awaits or int(next(answers)[0]) >= 1
    return on_disk and (Awaits.REPLICAS not in awaits or int(next(answers)) >= replicas)


def doubted(error: Exception) -> Exception:
    """The refusal of what was sent before, unanswered: it may have been carried out then.

    A server that refuses anything at all does not say; the function itself has looked.
    """
    if isinstance(error, StoreDamaged | AuditFull | OutcomeUnknown):
        return error
    return OutcomeUnknown(f"{error}; {DOUBT}")


def unsent(error: Exception) -> Exception:
    """The error for a change that was not sent, because of what became of another one."""
    if not isinstance(error, StoreUnavailable):
        return error
    why = str(error).removesuffix(f"; {UNSENT}").removesuffix(f"; {DOUBT}")
    return StoreUnavailable(f"{why}; {UNSENT}")
