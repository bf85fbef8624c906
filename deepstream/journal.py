"""The outbox on disk: SQLite with a write-ahead log, one file, one run at a time."""

import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ulid import ULID

from deepstream.lanes import OVERHEAD_BYTES, Entry, Lane
from ropewatch.wire import Message

FORMAT: Final = 1
WAL_MAX_BYTES: Final = 16 * 1024 * 1024
ANSWERS_MAX: Final = 1000
# What a disk, a file that is none of ours and a file that is damaged raise: the last two.
UNUSABLE: Final = (sqlite3.Error, OSError, LookupError, ValueError)

_TABLES: Final = f"""
CREATE TABLE message (
    number INTEGER PRIMARY KEY,
    lane TEXT NOT NULL,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    expiry_s INTEGER,
    content_type TEXT NOT NULL,
    queued_unix_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE open_incident (
    incident_id TEXT PRIMARY KEY,
    last_message BLOB NOT NULL
) STRICT;
CREATE TABLE boot (boot_id TEXT PRIMARY KEY) STRICT;
PRAGMA user_version = {FORMAT};
"""
# Younger than the format: an earlier ropewatch passes over it.
_ANSWERS: Final = """
CREATE TABLE IF NOT EXISTS answered (
    number INTEGER PRIMARY KEY,
    sender TEXT NOT NULL,
    request_id TEXT NOT NULL,
    answer BLOB NOT NULL,
    UNIQUE (sender, request_id)
) STRICT
"""


@dataclass(slots=True)
class Batch:
    """What the disk does not know yet; a later word about the same thing replaces the earlier.

    Attributes:
        inserts: messages by number.
        deletes: numbers of messages that are delivered or dropped.
        incidents: newest payload of each open incident, None for one that has ended.
        answers: what was answered, by sender and request id.
    """

    inserts: dict[int, Entry] = field(default_factory=dict)
    deletes: set[int] = field(default_factory=set)
    incidents: dict[str, bytes | None] = field(default_factory=dict)
    answers: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.inserts or self.deletes or self.incidents or self.answers)

    def insert(self, entry: Entry) -> None:
        """Keep a message."""
        self.inserts[entry.number] = entry

    def delete(self, number: int) -> None:
        """Forget a message."""
        if self.inserts.pop(number, None) is None:
            self.deletes.add(number)

    def then(self, later: "Batch") -> "Batch":
        """Return this batch with a later one on top."""
        self.inserts |= later.inserts
        for number in later.deletes:
            self.delete(number)
        self.incidents |= later.incidents
        self.answers |= later.answers
        return self


@dataclass(frozen=True, slots=True)
class Left:
    """What an earlier run has left.

    Attributes:
        entries: messages that the broker does not have, oldest first, payloads on disk only.
        incidents: payload of the newest message about each incident that is still open.
        answers: what was answered, by sender and request id, oldest first.
    """

    entries: list[Entry]
    incidents: dict[str, bytes]
    answers: dict[tuple[str, str], bytes]


class Journal:
    """One database; every method may raise one of `UNUSABLE`.

    Args:
        path: the file; it is made when it does not exist.
        check: read all of it, and raise when it is not sound.
        busy_timeout_s: wait that long for another program to let go of it.
    """

    def __init__(self, path: Path, *, check: bool, busy_timeout_s: float) -> None:
        self._files = (path, path.with_name(f"{path.name}-wal"))
        self._seen: list[tuple[int, int]] = []
        self._connection = sqlite3.connect(
            path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        # A damaged text is a `ValueError` then, not an error such as a full disk has.
        self._connection.text_factory = bytes.decode
        try:
            self._prepare(check=check)
        except BaseException:
            self._connection.close()
            raise
        self._durable = False

    def _prepare(self, *, check: bool) -> None:
        # Exclusive: a second run with the same folder gets "locked", and no memory is shared.
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA journal_size_limit = {WAL_MAX_BYTES}")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        tables = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if check:
            # Not quick_check: an incident that its index has lost would be ended twice.
            (verdict,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
            if "unable to get" in verdict or "failed to get" in verdict:
                raise sqlite3.OperationalError(verdict)
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
        if found != FORMAT and (found or tables):
            raise sqlite3.DatabaseError(f"format {found}, this ropewatch knows {FORMAT}")
        if not found:
            self._connection.executescript(f"BEGIN IMMEDIATE;{_TABLES}COMMIT;")
        self._connection.execute(_ANSWERS)

    def last_boot(self) -> str | None:
        """Return the boot id that sorts last of those that were kept."""
        (boot_id,) = self._connection.execute("SELECT max(boot_id) FROM boot").fetchone()
        return None if boot_id is None else str(ULID.from_str(boot_id))

    def keep_boot(self, boot_id: str) -> None:
        """Keep this run's id, for the next one to sort after."""
        with self._transaction(durable=True):
            self._connection.execute("DELETE FROM boot WHERE boot_id < ?", (boot_id,))
            self._connection.execute("INSERT OR IGNORE INTO boot VALUES (?)", (boot_id,))
        self._seen = self._look()

    def left(self, *, now_s: float, unix_ns: int) -> Left:
        """Read what an earlier run has left.

        Args:
            now_s: monotonic time of now.
            unix_ns: wall time of now.
        """
        rows = self._connection.execute(
            "SELECT number, lane, topic, length(payload), qos, retain, expiry_s, content_type,"
            " queued_unix_ns FROM message ORDER BY number"
        ).fetchall()
        entries = []
        for number, lane, topic, size, qos, retain, expiry_s, content_type, queued in rows:
            message = Message(topic, b"", qos, bool(retain), expiry_s, content_type)
            waited_s = max(unix_ns - queued, 0) / 1e9
            entries.append(
                Entry(
                    number=number,
                    lane=Lane[lane],
                    message=message,
                    size_bytes=size + OVERHEAD_BYTES,
                    queued_s=now_s - waited_s,
                    queued_unix_ns=queued,
                    earlier_run=True,
                    in_memory=False,
                )
            )
        incidents = self._connection.execute("SELECT incident_id, last_message FROM open_incident")
        answers = self._connection.execute(
            "SELECT sender, request_id, answer FROM answered ORDER BY number"
        )
        return Left(
            entries,
            dict(incidents.fetchall()),
            {(sender, request_id): answer for sender, request_id, answer in answers},
        )

    def write(self, batch: Batch, *, durable: bool) -> None:
        """Write a batch as a whole or not at all.

        Args:
            batch: may repeat what is written already.
            durable: return only when it would survive a power cut, with all before it.
        """
        # A file that was removed while it was open takes everything, and gives nothing back.
        if self._look() != self._seen:
            raise FileNotFoundError("replaced by another file while it was in use")
        with self._transaction(durable=durable):
            self._each(
                "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(entry) for entry in batch.inserts.values()],
            )
            self._each(
                "DELETE FROM message WHERE number = ?", [(number,) for number in batch.deletes]
            )
            self._each(
                "INSERT OR REPLACE INTO open_incident VALUES (?, ?)",
                [(name, last) for name, last in batch.incidents.items() if last is not None],
            )
            self._each(
                "DELETE FROM open_incident WHERE incident_id = ?",
                [(name,) for name, last in batch.incidents.items() if last is None],
            )
            self._each(
                "INSERT OR REPLACE INTO answered (sender, request_id, answer) VALUES (?, ?, ?)",
                [(*key, answer) for key, answer in batch.answers.items()],
            )
            if batch.answers:
                self._connection.execute(
                    "DELETE FROM answered WHERE number <= (SELECT max(number) FROM answered) - ?",
                    (ANSWERS_MAX,),
                )

    def payload(self, number: int) -> bytes | None:
        """Read the payload of a message; None if it is not here."""
        row = self._connection.execute(
            "SELECT payload FROM message WHERE number = ?", (number,)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def close(self) -> None:
        """Close the file; a disk that fails here has failed before."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def _look(self) -> list[tuple[int, int]]:
        """Return which files are there under our names."""
        found = [file.stat() for file in self._files]
        return [(each.st_dev, each.st_ino) for each in found]

    def _each(self, statement: str, rows: list[tuple[object, ...]]) -> None:
        if rows:
            self._connection.executemany(statement, rows)

    def _transaction(self, *, durable: bool) -> "_Transaction":
        if durable != self._durable:
            # In a write-ahead log NORMAL syncs at checkpoints only, FULL at each commit.
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        return _Transaction(self._connection)


class _Transaction:
    """Commits at the end of a `with` block, or takes everything back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def new_boot_id(unix_ns: int, *, after: str | None) -> str:
    """Return a ULID that sorts after another one, also when the clock has gone back."""
    now_ms = unix_ns // 1_000_000
    if after is not None:
        now_ms = max(now_ms, ULID.from_str(after).milliseconds + 1)
    return str(ULID.from_timestamp(now_ms))


def is_corrupt(error: BaseException) -> bool:
    """Say whether the database itself seems broken, rather than its disk full or read-only."""
    # sqlite_errorcode is there from Python 3.11 on; CORRUPT and NOTADB are the plain class.
    plain = type(error) is sqlite3.DatabaseError
    return plain or isinstance(error, (LookupError, ValueError)) or "no such" in str(error)


def _row(entry: Entry) -> tuple[object, ...]:
    message = entry.message
    return (
        entry.number,
        entry.lane.name,
        message.topic,
        message.payload,
        message.qos,
        message.retain,
        message.expiry_s,
        message.content_type,
        entry.queued_unix_ns,
    )
