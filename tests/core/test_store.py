"""A consumer's database: SQLite always, PostgreSQL where a server is installed."""

import os
import secrets
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo.broker import PrivateBroker, free_port
from ropewatch.cli import main
from ropewatch.errors import StoreError
from ropewatch.incidents import Phase
from ropewatch.reading import parse_incident
from ropewatch.sequencer import Gap, Incident
from ropewatch.store import Store, UnfitError, open_postgres, open_sqlite
from tests.core.incident_messages import BOOT_1, BOOT_2, changed, incident, message
from tests.publishing import publish

NOW = "2026-11-21T05:00:00.000000Z"
Opener = Callable[[], Store]
DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture(scope="module")
def postgres_dsn() -> Iterator[str]:
    """A PostgreSQL of this module alone."""
    if not DEBIAN:
        pytest.skip("no PostgreSQL server here (apt-get install postgresql)")
    pytest.importorskip("psycopg")
    # initdb refuses to run as root.
    runs = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    as_other = runs if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        data, port = folder / "data", free_port()

        def call(*words: str) -> None:
            done = subprocess.run(
                [*as_other, *words], check=False, cwd=folder, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr

        programs = DEBIAN[-1]
        call(
            str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "tester", "-E", "UTF8"
        )
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        control = (str(programs / "pg_ctl"), "-D", str(data), "-w")
        call(*control, "-o", options, "-l", str(folder / "log"), "start")
        try:
            yield f"host=127.0.0.1 port={port} user=tester dbname=postgres"
        finally:
            call(*control, "-m", "immediate", "stop")


@pytest.fixture(params=["sqlite", "postgres"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    if request.param == "sqlite":
        return lambda: open_sqlite(tmp_path / "incidents.sqlite")
    dsn = request.getfixturevalue("postgres_dsn")
    import psycopg  # noqa: PLC0415 - skipped without

    with psycopg.connect(dsn) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return lambda: open_postgres(dsn)


def rows(store: Store, query: str) -> list[Any]:
    return list(store._connection.execute(query).fetchall())


def test_a_message_is_kept_once_over_restarts_and_consumers(opener: Opener) -> None:
    one, other = opener(), opener()

    added = [store.add(incident(1, Phase.START), received_at=NOW) for store in (one, other)]
    one.close()
    again = opener()

    assert added == [True, False]
    assert again.add(incident(1, Phase.START), received_at=NOW) is False
    assert rows(again, "SELECT count(*) FROM incident_message") == [(1,)]


def test_an_incident_is_one_row_from_start_to_end(opener: Opener) -> None:
    store = opener()
    for each in (incident(5, Phase.END), incident(2, Phase.START), incident(3)):
        store.add(each, received_at=NOW)
    store.add(incident(6, Phase.START, incident_id="02OPEN"), received_at=NOW)

    found = rows(
        store,
        "SELECT incident_id, end_reason, duration_s, messages, ended_at IS NULL FROM incident "
        "ORDER BY incident_id",
    )

    assert [tuple(row) for row in found] == [
        ("01INCIDENT", "rope_seen", 4.5, 3, False),
        ("02OPEN", None, None, 1, True),
    ]


@pytest.mark.parametrize("column", ["sequence", "revision", "person"])
def test_what_the_database_does_not_take_is_told_and_the_next_is_kept(
    column: str, opener: Opener
) -> None:
    store = opener()
    good = incident(1, Phase.START)
    # Past the checks of `reading`: a store holds whatever gets to it.
    data = good.message.data.model_copy(update={column: 2**63})
    bad = replace(good, message=good.message.model_copy(update={"data": data}))

    for _ in range(2):
        with pytest.raises(UnfitError, match=r"(sqlite|postgres): .*(too large|out of range)"):
            store.add(bad, received_at=NOW)

    assert store.unfit == 2
    assert store.add(good, received_at=NOW) is True
    store.close()
    assert rows(opener(), "SELECT sequence FROM incident_message") == [(1,)]


def test_postgres_names_what_it_does_not_take(postgres_dsn: str) -> None:
    store = open_postgres(postgres_dsn)
    good = incident(1, Phase.START, box="picky")
    number = b'{"later_minor": 1e999999, '
    long = good.message.data.model_copy(update={"incident_id": secrets.token_hex(5000)})
    date = {"time": "2026-02-30T00:00:00.000000Z"}
    bad = [
        replace(good, payload=good.payload.replace(b"{", number, 1)),
        replace(good, message=good.message.model_copy(update={"data": long})),
        replace(good, message=good.message.model_copy(update=date)),
    ]

    for each in bad:
        with pytest.raises(UnfitError, match=r"postgres: "):
            store.add(each, received_at=NOW)

    assert store.unfit == len(bad)
    assert store.add(good, received_at=NOW) is True


@pytest.mark.broker
def test_listen_prints_what_its_database_does_not_take_and_goes_on(
    broker: PrivateBroker,
    postgres_dsn: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = ["listen", "--port", str(broker.port), "--client-id", "desk"]
    words += ["--postgres", postgres_dsn, "--box", "unfit"]
    assert main([*words, "--timeout-s", "0.1"]) == 0
    start, end = message(1, Phase.START, box="unfit"), message(2, Phase.END, box="unfit")
    payload = start.payload.replace(b"{", b'{"later_minor": 1e999999, ', 1)
    pairs = [(start.topic, payload), (end.topic, end.payload)]
    publish(broker.host, broker.port, pairs, content_type="text/plain")

    assert main([*words, "--count", "2"]) == 0
    assert main([*words, "--timeout-s", "1"]) == 0

    printed = [line.split()[3] for line in capsys.readouterr().out.splitlines()]
    assert printed == ["START", "END"]
    (told,) = [text for text in caplog.messages if "message not kept" in text]
    assert told.startswith("message not kept count=1 reason=postgres: ")
    store = open_postgres(postgres_dsn)
    query = "SELECT sequence FROM incident_message WHERE box = 'unfit'"
    assert rows(store, query) == [(2,)]
    store.close()


def test_an_end_is_kept_whatever_characters_somebody_has_put_in_their_note(opener: Opener) -> None:
    store = opener()
    note = {"by": "desk", "note": "a\0\\u0000b", "at": NOW}
    sent = changed(message(1, Phase.END), acknowledged=note)

    assert store.add(Incident(parse_incident(sent.payload), sent.payload, ""), received_at=NOW)

    ((kept,),) = rows(store, "SELECT payload FROM incident_message")
    if isinstance(kept, str):
        assert kept.encode() == sent.payload
    else:
        assert kept["data"]["acknowledged"]["note"] == "a\ufffd\\u0000b"


def test_gaps_are_what_lies_between_messages_of_one_run(opener: Opener) -> None:
    store = opener()
    for sequence in (9, 4, 3, 7):
        store.add(incident(sequence), received_at=NOW)
    store.add(incident(1, boot_id=BOOT_2), received_at=NOW)

    gaps = store.gaps()
    store.add(incident(8), received_at=NOW)

    assert gaps == [
        Gap("north-tower", "box-1", BOOT_1, 5, 6),
        Gap("north-tower", "box-1", BOOT_1, 8, 8),
    ]
    assert store.gaps() == gaps[:1]


def test_what_was_sent_is_kept_as_it_came(opener: Opener) -> None:
    store = opener()
    store.add(incident(1, Phase.START), received_at=NOW)

    ((person, box, when),) = rows(
        store,
        "SELECT person, box, decided_at FROM incident_message WHERE phase = 'start'",
    )

    assert (person, box) == (3, "box-1")
    assert str(when).startswith("2026-11-21")
    assert rows(store, "SELECT payload FROM incident_message")[0][0]


def test_consumers_that_start_together_make_the_tables_once(opener: Opener) -> None:
    with ThreadPoolExecutor(6) as pool:
        for _ in range(3):
            opened = [pool.submit(lambda: opener().close()) for _ in range(6)]
            assert [each.result() for each in opened] == [None] * 6


def test_a_database_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "gone" / "x.sqlite"
    with pytest.raises(StoreError, match=r"sqlite: .*x\.sqlite: unable to open.*correct its name"):
        open_sqlite(file)
    text = tmp_path / "text"
    text.write_text("no database " * 200)
    with pytest.raises(StoreError, match=r"sqlite: .*text: file is not a database, want a data"):
        open_sqlite(text)


def test_a_database_that_fails_later_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    store = open_sqlite(file)
    with sqlite3.connect(file) as other:
        other.execute("DROP VIEW sequence_gap")
        other.execute("DROP VIEW incident")
        other.execute("DROP TABLE incident_message")

    with pytest.raises(StoreError, match=r"x\.sqlite: no such table: incident_message, want"):
        store.add(incident(1), received_at=NOW)


def test_postgres_that_is_not_there_is_named_without_its_password() -> None:
    pytest.importorskip("psycopg")
    dsn = f"postgresql://me:secret@127.0.0.1:{free_port()}/ropewatch"

    with pytest.raises(StoreError, match=r"postgres: postgresql://\*\*\*@127") as caught:
        open_postgres(dsn)

    assert "secret" not in str(caught.value)


def test_consumers_that_open_a_new_file_at_once_all_may_use_it(tmp_path: Path) -> None:
    for attempt in range(30):
        file, together = tmp_path / f"{attempt}.sqlite", threading.Barrier(3)

        def use(file: Path = file, together: threading.Barrier = together) -> None:
            together.wait(10)
            open_sqlite(file).close()

        with ThreadPoolExecutor(3) as pool:
            used = [pool.submit(use) for _ in range(3)]
            for each in used:
                each.result(30)
