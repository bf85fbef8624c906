from pathlib import Path

import pytest

from deepstream.dispatcher import Decided
from deepstream.recorder import Recorder
from ropewatch.errors import SettingsError
from ropewatch.monitor import FrameResult
from ropewatch.observations import FrameObservation

FULL_DISK = Path("/dev/full")
EMPTY = Decided(
    "cam",
    (FrameObservation("cam", 0, 0, None, (640, 360), True, ()), FrameResult((), ())),
    (),
)


def test_a_recording_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "new" / "recording.jsonl")
    recorder.open()

    recorder.take(EMPTY)

    assert (tmp_path / "new" / "recording.jsonl").read_text().count("\n") == 1
    recorder.close()


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match=r"recording: .*file/recording\.jsonl: "):
        Recorder(tmp_path / "file" / "recording.jsonl").open()


@pytest.mark.skipif(not FULL_DISK.exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_counted_and_does_not_stop_the_end_of_the_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorder = Recorder(FULL_DISK)
    recorder.open()

    with pytest.raises(OSError, match="No space left"):
        recorder.take(EMPTY)
    recorder.close()

    assert "recording is incomplete" in caplog.text
