"""One of many processes that write threats and ask for those of the others.

`python -m tests.membership.writer URL NAME IDS` says `ready`, waits for a line, then writes IDS new
threats. For each batch it says `A TIME FIRST LAST`: its threats FIRST to LAST were acknowledged at
TIME (ms). Lines `NAME TIME FIRST LAST` on standard input tell of the others' batches. Told `end`,
it checks everything once more, and says as JSON what it found.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass

from periscope import Periscope
from tests.membership.support import add, as_of, membership_of, settle

BATCH = 200
UNKNOWN = 1000  # ids that are asked for after each batch,
IN_THE_END = 100_000  # and at last: of so many a hundred may be false positives
HEARD_WITHIN_MS = 1000
OURS = -1


@dataclass
class Found:
    """What a process found; `wrong` must stay 0."""

    written: int = 0
    wrong: int = 0
    checked: int = 0
    unknown_asked: int = 0
    unknown_maybe: int = 0
    local_amid: int = 0
    local: int = 0
    asked: int = 0
    built: int = 0
    gaps: int = 0
    ids: int = 0


class Writer:
    """Writes, and checks what the filter says of its own threats and of the others'."""

    def __init__(self, p: Periscope, name: str, count: int) -> None:
        self.p, self.name, self.count = p, name, count
        self.members = membership_of(p)
        self.found = Found()
        self.told: deque[tuple[int, list[str]]] = deque()
        self.all_told: list[tuple[int, list[str]]] = []
        self.answered: list[tuple[int, int]] = []
        self.ended = asyncio.Event()

    async def write(self) -> None:
        for first in range(0, self.count, BATCH):
            last = min(first + BATCH, self.count)
            ids = ids_of(self.name, first, last)
            await add(self.p, ids)
            self.found.written += len(ids)
            self.check(ids, OURS)
            tell(f"A {now_ms()} {first} {last}")
            self.ask_unknown(first)
        tell("W")

    def check(self, ids: list[str], at_ms: int) -> None:
        """A local "no" must be of a moment before the acknowledgement; -1 for our own: never."""
        for one in ids:
            if self.members.is_absent(one) and as_of(self.p, one) > at_ms:
                self.found.wrong += 1
        self.found.checked += len(ids)

    def ask_unknown(self, number: int) -> None:
        """Ids that nobody has written: a "no" to each, now, from here."""
        first = number * UNKNOWN // BATCH
        unknown = [f"nobody-{self.name}-{one}" for one in range(first, first + UNKNOWN)]
        self.answered.append((now_ms(), sum(map(self.members.is_absent, unknown))))

    def ask_in_the_end(self) -> None:
        """The filter has all ids, and is as full as it was: what it is not sure of is too much."""
        unknown = [b"noone-%s-%d" % (self.name.encode(), one) for one in range(IN_THE_END)]
        self.found.unknown_asked = IN_THE_END
        self.found.unknown_maybe = IN_THE_END - len(self.members._filters[0].denied(unknown))

    def answered_amid(self) -> int:
        """How many ids were denied here between the first and the last batch of the others."""
        others = [at_ms for at_ms, _ in self.all_told]
        first, last = min(others, default=0), max(others, default=0)
        return sum(count for at_ms, count in self.answered if first < at_ms < last)

    async def listen(self) -> None:
        while True:
            line = await asyncio.to_thread(sys.stdin.readline)
            if not line or line == "end\n":
                self.ended.set()
                return
            name, at_ms, first, last = line.split()
            ids = ids_of(name, int(first), int(last))
            self.check(ids, int(at_ms))
            self.told.append((int(at_ms), ids))
            self.all_told.append((int(at_ms), ids))

    async def check_after_a_second(self) -> None:
        """What was acknowledged more than a second ago is denied by nobody."""
        while not self.ended.is_set() or self.told:
            while self.told and self.told[0][0] + HEARD_WITHIN_MS < now_ms():
                _, ids = self.told.popleft()
                self.found.wrong += sum(self.members.is_absent(one) for one in ids)
                self.found.checked += len(ids)
            await asyncio.sleep(0.02)

    async def run(self) -> None:
        await asyncio.gather(self.write(), self.listen(), self.check_after_a_second())
        await settle(self.p)
        for _, ids in self.all_told:
            self.found.wrong += sum(self.members.is_absent(one) for one in ids)
        own = ids_of(self.name, 0, self.count)
        self.found.wrong += sum(self.members.is_absent(one) for one in own)
        self.found.local_amid = self.answered_amid()
        self.ask_in_the_end()
        status = self.p.membership
        self.found.local, self.found.asked = status.local, status.asked
        self.found.built, self.found.gaps, self.found.ids = status.built, status.gaps, status.ids


def ids_of(name: str, first: int, last: int) -> list[str]:
    return [f"{name}-{number:08}" for number in range(first, last)]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201


async def main(url: str, name: str, count: str) -> None:
    async with Periscope.open(url) as p:
        await p.membership_ready()
        tell("ready")
        await asyncio.to_thread(sys.stdin.readline)
        writer = Writer(p, name, int(count))
        await writer.run()
        tell(json.dumps(asdict(writer.found)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
