"""Backup and restore: one file with every key of a namespace and every row of its archive.

problem     what goes wrong with a backup, in one line
progress    how far it has come
records     what the file consists of
writer      the file while it is written: whole at its end, or not there
reader      the file as it is read: nothing of it is used before all of it was checked
moment      how a partition stands, so that a copy can be known to be of one moment
taking      `backup`
contents    a file looked through, record by record
restoring   `restore`
"""

from periscope.backup.problem import BackupError
from periscope.backup.progress import Progress
from periscope.backup.reader import BackupReader
from periscope.backup.restoring import Restored, restore
from periscope.backup.taking import Taken, backup

__all__ = ["BackupError", "BackupReader", "Progress", "Restored", "Taken", "backup", "restore"]
