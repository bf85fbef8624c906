"""A disk that is really full, and one that is really read-only: a small tmpfs. Needs root."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deepstream.keeper import DISK_RETRY_S
from deepstream.lanes import Lane
from tests.deepstream.posts import Time, make_outbox, post, take_all
from tests.disks import fill, make_read_only, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, "400k") as folder:
        yield folder


def test_on_a_full_disk_alerts_go_on_and_come_back_to_it_when_there_is_room(disk: Path) -> None:
    time = Time()
    outbox = make_outbox(disk, time)
    outbox.offer(post(0))
    filler = disk / "filler"
    fill(filler)

    for number in range(1, 20):
        outbox.offer(post(number, size_bytes=2000))

    assert "database or disk is full" in outbox.troubles()[0]
    assert take_all(outbox, window=5) == [b"%d" % number for number in range(5)]
    filler.unlink()
    time.pass_s(int(DISK_RETRY_S))
    outbox.tick()
    assert outbox.troubles() == []
    outbox.close()
    after = make_outbox(disk)
    assert take_all(after) == [b"%d" % number for number in range(20)]
    after.close()


def test_a_start_on_a_full_disk_goes_on_in_memory_and_delivers_what_can_be_read(
    disk: Path,
) -> None:
    before = make_outbox(disk)
    before.offer(post(1))
    before.close()
    fill(disk / "filler")

    outbox = make_outbox(disk)
    outbox.offer(post(2), post(3, Lane.UPDATE))

    assert outbox.troubles() != []
    assert set(take_all(outbox)) >= {b"2", b"3"}
    outbox.close()


def test_on_a_disk_that_became_read_only_alerts_go_on(disk: Path) -> None:
    make_read_only(disk)

    outbox = make_outbox(disk / "state")
    outbox.offer(post(1))

    assert "Read-only file system" in outbox.troubles()[0]
    assert take_all(outbox) == [b"1"]
    outbox.close()
