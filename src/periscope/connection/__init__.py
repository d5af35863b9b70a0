"""The one room that knows how the servers are reached, which of them, and what one must be."""

from periscope.connection.connections import Connections, Ear
from periscope.connection.explain import LOST
from periscope.connection.fitness import Capacity, ServerFacts, Writable
from periscope.connection.node import Node
from periscope.connection.pool import honour

__all__ = [
    "LOST",
    "RECONNECT_PAUSE_S",
    "Capacity",
    "Connections",
    "Ear",
    "Node",
    "ServerFacts",
    "Writable",
    "honour",
]

RECONNECT_PAUSE_S = 0.05
