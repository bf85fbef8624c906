from pathlib import Path

import pytest

from deepstream.sources import explain_failure
from ropewatch.settings import SourceSettings


def camera(uri: str) -> SourceSettings:
    return SourceSettings(id="cam", uri=uri)


def test_a_missing_file_is_named_with_the_key_to_correct(tmp_path: Path) -> None:
    text = explain_failure(camera(str(tmp_path / "gone.mp4")), "source: not found")

    assert "source cam: file://" in text
    assert "gone.mp4: no such file, want a video file; correct sources.uri" in text


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()

    assert "the file is empty" in explain_failure(camera(str(tmp_path / "a.mp4")), "no type")


def test_text_under_a_video_name_is_called_text(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("not a video\n" * 20)

    assert "the file holds text" in explain_failure(camera(str(tmp_path / "a.mp4")), "no type")


def test_a_broken_video_keeps_what_the_element_said(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(50))

    text = explain_failure(camera(str(tmp_path / "a.mp4")), "demux: no moov atom")

    assert "cannot be decoded: demux: no moov atom" in text


def test_a_folder_is_not_a_video(tmp_path: Path) -> None:
    assert "not a file" in explain_failure(camera(tmp_path.as_uri()), "x")


@pytest.mark.parametrize("said", ["401 for rtsp://u:secret@cam/1", "no route"])
def test_a_stream_that_is_not_reached_never_shows_its_password(said: str) -> None:
    text = explain_failure(camera("rtsp://u:secret@cam/1"), said)

    assert "secret" not in text
    assert "want a reachable RTSP stream" in text


def test_a_file_that_may_not_be_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")

    def refuse(*_args: object, **_keywords: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Root may read everything, so the operating system cannot be asked to refuse.
    monkeypatch.setattr(Path, "open", refuse)

    text = explain_failure(camera(str(tmp_path / "a.mp4")), "no access")
    assert "cannot be read: Permission denied, want a readable file; chmod a+r" in text
