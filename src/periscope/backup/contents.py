"""A backup file looked through, record by record, before anything of it is restored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from periscope.archive.schema import SCHEMA_VERSION
from periscope.backup.problem import BackupError
from periscope.backup.progress import Progress
from periscope.backup.reader import BackupReader
from periscope.backup.records import VIEWS_FORMAT, ArchiveRow, End, Head, Key, Record
from periscope.console_keys import console_keys
from periscope.feed_keys import feed_keys
from periscope.functions import LEDGER_FIELDS
from periscope.keys import Keyspace, control_key, noise_key
from periscope.settings import Settings

LEDGER_NAMES = frozenset((*LEDGER_FIELDS, "level_1", "level_2", "level_3"))


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a file; `control` is the key that makes a database of the others."""

    head: Head
    control: Key
    end: End
    keys: int
    rows: int


def look_through(reader: BackupReader, settings: Settings, progress: Progress) -> Contents:
    """Check the file from its first byte to its last, and that it is of this namespace.

    Raises:
        BackupError: it is damaged, or of a newer version, or of another database.
    """
    progress.begin("checksum", "bytes", reader.size)
    promised = reader.verify(progress)
    records = reader.records()
    head = next(records, None)
    if not isinstance(head, Head):
        raise reader.damaged()
    _check_head(reader, head, settings)
    progress.begin("contents", "records", promised)
    contents = _Looking(reader, head, progress).over(records)
    if contents.keys + contents.rows + 4 != promised:  # the head, the archive's frame, the end
        raise reader.damaged()
    return contents


def _check_head(reader: BackupReader, head: Head, settings: Settings) -> None:
    if head.namespace != settings.namespace:
        raise BackupError(
            f"{reader.path} is a backup of namespace {head.namespace!r}, not of "
            f"{settings.namespace!r}; give the setting namespace as it was"
        )
    if head.record_format > VIEWS_FORMAT:
        raise BackupError(
            f"{reader.path} was written by a newer Periscope ({head.program}); update this program"
        )
    if settings.partitions not in (0, head.partitions):
        raise BackupError(
            f"{reader.path} has {head.partitions} partitions, the setting partitions says "
            f"{settings.partitions}; leave the setting out"
        )
    if not 1 <= head.partitions <= 1024:
        raise reader.damaged()


class _Looking:
    """Goes over the records once, and over their order."""

    def __init__(self, reader: BackupReader, head: Head, progress: Progress) -> None:
        self._reader = reader
        self._head = head
        self._progress = progress
        keyspace = Keyspace.of(head.namespace, head.partitions, head.generation)
        self._tags = frozenset(keys.tag for keys in keyspace.partitions)
        self._control = control_key(head.namespace)
        name = head.namespace
        self._aside = {*feed_keys(name).own, noise_key(name), console_keys(name).views}
        self._keys = 0

    def over(self, records: Iterator[Record]) -> Contents:
        """Check keys, rows, the control key and the end, in this order."""
        record = self._pass_keys(records)
        rows = self._pass_rows(record, records)
        control, end = next(records, None), next(records, None)
        if not isinstance(control, Key) or control.name != self._control:
            raise self._reader.damaged()
        if not isinstance(end, End) or set(end.ledger) != LEDGER_NAMES:
            raise self._reader.damaged()
        if next(records, None) is not None:
            raise self._reader.damaged()
        return Contents(self._head, control, end, self._keys + 1, rows)

    def _pass_keys(self, records: Iterator[Record]) -> Record | None:
        """Pass the partitions' keys, each of this namespace; return what comes after them."""
        for record in records:
            if not isinstance(record, Key):
                return record
            tag, brace, rest = record.name.partition(b"}")
            is_known = tag + brace in self._tags and rest.startswith(b":")
            if not is_known and record.name not in self._aside:
                raise self._reader.damaged()
            self._keys += 1
            self._progress.done += 1
        return None

    def _pass_rows(self, first: Record | None, records: Iterator[Record]) -> int:
        """Pass the archive's rows up to their end; return how many they are."""
        if not isinstance(first, ArchiveRow) or first.row.get("table") != "archive":
            raise self._reader.damaged()
        schema = first.row.get("schema")
        if not isinstance(schema, int) or schema > SCHEMA_VERSION:
            raise BackupError(
                f"{self._reader.path} holds an archive of a newer Periscope "
                f"({self._head.program}); update this program"
            )
        for count, record in enumerate(records):
            if not isinstance(record, ArchiveRow):
                break
            if record.row.get("table") == "end":
                return count
            self._progress.done += 1
        raise self._reader.damaged()
