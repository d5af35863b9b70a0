"""What the lock files promise."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from periscope.server.locks import LockFile


def test_two_opens_exclude_each_other_even_in_one_process(tmp_path: Path) -> None:
    first, second = LockFile(tmp_path / "lock"), LockFile(tmp_path / "lock")
    assert first.try_shared()
    assert second.try_shared()
    assert not first.try_exclusive()
    second.close()
    assert first.try_exclusive()
    first.close()


def test_closing_is_unlocking_and_can_be_repeated(tmp_path: Path) -> None:
    first, second = LockFile(tmp_path / "lock"), LockFile(tmp_path / "lock")
    assert first.try_exclusive()
    assert not second.is_free()
    first.close()
    first.close()
    assert second.is_free()
    second.close()


def test_a_fork_that_closes_does_not_unlock_its_parent(tmp_path: Path) -> None:
    mine = LockFile(tmp_path / "lock")
    assert mine.try_exclusive()
    child = os.fork()
    if not child:
        mine.close()
        os._exit(0)
    os.waitpid(child, 0)
    other = LockFile(tmp_path / "lock")
    assert not other.is_free()
    mine.close()
    other.close()


def test_a_fork_does_not_keep_the_lock_of_a_parent_that_closed(tmp_path: Path) -> None:
    mine = LockFile(tmp_path / "lock")
    assert mine.try_exclusive()
    child = os.fork()
    if not child:
        signal.pause()
    mine.close()
    other = LockFile(tmp_path / "lock")
    assert other.is_free()
    other.close()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_file_knows_whether_its_path_still_leads_to_it(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "lock")
    assert lock.is_current()
    (tmp_path / "lock").rename(tmp_path / "elsewhere")
    assert not lock.is_current()
    assert not lock.is_deleted()
    (tmp_path / "elsewhere").unlink()
    (tmp_path / "lock").touch()
    assert not lock.is_current()
    assert lock.is_deleted()
    lock.close()
