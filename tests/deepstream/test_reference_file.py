"""References of right views, over restarts and on disks that do not take them."""

import time
from pathlib import Path

import numpy as np
import pytest

from deepstream.reference_file import AGAIN_AFTER_S, ReferenceFile
from ropewatch.reference import HEIGHT_PX, WIDTH_PX, Reference

KEY = "0123456789abcdef" * 4
PATIENCE_S = 30


def a_reference(shade: int = 100) -> Reference:
    luma = np.full((HEIGHT_PX, WIDTH_PX), shade, np.uint8)
    return Reference(luma, luma + 1)


def kept(file: ReferenceFile, reference: Reference) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    file.keep(reference)
    while file.is_writing:
        assert time.monotonic() < deadline_s, "it is written for ever"
        time.sleep(0.01)


def test_a_reference_outlives_a_restart(tmp_path: Path) -> None:
    kept(ReferenceFile(tmp_path / "views", "gate", KEY), a_reference())

    read = ReferenceFile(tmp_path / "views", "gate", KEY).read()

    assert read is not None
    assert (int(read.learnt[0, 0]), int(read.lately[0, 0])) == (100, 101)
    assert ReferenceFile(tmp_path / "views", "yard", KEY).read() is None


def test_a_reference_that_was_learnt_of_something_else_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept(ReferenceFile(tmp_path, "gate", KEY), a_reference())

    assert ReferenceFile(tmp_path, "gate", KEY[::-1]).read() is None
    assert "view learnt anew camera=gate reason=site file changed" in caplog.text


@pytest.mark.parametrize("content", [b"", b"\x00" * 100])
def test_a_broken_reference_is_said_and_learnt_anew(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gate.pgm").write_bytes(content)

    assert ReferenceFile(tmp_path, "gate", KEY).read() is None
    assert "view learnt anew camera=gate" in caplog.text
    assert "want a 256 x 288 PGM of ours" in caplog.text


def test_a_reference_is_written_once(tmp_path: Path) -> None:
    times_s = iter([0.0, 1000.0, 2000.0])
    file, reference = ReferenceFile(tmp_path, "gate", KEY, lambda: next(times_s)), a_reference()
    kept(file, reference)
    (tmp_path / "gate.pgm").unlink()

    kept(file, reference)
    assert not (tmp_path / "gate.pgm").exists()

    kept(file, a_reference(50))
    assert (tmp_path / "gate.pgm").exists()


def test_a_disk_that_takes_no_reference_is_told_until_it_does(tmp_path: Path) -> None:
    (tmp_path / "views").write_text("no folder")
    now_s = 0.0
    file = ReferenceFile(tmp_path / "views", "gate", KEY, lambda: now_s)
    reference = a_reference()
    kept(file, reference)
    assert file.trouble == "its reference view is not kept over restarts, File exists"

    (tmp_path / "views").unlink()
    kept(file, reference)
    assert file.trouble is not None, "it was tried again at once"
    now_s = AGAIN_AFTER_S
    kept(file, reference)

    assert file.trouble is None
    assert ReferenceFile(tmp_path / "views", "gate", KEY).read() is not None
