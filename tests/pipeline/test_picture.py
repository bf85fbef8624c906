"""The annotated video: what happens to it never happens to the watching."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.broker import PrivateBroker, free_port
from ropewatch.client import Subscriber
from ropewatch.settings import SiteSettings
from tests.pipeline.running import finish, run, start
from tests.pipeline.tiny_site import make_clip, tiny_site, write_models
from tests.rtsp_server import RtspServer

pytestmark = [pytest.mark.gst, pytest.mark.broker]

PATIENCE_S = 40
SHADES = [("black", 20), ("white", 30), ("black", 40)]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_models(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one page."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be mounted by root alone")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def decoded_frames(path: Path) -> int:
    """Count the pictures that a video really holds, up to where it breaks off."""
    line = f"filesrc location={path} ! decodebin ! videoconvert ! fakesink silent=false sync=false"
    command = ["gst-launch-1.0", "-v", *line.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.count("chain   *")


def filmed(
    models: Path, uri: str, broker: PrivateBroker, file: Path, bitrate_kbps: int = 20_000
) -> SiteSettings:
    video = {"annotated_file": file, "width_px": 640, "bitrate_kbps": bitrate_kbps}
    mqtt = {"host": broker.host, "port": broker.port}
    return tiny_site(models, {"cam": uri}, mqtt=mqtt, video=video)


def recorded(folder: Path) -> int:
    recording = folder / "recording.jsonl"
    return recording.read_text().count('"frame"') if recording.exists() else 0


def wait_for_frames(folder: Path, count: int) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while recorded(folder) < count:
        assert time.monotonic() < deadline_s, f"{recorded(folder)} frames came, want {count}"
        time.sleep(0.1)


def test_a_full_disk_ends_the_video_and_not_the_watching(
    models: Path, full_disk: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "a.mp4", SHADES)
    site = filmed(models, str(clip), broker, full_disk / "annotated.mp4", bitrate_kbps=50_000)

    with Subscriber(broker.host, broker.port, ("ropewatch/v1/+/+/camera/+/incident",)) as inbox:
        ran = run(site, tmp_path)
        kinds = [json.loads(m.payload)["type"].split(".")[3] for m in inbox.messages(1.0)]

    assert ran.code == 3, ran.output
    assert len(ran.of("cam")) == 90
    assert kinds == ["start", "end"]
    assert "annotated video lost, watching goes on" in ran.output
    assert f"writing {full_disk}/annotated.mp4; free space" in ran.output


def test_a_box_whose_video_is_lost_says_so_and_watches_its_camera(
    models: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "a.mp4", [("black", 300)])

    with (
        RtspServer(clip, free_port()) as camera,
        Subscriber(broker.host, broker.port, ("ropewatch/v1/+/+/status",)) as inbox,
    ):
        process = start(filmed(models, camera.url, broker, Path("/dev/full")), tmp_path)
        told = next(
            (m for m in inbox.messages(PATIENCE_S) if b"annotated video" in m.payload), None
        )
        wait_for_frames(tmp_path, recorded(tmp_path) + 20)
        process.send_signal(signal.SIGTERM)
        ran = finish(process, tmp_path)

    assert told is not None, ran.output
    assert json.loads(told.payload)["status"] == "degraded"
    assert ran.code == 3, ran.output


def test_a_video_that_cannot_be_opened_keeps_no_box_from_watching(
    models: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "a.mp4", SHADES)
    (tmp_path / "a folder.mp4").mkdir()

    ran = run(filmed(models, str(clip), broker, tmp_path / "a folder.mp4"), tmp_path)

    assert ran.code == 3, ran.output
    assert len(ran.of("cam")) == 90
    assert "annotated video lost, watching goes on" in ran.output


def test_a_video_can_be_played_after_the_process_was_killed(
    models: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "a.mp4", [("black", 200)])
    file = tmp_path / "annotated.mp4"

    with RtspServer(clip, free_port()) as camera:
        process = start(filmed(models, camera.url, broker, file), tmp_path)
        wait_for_frames(tmp_path, 60)
        process.send_signal(signal.SIGKILL)
        ran = finish(process, tmp_path)

    assert ran.code == -signal.SIGKILL
    # What may be missing: a second in the making, and what the encoder had not had yet.
    assert decoded_frames(file) >= 40
