"""A program of its own: `python -m tests.access.child URL VERB NAME`.

`first` asks for the first key and says whether it got one; `guess` tries to sign in 20 times at
once and says how often it was told that the password is wrong.
"""

from __future__ import annotations

import asyncio
import sys

from periscope import LockedOut, Periscope, Unauthenticated
from periscope.access import Access


async def main(url: str, verb: str, name: str) -> None:
    async with Periscope.open(url) as p, Access(p) as access:
        print("ready", flush=True)  # noqa: T201
        sys.stdin.readline()
        if verb == "first":
            print("none" if await access.first_key() is None else "one")  # noqa: T201
            return
        tries = (access.sign_in(name, f"wrong password {n}") for n in range(20))
        found = await asyncio.gather(*tries, return_exceptions=True)
        assert all(isinstance(one, Unauthenticated | LockedOut) for one in found), found
        print(sum(type(one) is Unauthenticated for one in found))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
