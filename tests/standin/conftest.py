"""Small clips made by stock GStreamer, and the stand-ins made active."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.standin.activate import activate
from plugins.standin.gst import Gst


@pytest.fixture(scope="session")
def stand_ins() -> None:
    """Register the stand-ins in this process; a second time does nothing."""
    activate()


@pytest.fixture
def stopper() -> Iterator[list[Any]]:
    """Stop the pipelines of what a test puts here, also when it fails."""
    made: list[Any] = []
    yield made
    for item in made:
        item.pipeline.set_state(Gst.State.NULL)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory, stand_ins: None) -> Path:
    """Make a.mp4 (H.264, 64x48, 30 frames), b.mkv (H.265 with audio, 65x49, 15 frames)."""
    folder = tmp_path_factory.mktemp("clips")
    _make(
        "videotestsrc num-buffers=30 ! video/x-raw,width=64,height=48,framerate=30/1 ! "
        f"x264enc tune=zerolatency key-int-max=10 ! mp4mux ! filesink location={folder}/a.mp4"
    )
    _make(
        "videotestsrc num-buffers=15 ! video/x-raw,width=66,height=50,framerate=15/1 ! "
        f"x265enc tune=zerolatency ! h265parse ! matroskamux name=m ! "
        f"filesink location={folder}/b.mkv "
        "audiotestsrc num-buffers=40 ! audioconvert ! avenc_aac ! m."
    )
    (folder / "text.mp4").write_text("no video\n")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "cut.mp4").write_bytes((folder / "a.mp4").read_bytes()[:2000])
    return folder


def _make(description: str) -> None:
    pipeline = Gst.parse_launch(description)
    pipeline.set_state(Gst.State.PLAYING)
    kinds = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(60 * Gst.SECOND, kinds)
    pipeline.set_state(Gst.State.NULL)
    assert message is not None
    assert message.type == Gst.MessageType.EOS, message.parse_error()
