"""The one room that knows how the servers are reached, which of them, and what one must be."""

from periscope.connection.change import Change
from periscope.connection.connections import Connections
from periscope.connection.ear import Ear
from periscope.connection.explain import LOST
from periscope.connection.fitness import Capacity, ServerFacts, Writable
from periscope.connection.node import Node
from periscope.connection.pool import CLOSED, honour
from periscope.connection.wires import reply_on

__all__ = [
    "CLOSED",
    "LOST",
    "RECONNECT_PAUSE_S",
    "Capacity",
    "Change",
    "Connections",
    "Ear",
    "Node",
    "ServerFacts",
    "Writable",
    "honour",
    "reply_on",
]

RECONNECT_PAUSE_S = 0.05
