"""What is wrong with a server that does not start, in one line; and the repair of its data."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from periscope.errors import StoreDamaged, StoreError, StoreFull, StoreUnavailable, StoreUnsuitable
from periscope.server.home import MIN_FREE_BYTES, Home

LOG_TAIL_BYTES = 64 * 2**10
WORDS_MAX = 200
ARGUMENTS_MAX = 2**20  # of one command; Periscope's own have a few thousand at most
LINE_MAX_BYTES = 32

_REPAIR = "run `periscope server repair`, which keeps a copy, or restore a backup"
_ROOM = "free some disk space"
_CAUSES: tuple[tuple[str, type[StoreError], str], ...] = (
    ("No space left on device", StoreFull, _ROOM),
    ("Disk quota exceeded", StoreFull, _ROOM),
    ("Permission denied", StoreUnsuitable, "its files must belong to you"),
    ("Read-only file system", StoreUnsuitable, "choose a directory that can be written"),
    ("Can't handle RDB format version", StoreUnsuitable, "a newer server wrote it: update"),
    ("Out Of Memory", StoreUnavailable, "the machine has too little free memory"),
    ("append only file", StoreDamaged, _REPAIR),
    ("AOF", StoreDamaged, _REPAIR),
    ("RDB", StoreDamaged, _REPAIR),
    ("rdb file reading failure", StoreDamaged, _REPAIR),
)


# ---- why it did not start -----------------------------------------------------------------------


def cause(home: Home, log_start: int) -> StoreError:
    """Return in one line why the server ended during its start, as far as its log tells."""
    lines = log_lines(home, log_start)
    words = last_words(lines)
    for mark, kind, remedy in _CAUSES:
        if any(mark in line for line in lines if _is_warning(line)):
            return kind(f"the embedded server in {home.data_dir} did not start ({words}): {remedy}")
    return StoreUnavailable(
        f"the embedded server in {home.data_dir} ended during its start "
        f"({words}); its log is {home.log_path}"
    )


def refuse_headless(home: Home) -> None:
    """Refuse data files without their manifest.

    The server would take the directory for a new one, and begin by truncating what is there. Only
    the first start of all, when it is killed, leaves files without a manifest: an empty snapshot
    and an empty log, both with the number 1.

    Raises:
        StoreDamaged: there are other files, or the log is not empty.
    """
    if home.manifest_path.exists() or not home.aof_dir.is_dir():
        return
    for file in home.aof_dir.glob("appendonly.aof.*"):
        newborn = file.name == "appendonly.aof.1.base.rdb" or (
            file.name == "appendonly.aof.1.incr.aof" and file.stat().st_size == 0
        )
        if not newborn:
            raise StoreDamaged(
                f"{home.manifest_path} is missing, so the data beside it cannot be read: put it "
                f"back from a backup, with the files that belong to it"
            )


def dropped_tail(home: Home, log_start: int) -> str | None:
    """Return what the server said about an incomplete last write that it dropped, if it did."""
    said = [line for line in log_lines(home, log_start) if "Truncating the AOF" in line]
    return last_words(said).strip("! ") if said else None


def had_short_write(home: Home) -> bool:
    """Whether the disk was full for a write of the server that was started last."""
    short = False
    with home.log_path.open("rb") as log:
        for line in log:
            if b"Valkey is starting" in line:
                short = False
            short = short or b"Short write while writing to the AOF" in line
    return short


def log_lines(home: Home, log_start: int) -> list[str]:
    """Return the lines of the log from `log_start` on, the last 64 KiB of them at most."""
    with home.log_path.open("rb") as log:
        end = log.seek(0, os.SEEK_END)
        log.seek(max(log_start, end - LOG_TAIL_BYTES))
        return log.read().decode(errors="replace").splitlines()


def last_words(lines: list[str]) -> str:
    """Return the last line that matters, without process id and date, in 200 characters at most.

    Without the arguments of commands too, which are threats' data, and no business of a log.
    """
    spoken = [line for line in lines if line.strip()]
    warnings = [line.split(" # ", 1)[1] for line in spoken if _is_warning(line)]
    words = (warnings or spoken or ["it left no message"])[-1].strip()
    return words.partition(", with args")[0].partition(": make a backup")[0][:WORDS_MAX]


def _is_warning(line: str) -> bool:
    return " # " in line and "Memory overcommit" not in line


# ---- holes --------------------------------------------------------------------------------------


def close_holes(home: Home) -> int:
    """Remove runs of zero bytes between the commands of the logs; return how many bytes.

    Valkey 9.1.2 leaves them: when the disk is full and it runs `fast`, it cuts a half-written
    command off the log again, but goes on writing where that ended. No command begins with a zero
    byte, so nothing is lost. Whole or not at all for each log; the server must not run.

    Raises:
        StoreDamaged: the manifest is missing or cannot be read.
        StoreFull: there is no room for a second copy of the log.
    """
    closed = 0
    for log in _listed_logs(home):
        holes = _holes(log)
        if holes:
            _require_copy_room(home, log.stat().st_size)
            _write_without(log, holes)
            closed += sum(end - start for start, end in holes)
    return closed


def _holes(log: Path) -> list[tuple[int, int]]:
    holes: list[tuple[int, int]] = []
    position = 0
    with log.open("rb") as file:
        while True:
            for _name, end in _commands(file, log.stat().st_size):
                position = end
            file.seek(position)
            end = position + _zeros(file)
            if end == position:
                return holes
            holes.append((position, end))
            position = file.seek(end)


def _zeros(file: BinaryIO) -> int:
    count = 0
    while block := file.read(65_536):
        rest = len(block.lstrip(b"\0"))
        count += len(block) - rest
        if rest:
            break
    return count


def _write_without(log: Path, holes: list[tuple[int, int]]) -> None:
    fresh = log.with_name(f"temp-{log.name}")
    with log.open("rb") as old, fresh.open("wb") as new:
        for start, end in holes:
            _copy_bytes(old, new, start - old.tell())
            old.seek(end)
        shutil.copyfileobj(old, new)
        new.flush()
        os.fsync(new.fileno())
    fresh.replace(log)


def _copy_bytes(old: BinaryIO, new: BinaryIO, count: int) -> None:
    while count:
        block = old.read(min(count, 2**20))
        new.write(block)
        count -= len(block)


# ---- repair -------------------------------------------------------------------------------------


def cut_damage(home: Home, known: frozenset[bytes]) -> str:
    """Bring the log of changes back to the last state that can be read; say what was done.

    Changes are written as transactions, in order. From the first that cannot be read, everything
    is cut off: what stays is the state of one moment, whole. A copy of the directory is made
    first. The server must not run. Running it again finds nothing more to do.

    Skipping the damage and reading on would keep more, but where a damaged transaction ends can
    only be guessed, and threats' own text could be made to look like a transaction.

    Raises:
        StoreDamaged: the manifest is missing or cannot be read.
        StoreFull: there is no room for the copy.
    """
    close_holes(home)
    logs = _listed_logs(home)
    for position, log in enumerate(logs):
        keep, size = good_prefix(log, known), log.stat().st_size
        if keep < size:
            return _cut(home, log, keep, logs[position + 1 :])
    return (
        f"nothing to repair: every change logged in {home.aof_dir} can be read; if the server "
        f"does not start, its snapshot is damaged: restore a backup"
    )


def good_prefix(log: Path, known: frozenset[bytes]) -> int:
    """Return how many bytes of a log can be read, up to the end of a whole transaction."""
    good, inside = 0, False
    with log.open("rb") as file:
        for name, end in _commands(file, log.stat().st_size):
            misplaced = (name == b"MULTI" and inside) or (name == b"EXEC" and not inside)
            if misplaced or name not in known:
                break
            inside = name == b"MULTI" or (inside and name != b"EXEC")
            if not inside:
                good = end
    return good


def _commands(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """Yield the name of each command, and where it ends; stop at the first that is malformed."""
    while (count := _number(file, b"*")) is not None and 0 < count <= ARGUMENTS_MAX:
        name = _word(file, size)
        if name is None or any(_word(file, size) is None for _ in range(count - 1)):
            return
        yield name.upper(), file.tell()


def _word(file: BinaryIO, size: int) -> bytes | None:
    length = _number(file, b"$")
    if length is None or length > size:
        return None
    word = file.read(length + 2)
    return word[:-2] if len(word) == length + 2 and word.endswith(b"\r\n") else None


def _number(file: BinaryIO, mark: bytes) -> int | None:
    found = re.fullmatch(rb"([*$])(\d+)\r\n", file.readline(LINE_MAX_BYTES))
    return int(found[2]) if found and found[1] == mark else None


def _listed_logs(home: Home) -> list[Path]:
    """Return the logs of changes in the order in which they are read."""
    try:
        lines = home.manifest_path.read_text(errors="replace").splitlines()
    except OSError as exc:
        raise StoreDamaged(f"cannot read {home.manifest_path}: {exc.strerror}") from exc
    entries = [re.fullmatch(r"file (\S+) seq \d+ type ([bih])( .*)?", line) for line in lines]
    if not entries or not all(entries):
        raise StoreDamaged(f"{home.manifest_path} is damaged: restore it from a backup")
    logs = [home.aof_dir / entry[1] for entry in entries if entry and entry[2] == "i"]
    for log in logs:
        if not log.is_file():
            raise StoreDamaged(f"{log} is missing: restore a backup")
    return logs


def _cut(home: Home, log: Path, keep: int, later: list[Path]) -> str:
    copy = _copy(home)
    lost = log.stat().st_size - keep + sum(file.stat().st_size for file in later)
    # The last log first: a repair that is interrupted leaves a gap nowhere but at the end, and
    # finds the damage again. Logs are emptied, not removed: the manifest lists them.
    for file, size in [*((file, 0) for file in reversed(later)), (log, keep)]:
        with file.open("r+b") as opened:
            opened.truncate(size)
            os.fsync(opened.fileno())
    return (
        f"cut off {lost:,} bytes of changes from byte {keep:,} of {log.name} on; "
        f"the directory as it was is kept in {copy}"
    )


def _copy(home: Home) -> Path:
    _require_copy_room(home, sum(file.stat().st_size for file in home.aof_dir.iterdir()))
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return Path(shutil.copytree(home.aof_dir, home.data_dir / f"appendonlydir.damaged-{stamp}"))


def _require_copy_room(home: Home, size: int) -> None:
    if home.free_bytes() < size + MIN_FREE_BYTES:
        raise StoreFull(
            f"{(size + MIN_FREE_BYTES) // 2**20} MiB must be free for {home.aof_dir}, "
            f"to keep a copy during its repair"
        )
