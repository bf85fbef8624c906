"""An encoder after one that hung; hanging itself is in tests/pipeline."""

from pathlib import Path

import pytest

from deepstream.meta import FrameMeta
from deepstream.watchdog import REST_S, TRACE_NAME, WatchedEncoder

FRAME = FrameMeta(0, 12, 0, None, True, 1, None)


class Encoder:
    closed = False

    def jpeg(self, _frame: FrameMeta) -> bytes:
        return b"jpeg"

    def close(self) -> None:
        self.closed = True


class Bench:
    def __init__(self, folder: Path) -> None:
        self.now_s = 100.0
        self.made: list[Encoder] = []
        self.watched = WatchedEncoder(self._make, folder, clock=lambda: self.now_s)

    def _make(self) -> Encoder:
        self.made.append(Encoder())
        return self.made[-1]


def test_an_encoder_that_answers_leaves_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    assert bench.watched.jpeg(FRAME) == b"jpeg"
    assert (bench.watched.look(), bench.watched.troubles()) == (None, [])
    bench.watched.close()
    assert bench.made[0].closed
    assert (tmp_path / TRACE_NAME).read_text() == ""


def test_after_a_hang_the_encoder_rests_and_a_picture_that_comes_ends_that(tmp_path: Path) -> None:
    (tmp_path / TRACE_NAME).write_text("Timeout!")
    bench = Bench(tmp_path)

    with pytest.raises(RuntimeError, match="the encoder hung in an earlier run, and rests"):
        bench.watched.jpeg(FRAME)
    assert bench.watched.look() is None
    (trouble,) = bench.watched.troubles()
    assert bench.made == []
    assert str(tmp_path / TRACE_NAME) in trouble

    bench.now_s += REST_S
    assert bench.watched.jpeg(FRAME) == b"jpeg"
    assert bench.watched.look() is None
    assert bench.watched.troubles() == []
    assert (tmp_path / TRACE_NAME).read_text() == ""


def test_without_a_disk_the_encoder_works_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    bench = Bench(tmp_path / "file" / "state")

    assert bench.watched.jpeg(FRAME) == b"jpeg"
    assert "an encoder that hangs will not be known to the next run" in caplog.text
