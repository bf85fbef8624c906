"""One run for each `state_dir`: a lock that the kernel gives up with its process."""

import fcntl
import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ropewatch.errors import SettingsError

log = logging.getLogger("ropewatch.app")

LOCK_NAME: Final = "run.lock"
# A run that is just ending, killed by its service manager for one, is gone by then.
ENDING_S: Final = 5.0
LOOK_EVERY_S: Final = 0.1
HOLDER_MAX_BYTES: Final = 200


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold `folder` for this run; without a lock where the disk gives none.

    A file that a run has left locks nothing: the lock is the kernel's, and gone with its process.

    Raises:
        SettingsError: another run holds it.
    """
    lock = _open(folder)
    if lock is None:
        yield
        return
    try:
        _wait_for(lock, folder / LOCK_NAME)
        yield
    finally:
        os.close(lock)


def _open(folder: Path) -> int | None:
    """Open the lock file; None where there can be none, and the outbox says what is wrong."""
    path = folder / LOCK_NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        # A disk that cannot be written may still have the file, and locks it all the same.
        with suppress(OSError):
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        _not_locked(path, error)
        return None


def _wait_for(lock: int, path: Path) -> None:
    until_s = time.monotonic() + ENDING_S
    is_told = False
    while not _take(lock, path):
        holder = _holder(lock)
        if time.monotonic() >= until_s:
            raise SettingsError(
                f"state_dir: {path}: held by another run of ropewatch ({holder}), want one run "
                "for each state_dir; stop that one, or give this box a state_dir and a name of "
                "its own"
            )
        if not is_told:
            log.warning("waiting for another run to end file=%s holder=%s", path, holder)
            is_told = True
        time.sleep(LOOK_EVERY_S)


def _take(lock: int, path: Path) -> bool:
    """Take the lock; False while another run has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # A file system without locks.
        _not_locked(path, error)
    else:
        _sign(lock)
    return True


def _not_locked(path: Path, error: OSError) -> None:
    log.warning("not locked, a second run would not be noticed file=%s error=%s", path, error)


def _holder(lock: int) -> str:
    with suppress(OSError):
        return os.pread(lock, HOLDER_MAX_BYTES, 0).decode(errors="replace").strip() or "unknown"
    return "unknown"


def _sign(lock: int) -> None:
    """Say who holds it, for people; a disk that takes no word of it still holds the lock."""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"pid {os.getpid()} on {platform.node()} since {since}\n".encode(), 0)
