"""A consumer's database of incident messages: SQLite or PostgreSQL, the same tables in both.

Each message once, whoever of several consumers was given it; order and gaps come from the
sequence, by the views.
"""

import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from ropewatch.errors import StoreError
from ropewatch.load import redact
from ropewatch.sequencer import Gap, Incident

WAL_TRIES: Final = 100
WAL_PAUSE_S: Final = 0.1
SAID_MAX: Final = 500
COLUMNS: Final = (
    "site",
    "box",
    "boot_id",
    "sequence",
    "camera",
    "incident_id",
    "phase",
    "revision",
    "person",
    "state",
    "decided_at",
    "end_reason",
    "duration_s",
    "late",
    "received_at",
    "payload",
)
_TABLE: Final = """CREATE TABLE IF NOT EXISTS incident_message (
    site TEXT NOT NULL,
    box TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    camera TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    phase TEXT NOT NULL,
    revision BIGINT NOT NULL,
    person BIGINT NOT NULL,
    state TEXT NOT NULL,
    decided_at {time} NOT NULL,
    end_reason TEXT,
    duration_s DOUBLE PRECISION,
    late BOOLEAN NOT NULL,
    received_at {time} NOT NULL,
    payload {json} NOT NULL,
    PRIMARY KEY (site, box, boot_id, sequence)
)"""
_INDEX: Final = (
    "CREATE INDEX IF NOT EXISTS incident_message_of ON incident_message (incident_id, revision)"
)
_INCIDENTS: Final = """{view} incident AS
SELECT site, box, camera, incident_id,
    min(CASE WHEN phase = 'start' THEN decided_at END) AS started_at,
    max(CASE WHEN phase = 'end' THEN decided_at END) AS ended_at,
    max(end_reason) AS end_reason, max(duration_s) AS duration_s, count(*) AS messages
FROM incident_message GROUP BY site, box, camera, incident_id"""
_GAPS: Final = """{view} sequence_gap AS
SELECT site, box, boot_id, previous + 1 AS first_missing, sequence - 1 AS last_missing
FROM (
    SELECT site, box, boot_id, sequence,
        lag(sequence) OVER (PARTITION BY site, box, boot_id ORDER BY sequence) AS previous
    FROM incident_message
) AS numbered WHERE sequence > previous + 1"""


class UnfitError(ValueError):
    """The database can be written, and does not take this one message."""


class Rows(Protocol):
    """What a database answers."""

    rowcount: int

    def fetchall(self) -> list[Any]:
        """Return all rows."""


class Connection(Protocol):
    """What SQLite and PostgreSQL have in common."""

    def execute(self, query: Any, parameters: Any = ..., /) -> Any:
        """Run one statement."""

    def commit(self) -> None:
        """Keep what was done; what is not kept comes again from the broker."""

    def rollback(self) -> None:
        """Take back what was not kept."""

    def close(self) -> None:
        """End the connection."""


class Store:
    """Incident messages in one database.

    Args:
        connection: to it.
        mark: how its statements mark a parameter.
        where: what messages of errors call it.
        errors: the base of its errors.
        refusals: those of them that are about what is to be written, and would come again.
        fit: makes a payload such as the database takes.

    Attributes:
        unfit: how many messages it did not take.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        mark: str,
        where: str,
        errors: type[Exception],
        refusals: tuple[type[Exception], ...],
        fit: Callable[[str], str] = str,
    ) -> None:
        self.unfit = 0
        self._connection, self._where, self._errors = connection, where, errors
        self._refusals, self._fit = refusals, fit
        marks = ", ".join([mark] * len(COLUMNS))
        self._insert = (
            f"INSERT INTO incident_message ({', '.join(COLUMNS)}) VALUES ({marks}) "  # noqa: S608 - our own names
            "ON CONFLICT DO NOTHING"
        )

    def create(self, statements: Sequence[str]) -> None:
        """Make tables and views where they are missing.

        Raises:
            StoreError: it cannot be written.
        """
        self._run(lambda: [self._connection.execute(text) for text in statements])

    def add(self, incident: Incident, *, received_at: str) -> bool:
        """Keep a message; False when it is here already. It is on disk when this returns.

        Args:
            incident: the message.
            received_at: RFC 3339.

        Raises:
            UnfitError: it holds what the database does not take, now or later.
            StoreError: it cannot be written.
        """
        message, data = incident.message, incident.message.data
        row = (
            data.site,
            data.box,
            data.boot_id,
            data.sequence,
            data.camera,
            data.incident_id,
            data.phase.value,
            data.revision,
            data.person,
            data.state.value,
            message.time,
            None if data.end_reason is None else data.end_reason.value,
            data.duration_s,
            data.delivery is not None and data.delivery.late,
            received_at,
            self._fit(incident.payload.decode()),
        )
        try:
            added: Rows = self._run(lambda: self._connection.execute(self._insert, row))
        except UnfitError:
            self.unfit += 1
            raise
        return added.rowcount == 1

    def gaps(self) -> list[Gap]:
        """Return what is missing between the messages of each run.

        Raises:
            StoreError: it cannot be read.
        """
        query = (
            "SELECT site, box, boot_id, first_missing, last_missing FROM sequence_gap "
            "ORDER BY boot_id, first_missing"
        )
        rows: Rows = self._run(lambda: self._connection.execute(query))
        return [Gap(*row) for row in rows.fetchall()]

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def _run(self, work: Any) -> Any:
        try:
            try:
                done = work()
                self._connection.commit()
            except self._refusals as error:
                self._connection.rollback()
                raise UnfitError(f"{self._where}: {_said(error)}") from None
        except self._errors as error:
            raise _store_error(self._where, error) from None
        return done


def open_sqlite(file: Path) -> Store:
    """Open a file, which is made when it does not exist.

    Raises:
        StoreError: it cannot be used.
    """
    where = f"sqlite: {file}"
    try:
        connection = sqlite3.connect(file, timeout=30)
        # A message is answered for once it is here: it must survive a power cut.
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        raise _store_error(where, error) from None
    # OverflowError: a number of more than 64 bits.
    refusals = (sqlite3.DataError, OverflowError)
    store = Store(connection, mark="?", where=where, errors=sqlite3.Error, refusals=refusals)
    view = "CREATE VIEW IF NOT EXISTS"
    table = _TABLE.format(time="TEXT", json="TEXT")
    store.create([table, _INDEX, _INCIDENTS.format(view=view), _GAPS.format(view=view)])
    return store


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log; of two who do so at once SQLite lets neither wait."""
    tries = 1
    while (locked := _why_locked(connection)) is not None:
        if tries == WAL_TRIES:
            raise locked
        tries += 1
        time.sleep(WAL_PAUSE_S)


def _why_locked(connection: sqlite3.Connection) -> sqlite3.OperationalError | None:
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return error
    return None


def open_postgres(dsn: str) -> Store:
    """Connect to PostgreSQL.

    Args:
        dsn: as libpq takes it; PGPASSWORD or ~/.pgpass hold a password better.

    Raises:
        StoreError: psycopg is not installed, or the database cannot be used.
    """
    try:
        import psycopg  # noqa: PLC0415 - an extra
    except ImportError:
        raise StoreError(
            "postgres: psycopg is not installed, want it for PostgreSQL; "
            "run pip install 'ropewatch[postgres]'"
        ) from None
    where = f"postgres: {redact(dsn)}"
    try:
        connection = psycopg.connect(dsn)
    except psycopg.Error as error:
        raise _store_error(where, error) from None
    # The latter: a name that is too long for an index.
    refusals = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded)
    store = Store(
        connection,
        mark="%s",
        where=where,
        errors=psycopg.Error,
        refusals=refusals,
        fit=_without_nul,
    )
    view = "CREATE OR REPLACE VIEW"
    table = _TABLE.format(time="TIMESTAMPTZ", json="JSONB")
    # Consumers that start together would make the same table twice.
    lock = "SELECT pg_advisory_xact_lock(7465726)"
    store.create([lock, table, _INDEX, _INCIDENTS.format(view=view), _GAPS.format(view=view)])
    return store


def _without_nul(payload: str) -> str:
    """Return JSON in which NUL, which PostgreSQL has not, is as any other broken character."""
    return re.sub(r"\\(u0000|.)", lambda m: r"\ufffd" if m[1] == "u0000" else m[0], payload)


def _said(error: Exception) -> str:
    return redact(" ".join(str(error).split()))[:SAID_MAX]


def _store_error(where: str, error: Exception) -> StoreError:
    return StoreError(
        f"{where}: {_said(error)}, want a database that can be written; correct its name, the "
        "rights on it, or the disk"
    )
