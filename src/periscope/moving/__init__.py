"""Repartition and rebuild: the whole database copied into other keys, which then take its place.

state      the note on a move: what it makes, and how far it has come
side       a server that is reached without opening a database
calls      typed calls of 80_move.lua and 82_adopt.lua
fences     whose a fence is, and how it is lifted
reading    what a partition holds, step by step
copying    from the partitions of the source to those of the copy
proving    is the copy what the source is?
settling   what is between store and archive
mover      one run of a move
moves      `repartition`, `rebuild`, `abort`
"""

from periscope.moving.moves import Moved, abort, rebuild, repartition
from periscope.moving.side import archive_place

__all__ = ["Moved", "abort", "archive_place", "rebuild", "repartition"]
