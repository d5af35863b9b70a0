"""How the service stands."""

from __future__ import annotations

from typing import Literal

import msgspec


class Standing(msgspec.Struct, frozen=True):
    """That the process lives, or that it can serve; what cannot is told as a problem."""

    status: Literal["alive", "ready"]
