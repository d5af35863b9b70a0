"""The one room that knows how the servers are reached, which of them, and what one must be."""

from periscope.connection.connections import Connections
from periscope.connection.explain import LOST
from periscope.connection.fitness import ServerFacts
from periscope.connection.node import Node
from periscope.connection.pool import honour
from periscope.connection.wires import reply_on

__all__ = [
    "LOST",
    "RECONNECT_PAUSE_S",
    "Connections",
    "Node",
    "ServerFacts",
    "honour",
    "reply_on",
]

RECONNECT_PAUSE_S = 0.05
