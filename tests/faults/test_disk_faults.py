"""A disk that is full, then full when the box is killed, then has room again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.disks import fill, small_disk
from tests.faults.judge import Judgement
from tests.faults.rig import LONG_ONLY, Rig

pytestmark = [pytest.mark.broker, pytest.mark.slow]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, "4m") as folder:
        yield folder


@pytest.mark.parametrize("broker_away", [pytest.param(False, marks=LONG_ONLY), True])
def test_a_full_disk(
    rig: Rig,
    verdict: Callable[[str, Judgement], None],
    long_form: bool,
    disk: Path,
    broker_away: bool,
) -> None:
    box = rig.start(state=str(disk))
    rig.watch(box, 1.0)
    if broker_away:
        rig.proxy.hold()
        rig.watch(box, 0.5)

    fill(disk / "filler")
    rig.watch(box, 30.0 if long_form else 1.0)
    rig.proxy.release()
    rig.wait_for_reason("database or disk is full")
    (disk / "filler").unlink()
    # Until the disk is tried again.
    rig.watch(box, 12.0 if long_form else 0.5)

    assert rig.end(box) == 0
    verdict(f"disk full{', broker away meanwhile' * broker_away}", rig.judge())
