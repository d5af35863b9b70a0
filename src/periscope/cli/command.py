"""What the table of commands says of each, and the groups that help shows them in."""

from __future__ import annotations

from typing import NamedTuple

from cyclopts import Group

WORK = Group("Take in and look", sort_key=0)
TRIAGE = Group("Work on threats", sort_key=1)
MEMORY = Group("Memory", sort_key=2)
CARE = Group("Upkeep", sort_key=3)
ABOUT = Group("About", sort_key=4)


class Command(NamedTuple):
    """One command: its words, where it lives, what its help says, and examples that run."""

    name: str
    place: str
    group: Group
    summary: str
    more: str
    examples: tuple[str, ...]
