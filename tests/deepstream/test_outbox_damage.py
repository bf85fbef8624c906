"""Files that are damaged, go away or fail: no start or end lost, invented or doubled over it."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from deepstream.keeper import DISK_RETRY_S
from deepstream.outbox import FILE_NAME, Outbox
from ropewatch.incidents import Phase
from ropewatch.topics import CLOUDEVENTS_JSON
from ropewatch.wire import Wire
from tests.contract import ContractWatch
from tests.deepstream.posts import Time, incident_post, make_outbox, post, take_all

WIRE = Wire(site="s", box="b", boot_id="01BOOT")
ROOT = Path(__file__).parents[2]


def write_some(folder: Path) -> None:
    """Leave eleven starts and four ends on disk, in the log and not in the file."""
    folder.mkdir()
    outbox = make_outbox(folder.parent / "box", Time())
    for number in range(1, 12):
        outbox.offer(incident_post(WIRE, f"incident-{number}", Phase.START, number))
    for number in range(12, 16):
        outbox.offer(incident_post(WIRE, f"incident-{number - 11}", Phase.END, number))
    outbox.keep_answer("operator", "ping-1", b"{}")
    # A copy is what a killed program leaves.
    for file in (folder.parent / "box").iterdir():
        shutil.copy(file, folder)
    outbox.close()


def checkpointed(folder: Path) -> Path:
    """Put the log into the file."""
    path = folder / FILE_NAME
    with closing(sqlite3.connect(path)) as rows:
        rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def goes_on(folder: Path) -> list[str]:
    """Begin a run on what is there; say what is wrong with it."""
    wrong, time = [], Time()
    outbox = make_outbox(folder, time)
    outbox.left_open(), outbox.left_answers()
    outbox.offer(incident_post(WIRE, "new", Phase.START, 1000))
    # What is garbled is set aside, and gives nothing in its turn.
    taken = [outbox.take(1000) for _ in range(30)]
    sent = sum(each is not None and b'"b:01BOOT:1000"' in each[1].payload for each in taken)
    if sent != 1:
        wrong.append(f"the new start was sent {sent} times")
    time.pass_s(int(DISK_RETRY_S))
    outbox.tick()
    wrong += [each for each in outbox.troubles() if "memory only" in each]
    outbox.close()
    after = make_outbox(folder, time)
    if "new" not in after.left_open() or after.databases_set_aside:
        wrong.append("the new start is not kept")
    after.close()
    return wrong


def damage(data: bytearray, rng: random.Random) -> None:
    at, page = rng.randrange(len(data)), 4096 * rng.randrange(len(data) // 4096 + 1)
    match rng.randrange(5):
        case 0:
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            for _ in range(16):
                data[rng.randrange(len(data))] = rng.randrange(256)
        case 2:
            data[page : page + 4096] = bytes(len(data[page : page + 4096]))
        case 3:
            del data[at:]
        case _:
            data += rng.randbytes(5000)


@pytest.mark.parametrize("name", [FILE_NAME, f"{FILE_NAME}-wal"])
def test_damage_anywhere_ends_no_run_and_what_comes_is_kept(
    name: str, tmp_path: Path, contract_watch: ContractWatch
) -> None:
    write_some(tmp_path / "whole")
    if name == FILE_NAME:
        checkpointed(tmp_path / "whole")
    found = []

    for seed in range(80):
        folder = tmp_path / str(seed)
        shutil.copytree(tmp_path / "whole", folder)
        data = bytearray((folder / name).read_bytes())
        damage(data, random.Random(seed))
        (folder / name).write_bytes(data)
        found += [f"{seed}: {fault}" for fault in goes_on(folder)]
        shutil.rmtree(folder)
    # Damaged text is as it was damaged.
    contract_watch.faults.clear()

    assert found == []


@pytest.mark.parametrize(
    ("whole", "damaged"),
    [
        pytest.param(b"ALERT", b"\x01LERT", id="lane"),
        pytest.param(b"/camera/gate", b"/camera/\xff\xfete", id="no-text"),
        pytest.param(b"queued_unix_ns", b"queued_unix_nz", id="column"),
        pytest.param(b"CREATE TABLE boot", b"CREATE TABLE b\xff\xfet", id="schema"),
    ],
)
def test_damage_that_sqlite_does_not_see_sets_the_database_aside(
    whole: bytes, damaged: bytes, tmp_path: Path
) -> None:
    write_some(tmp_path / "state")
    path = checkpointed(tmp_path / "state")
    path.write_bytes(path.read_bytes().replace(whole, damaged))

    assert goes_on(tmp_path / "state") == []
    assert len(list((tmp_path / "state").glob("*.corrupt-*"))) == 1


def test_a_boot_id_that_is_none_sets_the_database_aside(tmp_path: Path) -> None:
    write_some(tmp_path / "state")
    with closing(sqlite3.connect(checkpointed(tmp_path / "state"))) as rows, rows:
        rows.execute("UPDATE boot SET boot_id = 'Z'")

    assert goes_on(tmp_path / "state") == []
    assert len(list((tmp_path / "state").glob("*.corrupt-*"))) == 1


def test_an_incident_that_its_index_has_lost_sets_the_database_aside(tmp_path: Path) -> None:
    write_some(tmp_path / "state")
    with closing(sqlite3.connect(checkpointed(tmp_path / "state"))) as rows, rows:
        rows.execute("CREATE TABLE other (name TEXT PRIMARY KEY) STRICT")
        rows.execute("PRAGMA writable_schema = ON")
        # Each has the other's index now, an empty one.
        names = ("sqlite_autoindex_other_1", "sqlite_autoindex_open_incident_1")
        query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        roots = [rows.execute(query, (name,)).fetchone()[0] for name in names]
        for name, root in zip(names, reversed(roots), strict=True):
            rows.execute("UPDATE sqlite_schema SET rootpage = ? WHERE name = ?", (root, name))

    outbox = make_outbox(tmp_path / "state")

    # It would be ended at every start, for no end deletes it.
    assert outbox.databases_set_aside == 1
    outbox.close()


def test_a_sound_database_that_sqlite_calls_malformed_is_not_set_aside(tmp_path: Path) -> None:
    time = Time()
    outbox = make_outbox(tmp_path, time)
    outbox.offer(incident_post(WIRE, "one", Phase.START, 1), post(2))
    journal = outbox._keeper._journal
    assert journal is not None

    def broken(*_: object, **__: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    # As it does after a read that failed, until it is opened anew.
    journal.write = broken  # type: ignore[method-assign]
    outbox.offer(post(3))
    assert "malformed" in outbox.troubles()[0]
    outbox.tick()

    assert outbox.troubles() == []
    assert outbox.databases_set_aside == 0
    outbox.close()
    after = make_outbox(tmp_path)
    assert list(after.left_open()) == ["one"]
    assert take_all(after)[1:] == [b"2", b"3"]
    after.close()


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def remove_log(folder: Path) -> None:
    (folder / f"{FILE_NAME}-wal").unlink()


def put_other(folder: Path) -> None:
    shutil.copy(folder / FILE_NAME, folder / "other")
    (folder / "other").replace(folder / FILE_NAME)


@pytest.mark.parametrize("away", [remove, remove_log, put_other])
def test_files_that_go_away_while_a_run_writes_to_them_are_made_again(
    away: Callable[[Path], None], tmp_path: Path
) -> None:
    folder, time = tmp_path / "state", Time()
    outbox = make_outbox(folder, time)
    outbox.offer(incident_post(WIRE, "one", Phase.START, 1), post(2))

    away(folder)
    outbox.offer(post(3))
    (trouble,) = outbox.troubles()
    time.pass_s(int(DISK_RETRY_S))
    outbox.tick()

    assert "messages are in memory only" in trouble
    assert outbox.troubles() == []
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    after = make_outbox(copy)
    assert list(after.left_open()) == ["one"]
    assert take_all(after)[1:] == [b"2", b"3"]
    after.close()
    outbox.close()


def test_what_could_not_be_read_is_sent_when_the_disk_can_be_read(tmp_path: Path) -> None:
    before = make_outbox(tmp_path)
    before.offer(post(1))
    before.close()
    time = Time()
    outbox = make_outbox(tmp_path, time)
    journal = outbox._keeper._journal
    assert journal is not None

    def failing(number: int) -> bytes | None:
        raise sqlite3.OperationalError(f"disk I/O error at {number}")

    journal.payload = failing  # type: ignore[method-assign]
    assert take_all(outbox) == []
    assert "disk I/O error" in outbox.troubles()[0]
    time.pass_s(int(DISK_RETRY_S))
    outbox.tick()

    assert take_all(outbox) == [b"1"]
    outbox.close()


@pytest.mark.parametrize("payload", [b"[1]", b"{}", b'{"data": 1}'])
def test_an_incident_that_is_none_is_set_aside_and_holds_up_nothing(
    payload: bytes, tmp_path: Path
) -> None:
    whole = post(1)
    message = replace(whole.message, payload=payload, content_type=CLOUDEVENTS_JSON)
    outbox = make_outbox(tmp_path)
    outbox.offer(replace(whole, message=message), post(2))

    assert outbox.take(5) is None
    assert take_all(outbox) == [b"2"]
    assert outbox.troubles() == ["1 messages set aside: not an incident: no data in it"]
    outbox.close()


class Unwritable(Outbox):
    """An outbox whose disk fails in a way that nobody has thought of."""

    def break_disk(self) -> None:
        def broken(*, durable: bool) -> None:
            raise MemoryError(f"durable {durable}")

        self._keeper.save = broken  # type: ignore[method-assign]


def test_alerts_go_out_whatever_the_disk_raises(tmp_path: Path) -> None:
    before = make_outbox(tmp_path)
    outbox = Unwritable(tmp_path / "other", before._settings)
    before.close()
    outbox.break_disk()

    with pytest.raises(MemoryError):
        outbox.offer(post(1))

    assert take_all(outbox) == [b"1"]


@pytest.fixture(scope="module")
def failing_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    goal = tmp_path_factory.mktemp("library") / "failing_disk.so"
    source = Path(__file__).with_name("failing_disk.c")
    command = [
        "gcc",
        "-shared",
        "-fPIC",
        "-O1",
        "-Wall",
        "-Werror",
        "-o",
        str(goal),
        str(source),
        "-ldl",
    ]
    subprocess.run(command, check=True)
    return goal


def test_a_disk_that_fails_at_random_loses_doubles_and_invents_nothing(
    failing_disk: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.deepstream.failing_disk", "280", "380", str(tmp_path)]

    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(failing_disk)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["wrong"] == []
    assert told["failures"] > 100
