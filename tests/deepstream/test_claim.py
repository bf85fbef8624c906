"""The lock of a state_dir, between processes of their own."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deepstream import claim
from deepstream.claim import LOCK_NAME, claimed
from ropewatch.errors import SettingsError
from tests.disks import fill, make_read_only, small_disk

HOLDING = """
import sys
import time
from pathlib import Path
from deepstream.claim import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_run(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Give a process that holds the folder until its input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "ENDING_S", 0.2)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, "400k") as folder:
        yield folder


@pytest.mark.usefixtures("impatient")
def test_a_second_run_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    with another_run(tmp_path) as holder:
        refused = (
            rf"^state_dir: {re.escape(str(tmp_path))}/run\.lock: held by another run of ropewatch "
            rf"\(pid {holder.pid} on \S+ since \S+Z\), want one run for each state_dir; stop that "
        )
        with pytest.raises(SettingsError, match=refused), claimed(tmp_path):
            pass


@pytest.mark.usefixtures("impatient")
def test_a_folder_is_free_again_after_its_run_was_killed(tmp_path: Path) -> None:
    with another_run(tmp_path) as holder:
        holder.kill()
        holder.wait()

        with claimed(tmp_path):
            assert "pid" in (tmp_path / LOCK_NAME).read_text()


def test_a_run_that_is_just_ending_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "ENDING_S", 60.0)
    with another_run(tmp_path) as holder:
        look = time.sleep

        def end_it(seconds: float) -> None:
            holder.kill()
            look(seconds)

        # Between two looks at the lock.
        monkeypatch.setattr(time, "sleep", end_it)
        with claimed(tmp_path):
            pass

    assert "waiting for another run to end" in caplog.text
    assert "not locked" not in caplog.text


@pytest.mark.usefixtures("impatient")
def test_a_full_disk_locks_and_stops_no_start(disk: Path) -> None:
    folder = disk / "state"
    with claimed(folder):
        pass
    fill(disk / "filler")

    with claimed(folder):
        pass
    with (
        another_run(folder),
        pytest.raises(SettingsError, match="held by another run"),
        claimed(folder),
    ):
        pass


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("is_first", [True, False])
def test_a_read_only_disk_stops_no_start(
    disk: Path, is_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    folder = disk / "state"
    if not is_first:
        with claimed(folder):
            pass
    make_read_only(disk)

    with claimed(folder):
        assert ("not locked" in caplog.text) is is_first


@pytest.mark.usefixtures("impatient")
def test_a_folder_that_cannot_be_made_stops_no_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file"
    file.touch()

    with claimed(file / "state"):
        assert "not locked, a second run would not be noticed" in caplog.text
