"""The embedded server: one Valkey for one data directory, shared by all who use it.

embedded    what others call: join, leave, status, stop, repair
home        the data directory and the socket's path
locks       who is there: the kernel frees the locks of whoever is killed
life        starting and stopping, one at a time
process     the server's settings, spawning it, asking it, signalling it
damage      why it did not start, and the repair
"""

from periscope.server.embedded import (
    EmbeddedServer,
    ServerStatus,
    repair,
    server_status,
    stop_server,
)

__all__ = ["EmbeddedServer", "ServerStatus", "repair", "server_status", "stop_server"]
