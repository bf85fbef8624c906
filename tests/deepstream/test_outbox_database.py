"""The outbox's database is old, locked, corrupt, full or away."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ulid import ULID

from deepstream.journal import Journal, new_boot_id
from deepstream.keeper import DISK_RETRY_S
from deepstream.outbox import FILE_NAME
from ropewatch.incidents import Phase
from ropewatch.wire import Wire
from tests.deepstream.posts import Time, incident_post, make_outbox, post, take_all

WIRE = Wire(site="s", box="b", boot_id="01BOOT")


def test_a_database_without_answers_is_taken_over(tmp_path: Path) -> None:
    before = make_outbox(tmp_path)
    before.offer(post(1))
    before.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as rows:
        rows.execute("DROP TABLE answered")

    after = make_outbox(tmp_path)

    assert take_all(after) == [b"1"]
    assert after.databases_set_aside == 0
    after.close()


def test_a_second_run_in_the_same_folder_goes_on_in_memory_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepstream.keeper.BUSY_TIMEOUT_S", 0.05)
    first = make_outbox(tmp_path)
    first.offer(post(1))
    time = Time(unix_s=2_000_000_000)

    second = make_outbox(tmp_path, time)
    second.offer(post(2))

    (trouble,) = second.troubles()
    assert trouble == (
        f"outbox: {tmp_path / FILE_NAME}: database is locked by another run or program, want a "
        "state_dir for each box alone: messages are in memory only, a restart loses them"
    )
    first.close()
    time.pass_s(int(DISK_RETRY_S))
    second.tick()
    assert second.troubles() == []
    assert take_all(second) == [b"1", b"2"]
    second.close()


def test_boot_ids_sort_in_the_order_of_starts_when_the_clock_goes_back(tmp_path: Path) -> None:
    boots: list[str] = []
    for unix_s in (1_900_000_000, 60, 1_800_000_000):
        outbox = make_outbox(tmp_path, Time(unix_s=unix_s))
        outbox.offer(post(len(boots)))
        boots.append(outbox.boot_id)
        outbox.close()

    assert boots == sorted(set(boots))
    assert take_all(make_outbox(tmp_path)) == [b"0", b"1", b"2"]


def test_a_boot_id_of_a_first_start_is_its_time() -> None:
    boot_id = new_boot_id(1_800_000_000 * 10**9, after=None)

    assert ULID.from_str(boot_id).milliseconds == 1_800_000_000_000


@pytest.mark.parametrize("damage", ["text", "middle", "later-format"])
def test_a_corrupt_database_is_set_aside_and_a_fresh_one_begun(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / FILE_NAME
    before = make_outbox(tmp_path)
    before.offer(*(post(number, size_bytes=2000) for number in range(50)))
    before.close()
    if damage == "text":
        path.write_bytes(b"this is no database, but long enough to be taken for one" * 100)
    elif damage == "middle":
        content = bytearray(path.read_bytes())
        content[4096 : len(content) // 2] = b"\xa5" * (len(content) // 2 - 4096)
        path.write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as rows:
            rows.execute("PRAGMA user_version = 99")

    time = Time()
    outbox = make_outbox(tmp_path, time)
    outbox.offer(post(7))

    assert outbox.databases_set_aside == 1
    assert take_all(outbox) == [b"7"]
    assert outbox.troubles() == []
    outbox.close()
    assert [file.name for file in tmp_path.glob("*corrupt*")] == [
        "outbox.sqlite.corrupt-20270115T080000Z"
    ]
    assert "outbox is corrupt and set aside, what it held is not sent" in caplog.text
    assert take_all(make_outbox(tmp_path)) == [b"7"]


def test_a_second_corrupt_database_in_the_same_second_keeps_the_first(tmp_path: Path) -> None:
    time = Time()
    for _ in range(2):
        (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 100)
        make_outbox(tmp_path, time).close()

    assert len(list(tmp_path.glob("*.corrupt-*"))) == 2


def test_a_database_that_breaks_in_use_is_replaced_and_nothing_in_memory_is_lost(
    tmp_path: Path,
) -> None:
    time = Time()
    outbox = make_outbox(tmp_path, time)
    outbox.offer(incident_post(WIRE, "one", Phase.START, 1))
    outbox.offer(post(2))
    journal = outbox._keeper._journal
    assert journal is not None

    def broken(*_: object, **__: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    for file in tmp_path.glob(f"{FILE_NAME}*"):
        file.write_bytes(b"no database at all" * 1000)
    journal.write = broken  # type: ignore[method-assign]  # SQLite finds it out when it pleases
    outbox.offer(post(3))
    outbox.tick()
    outbox.close()

    assert outbox.databases_set_aside == 1
    after = make_outbox(tmp_path)
    assert list(after.left_open()) == ["one"]
    assert take_all(after)[1:] == [b"2", b"3"]


def limit_pages(journal: Journal, extra: int) -> None:
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count = {pages + extra}")


def test_a_full_database_is_gone_on_without_and_returned_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    time = Time()
    outbox = make_outbox(tmp_path, time)
    outbox.offer(post(0))
    assert outbox._keeper._journal is not None
    # SQLite's own limit gives the error of a full disk.
    limit_pages(outbox._keeper._journal, 2)

    for number in range(1, 30):
        outbox.offer(post(number, size_bytes=1000))

    (trouble,) = outbox.troubles()
    assert trouble.startswith(
        f"outbox: {tmp_path / FILE_NAME}: database or disk is full: messages"
    )
    assert take_all(outbox, window=5) == [b"%d" % number for number in range(5)]
    assert caplog.text.count("outbox is in memory only") == 1

    time.pass_s(int(DISK_RETRY_S))
    caplog.set_level(logging.INFO)
    outbox.tick()

    assert outbox.troubles() == []
    assert "outbox is on disk again" in caplog.text
    outbox.close()
    assert take_all(make_outbox(tmp_path)) == [b"%d" % number for number in range(30)]


def test_a_disk_that_is_away_at_the_start_is_used_when_it_comes(tmp_path: Path) -> None:
    folder = tmp_path / "mount" / "state"
    earlier = make_outbox(folder, Time(unix_s=1_700_000_000))
    earlier.offer(incident_post(WIRE, "one", Phase.START, 1), post(1))
    earlier.close()
    (tmp_path / "mount").rename(tmp_path / "away")
    (tmp_path / "mount").write_text("no folder")

    time = Time()
    outbox = make_outbox(folder, time)
    outbox.offer(post(2))
    assert "Not a directory" in outbox.troubles()[0]
    assert outbox.left_open() == {}
    (tmp_path / "mount").unlink()
    (tmp_path / "away").rename(tmp_path / "mount")
    time.pass_s(int(DISK_RETRY_S))
    outbox.offer(post(3))

    assert outbox.troubles() == []
    assert list(outbox.left_open()) == ["one"]
    assert take_all(outbox)[1:] == [b"1", b"2", b"3"]
    assert outbox.boot_id > earlier.boot_id
    outbox.close()
