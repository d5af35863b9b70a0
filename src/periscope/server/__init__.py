"""The embedded server: one Valkey for one data directory, shared by all who use it.

embedded    what others call: join, leave, status, stop, repair
home        the data directory and the socket's path
locks       who is there: the kernel frees the locks of whoever is killed
life        starting and stopping, one at a time
process     the server's settings, spawning it, asking it, signalling it
damage      why it did not start, and the repair

cluster     a cluster of such servers, for trying things out: start_cluster, stop_cluster
cluster_plan, cluster_form    its directory; how single nodes become one cluster
"""

from periscope.server.cluster import (
    ClusterStatus,
    NodeStatus,
    Stopped,
    cluster_status,
    start_cluster,
    stop_cluster,
)
from periscope.server.embedded import (
    EmbeddedServer,
    ServerStatus,
    repair,
    server_status,
    stop_server,
)

__all__ = [
    "ClusterStatus",
    "EmbeddedServer",
    "NodeStatus",
    "ServerStatus",
    "Stopped",
    "cluster_status",
    "repair",
    "server_status",
    "start_cluster",
    "stop_cluster",
    "stop_server",
]
