"""Keeps the journal as long as the disk lets it, and tries again when the disk does not."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from deepstream.journal import (
    ANSWERS_MAX,
    UNUSABLE,
    Batch,
    Journal,
    Left,
    is_corrupt,
    new_boot_id,
)
from deepstream.lanes import Entry

log = logging.getLogger("ropewatch.outbox")

DISK_RETRY_S: Final = 10.0
BUSY_TIMEOUT_S: Final = 5.0


class Keeper:
    """Collects what the disk has to know, and writes it.

    Args:
        path: the database; its folder is made when it does not exist.
        clock: monotonic seconds.
        unix_ns: wall time.
        on_left: takes what an earlier run has left, as soon as the disk can be read.
        on_fresh: returns what a new database has to hold in the place of one that broke or went.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float],
        unix_ns: Callable[[], int],
        on_left: Callable[[Left], None],
        on_fresh: Callable[[], Batch],
    ) -> None:
        self.trouble: str | None = None
        self.databases_set_aside = 0
        self.saved_s = clock()
        self._path, self._clock, self._unix_ns = path, clock, unix_ns
        self._on_left, self._on_fresh = on_left, on_fresh
        self._journal: Journal | None = None
        self._left: Left | None = None
        self._was_open = False
        self._doubted = True
        self._due_s = 0.0
        self._unsaved = Batch()
        self._mutex = threading.Lock()
        # Held while the disk works, and never waited for with `_mutex` or a caller's lock held.
        self.disk = threading.RLock()
        self._boot_id: str | None = None
        try:
            self._open()
        except UNUSABLE as error:
            self._failed(error)

    @property
    def boot_id(self) -> str:
        """This run's id; sorts after those of all earlier runs that the disk knows."""
        if self._boot_id is None:
            self._boot_id = new_boot_id(self._unix_ns(), after=None)
        return self._boot_id

    @property
    def unsaved(self) -> int:
        """How many messages the disk does not know of, or not that they are gone."""
        with self._mutex:
            return len(self._unsaved.inserts) + len(self._unsaved.deletes)

    def insert(self, entry: Entry) -> None:
        """Keep a message from the next `save` on."""
        with self._mutex:
            self._unsaved.insert(entry)

    def delete(self, entry: Entry) -> None:
        """Forget a message from the next `save` on."""
        with self._mutex:
            self._unsaved.delete(entry.number)

    def incident(self, incident_id: str, last: bytes | None) -> None:
        """Keep the newest message about an open incident; None: it has ended."""
        with self._mutex:
            self._unsaved.incidents[incident_id] = last

    def answer(self, sender: str, request_id: str, answer: bytes) -> None:
        """Keep what was answered to a command; without a disk, the newest of them."""
        with self._mutex:
            answers = self._unsaved.answers
            answers.pop((sender, request_id), None)
            answers[sender, request_id] = answer
            if len(answers) > ANSWERS_MAX:
                del answers[next(iter(answers))]

    def save(self, *, durable: bool) -> None:
        """Write what is unsaved; keep it for the next time if that fails.

        Args:
            durable: return only when it would survive a power cut, unless the disk fails.
        """
        with self.disk:
            failed_before = self.trouble is not None
            if failed_before and self._clock() < self._due_s:
                return
            try:
                if self._journal is None or failed_before:
                    self._open()
                self._write(durable=durable or failed_before)
            except UNUSABLE as error:
                self._failed(error)
            else:
                if failed_before:
                    log.info("outbox is on disk again file=%s", self._path)
                self.trouble = None

    def payload(self, number: int) -> bytes | None:
        """Read a message back; None if it is not there, or cannot be read now."""
        with self.disk:
            if self._journal is None:
                return None
            try:
                return self._journal.payload(number)
            except UNUSABLE as error:
                self._failed(error)
                return None

    def close(self) -> None:
        """Write what is unsaved, and let go of the file."""
        with self.disk:
            self.save(durable=True)
            self._let_go()

    def _open(self) -> None:
        self._let_go()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._find_corrupt() is not None and (error := self._find_corrupt()) is not None:
            self._set_aside(error)
            self._read()
        assert self._journal is not None
        if self._boot_id is None:
            self._boot_id = new_boot_id(self._unix_ns(), after=self._journal.last_boot())
        elif self._was_open and self._journal.last_boot() != self._boot_id:
            fresh = self._on_fresh()
            with self._mutex:
                self._unsaved = fresh.then(self._unsaved)
        if self._left is not None:
            self._on_left(self._left)
        self._left, self._was_open, self._doubted = None, True, False
        self._journal.keep_boot(self._boot_id)

    def _read(self) -> None:
        """Open the database, and read what an earlier run has left if that is not known yet."""
        self._let_go()
        self._journal = Journal(
            self._path,
            check=self._doubted,
            # Only at the start is there time to wait for a run that is just ending.
            busy_timeout_s=BUSY_TIMEOUT_S if self.trouble is None else 0.0,
        )
        self._journal.last_boot()
        if not self._was_open:
            self._left = self._journal.left(now_s=self._clock(), unix_ns=self._unix_ns())

    def _find_corrupt(self) -> Exception | None:
        """Read the database; return what is wrong with it, which is to be asked twice.

        After a read that failed, SQLite calls a sound file malformed until it is opened anew.
        """
        try:
            self._read()
        except UNUSABLE as error:
            if not is_corrupt(error):
                raise
            self._doubted = True
            self._let_go()
            # Its traceback would hold on to the connection, and that to the file.
            return error.with_traceback(None)
        return None

    def _let_go(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _write(self, *, durable: bool) -> None:
        assert self._journal is not None
        with self._mutex:
            batch, self._unsaved = self._unsaved, Batch()
        self.saved_s = self._clock()
        try:
            if batch:
                self._journal.write(batch, durable=durable)
        except BaseException:
            with self._mutex:
                self._unsaved = batch.then(self._unsaved)
            raise

    def _failed(self, error: Exception) -> None:
        """Go on without the disk for some time; what it holds may still be readable."""
        text = f"{self._path}: {error}"
        if "locked" in text:
            text += " by another run or program, want a state_dir for each box alone"
        if text != self.trouble:
            log.error("outbox is in memory only error=%s", text)
        again_s = DISK_RETRY_S
        if is_corrupt(error):
            self._let_go()
            if self.trouble is None:
                again_s = 0.0
            self._doubted = True
        self.trouble, self._due_s = text, self._clock() + again_s

    def _set_aside(self, error: Exception) -> None:
        """Rename a broken database and its log, for somebody to look at.

        Raises:
            OSError: it cannot be renamed.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._unix_ns() / 1e9))
        goal = self._path.with_name(f"{self._path.name}.corrupt-{stamp}")
        count = 1
        while goal.exists():
            count += 1
            goal = goal.with_name(f"{self._path.name}.corrupt-{stamp}-{count}")
        self._path.rename(goal)
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                log_file = self._path.with_name(self._path.name + suffix)
                log_file.rename(goal.with_name(goal.name + suffix))
        self.databases_set_aside += 1
        log.error(
            "outbox is corrupt and set aside, what it held is not sent file=%s set_aside=%s "
            "error=%s",
            self._path,
            goal,
            error,
        )
