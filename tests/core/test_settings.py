import pytest
from pydantic import ValidationError

from ropewatch.settings import SourceSettings


def test_a_live_stream_cannot_loop() -> None:
    with pytest.raises(ValidationError, match="loop: true for a live stream, want a file"):
        SourceSettings(id="cam", uri="rtsp://cam/1", loop=True)
