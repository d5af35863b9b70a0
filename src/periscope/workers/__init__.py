"""What must happen without being asked for: promotion, waking, expiry, the archive."""

from periscope.workers.archiving import ArchiveStats, ArchiveWriter
from periscope.workers.clock import ClockPause, accept_clock, read_pause
from periscope.workers.expiry import ExpiryWorker
from periscope.workers.promotion import PromotionWorker
from periscope.workers.snooze import SnoozeWorker
from periscope.workers.status import State, WorkerStatus
from periscope.workers.supervisor import Supervisor
from periscope.workers.worker import Worker

__all__ = [
    "ArchiveStats",
    "ArchiveWriter",
    "ClockPause",
    "ExpiryWorker",
    "PromotionWorker",
    "SnoozeWorker",
    "State",
    "Supervisor",
    "Worker",
    "WorkerStatus",
    "accept_clock",
    "read_pause",
]
