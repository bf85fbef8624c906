"""Cameras whose pictures come and show nothing, over a real RTSP server and in real pipelines."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from deepstream.gst import Gst
from deepstream.plan import ElementSpec, PropertyValue, ViewSpec
from deepstream.reference_file import ReferenceFile
from deepstream.views import CameraView, Views
from demo.broker import PrivateBroker, free_port
from ropewatch.aim import Luma
from ropewatch.client import Subscriber
from ropewatch.judging import ViewSettings
from ropewatch.observations import CLEAR
from ropewatch.reference import HEIGHT_PX, WIDTH_PX, Reference, to_pgm
from ropewatch.view import ViewCondition, ViewWatch
from tests.pipeline.running import Ran, finish, start
from tests.pipeline.tiny_site import FPS, encode, tiny_site, write_models
from tests.rtsp_server import RtspServer

pytestmark = [pytest.mark.gst]

WH = (320, 180)
PATIENCE_S = 40
CHROMA = bytes([128]) * (WH[0] * WH[1] // 2)
# Of the 320 x 180 clip: what the classifier sees of the person is inside.
CROP = (slice(40, 170), slice(120, 200))
SAFE, UNSAFE = 30, 230

Picture = npt.NDArray[np.uint8]


def yard(seed: int, *, crop: int) -> Picture:
    """A wall of coarse bricks, some of other shades each time, and one where the person is."""
    bricks = np.random.default_rng(1).integers(60, 200, (12, 20), np.uint8)
    bricks[:2] += np.random.default_rng(seed).integers(0, 50, (2, 20), np.uint8)
    picture: Picture = np.kron(bricks, np.ones((15, 16), np.uint8))
    picture[CROP] = crop
    return picture


def live(seconds: float, *, crop: int) -> list[Picture]:
    return [yard(number, crop=crop) for number in range(round(seconds * FPS))]


def flat(seconds: float, shade: int) -> list[Picture]:
    picture = np.full((WH[1], WH[0]), shade, np.uint8)
    noise = np.random.default_rng(2)
    return [
        (picture + noise.integers(0, 6, picture.shape)).astype(np.uint8)
        for _ in range(round(seconds * FPS))
    ]


def clip(path: Path, pictures: list[Picture]) -> Path:
    return encode(path, b"".join(each.tobytes() + CHROMA for each in pictures), wh=WH)


def watched(
    file: Path,
    broker: PrivateBroker,
    folder: Path,
    view: Mapping[str, object],
    until: list[str],
    *,
    right: Picture | None = None,
) -> tuple[Ran, list[str], list[dict[str, Any]]]:
    """Watch a camera until its statuses end with those asked for; return them and the box's.

    Where `right` is given, an earlier run has learnt it for the right view.
    """
    write_models(folder)
    mqtt = {"host": broker.host, "port": broker.port}
    filters = ("ropewatch/v1/+/+/camera/+/status", "ropewatch/v1/+/+/status")
    told: list[str] = []
    box: list[dict[str, Any]] = []
    with (
        RtspServer(file, free_port()) as server,
        Subscriber(broker.host, broker.port, filters) as inbox,
    ):
        site = tiny_site(folder, {"cam": server.url}, mqtt=mqtt, view=view)
        if right is not None:
            learnt = cv2.resize(right, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
            content = to_pgm(Reference(learnt, learnt), site.sources[0].view_key())
            (folder / "state/views").mkdir(parents=True)
            (folder / "state/views/cam.pgm").write_bytes(content)
        process = start(site, folder)
        deadline_s = time.monotonic() + PATIENCE_S
        for message in inbox.messages(PATIENCE_S):
            content = json.loads(message.payload)
            if "/camera/" in message.topic:
                told.append(content["reason"] or content["status"])
            else:
                box.append(content)
            if told[-len(until) :] == until or time.monotonic() > deadline_s:
                break
        process.send_signal(signal.SIGTERM)
        ran = finish(process, folder)
    return ran, told, box


@pytest.mark.broker
def test_a_picture_that_freezes_ends_nothing_and_says_nothing_of_the_rope(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    frozen = live(0.1, crop=SAFE) * (12 * FPS)
    pictures = [*live(4, crop=UNSAFE), *frozen, *live(9, crop=SAFE)]
    file = clip(tmp_path / "a.mp4", pictures)
    until = ["watching", "frozen", "watching"]

    ran, told, box = watched(file, broker, tmp_path, {"frozen_after_s": 6}, until)

    assert told[-3:] == until, ran.output
    phases = [(one["phase"], one["state"], one["end_reason"]) for one in ran.incidents]
    assert phases[0] == ("start", "unsafe", None), phases
    assert ("update", "unknown", None) in phases, phases
    ends = [each for each in phases if each[0] == "end"]
    assert len(ends) == 1, phases
    start_pts, end_pts = ran.incidents[0]["pts_ns"], ran.incidents[-1]["pts_ns"]
    # It was not over before the picture moved again.
    assert end_pts - start_pts > 10e9, phases
    states = [frame["persons"][0]["state"] for frame in ran.of("cam")]
    assert "unknown" in states
    reasons = [reason for status in box for reason in status["reasons"]]
    assert "camera cam: frozen, its picture does not change" in reasons


@pytest.mark.broker
def test_a_dark_and_a_covered_camera_is_blind_until_it_shows_something_again(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    scenes = [
        *live(4, crop=SAFE),
        *flat(5, 16),
        *live(4, crop=SAFE),
        *flat(5, 120),
        *live(8, crop=SAFE),
    ]
    file = clip(tmp_path / "a.mp4", scenes)
    view = {"dark_after_s": 2, "covered_after_s": 2, "clear_after_s": 1}
    until = ["watching", "dark", "watching", "covered", "watching"]

    ran, told, _ = watched(file, broker, tmp_path, view, until)

    assert told[-5:] == until, ran.output
    assert ran.code == 0, ran.output


@pytest.mark.broker
def test_a_camera_that_was_knocked_while_the_box_was_off_is_blind_until_it_is_put_right(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    turned = [np.roll(each, (10, 50), axis=(0, 1)) for each in live(14, crop=SAFE)]
    file = clip(tmp_path / "a.mp4", [*turned, *live(12, crop=SAFE)])
    until = ["watching", "moved", "watching"]
    view = {"moved_after_s": 2, "clear_after_s": 1}

    ran, told, box = watched(file, broker, tmp_path, view, until, right=yard(1, crop=SAFE))

    assert told[-3:] == until, ran.output
    reasons = {reason for status in box for reason in status["reasons"]}
    said = "moved, it looks elsewhere than its reference view, see docs/blindness.md"
    assert f"camera cam: {said}" in reasons
    assert ran.code == 0, ran.output


@pytest.mark.broker
def test_a_camera_whose_picture_nobody_wants_looked_at_is_watched(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    file = clip(tmp_path / "a.mp4", flat(8, 16))
    view = {"enabled": False, "dark_after_s": 1}

    ran, told, _ = watched(file, broker, tmp_path, view, ["lost"])

    assert "dark" not in told, ran.output
    assert "watching" in told


class Camera:
    """A pipeline that stands for a camera and its muxer: 50 frames a second, for ever."""

    def __init__(self) -> None:
        Gst.init(None)
        line = (
            "videotestsrc name=scene is-live=true ! video/x-raw,format=NV12,width=256,height=144,"
        )
        self.pipeline = Gst.parse_launch(f"{line}framerate=50/1 ! fakesink name=mux sync=false")
        self.pad = self.pipeline.get_by_name("mux").get_static_pad("sink")
        self.frames = 0
        self.pad.add_probe(Gst.PadProbeType.BUFFER, self._count)
        self.pipeline.set_state(Gst.State.PLAYING)

    def goes_on(self) -> bool:
        want = self.frames + 10
        wait_until(lambda: self.frames >= want, "the camera's frames do not go on")
        return True

    def _count(self, _pad: Any, _info: Any) -> Any:
        self.frames += 1
        return Gst.PadProbeReturn.OK


@pytest.fixture
def camera() -> Iterator[Camera]:
    one = Camera()
    yield one
    one.pipeline.set_state(Gst.State.NULL)


class Counted(ViewWatch):
    looks = 0

    def look(self, luma: Luma, now_s: float) -> None:
        self.looks += 1
        super().look(luma, now_s)


def looked_at(
    camera: Camera,
    *middle: ElementSpec,
    watch: ViewWatch | None = None,
    file: ReferenceFile | None = None,
) -> tuple[CameraView, Views]:
    sink: dict[str, PropertyValue] = {"max-buffers": 1, "sync": False, "async": False}
    elements = (
        ElementSpec("view-in-a", "appsrc", {"format": 3}),
        *middle,
        ElementSpec("view-out-a", "appsink", sink),
    )
    watch = watch or ViewWatch(ViewSettings())
    view = CameraView(ViewSpec("a", 0, elements), camera.pad, watch, file)
    return view, Views({0: view})


def wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s, otherwise
        time.sleep(0.05)


def test_a_picture_is_looked_at_twice_a_second(camera: Camera) -> None:
    watch = Counted(ViewSettings())
    _, views = looked_at(camera, watch=watch)

    began_s = time.monotonic()
    views.start()
    wait_until(lambda: watch.looks >= 6, "it is not looked at")
    views.stop()
    took_s = time.monotonic() - began_s

    assert views.troubles() == []
    assert watch.looks <= 2 * took_s + 1
    assert camera.goes_on()


def test_a_view_is_learnt_and_kept_and_a_turned_camera_told_by_it(
    camera: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ropewatch.reference.LEARN_EVERY_S", 0.0)
    watch, file = ViewWatch(ViewSettings()), ReferenceFile(tmp_path, "a", "0" * 64)
    _, views = looked_at(camera, watch=watch, file=file)
    views.start()
    wait_until((tmp_path / "a.pgm").exists, "it is not kept")
    views.stop()
    again = ViewWatch(ViewSettings(moved_after_s=1), ReferenceFile(tmp_path, "a", "0" * 64).read())

    camera.pipeline.get_by_name("scene").set_property("pattern", "circular")
    _, views = looked_at(camera, watch=again)
    views.start()
    wait_until(lambda: views.condition(0) is ViewCondition.MOVED, "it is not moved")
    views.stop()


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (ElementSpec("broken", "identity", {"error-after": 2}), "broken: Failed after iterations"),
        (ElementSpec("broken", "valve", {"drop": True}), "no picture within 1 s of its frame"),
        (ElementSpec("broken", "no-such-element"), "no element no-such-element on this machine"),
        (ElementSpec("broken", "audioconvert"), "view-in-a: Internal data stream error"),
    ],
)
def test_a_view_that_fails_is_told_and_the_camera_goes_on(
    broken: ElementSpec, said: str, camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepstream.views.ANSWER_WITHIN_S", 1.0)
    view, views = looked_at(camera, broken)

    views.start()
    wait_until(lambda: view.lost is not None, "it is not lost")

    (trouble,) = views.troubles()
    assert trouble.startswith("camera a: its picture is not looked at, ")
    assert said in trouble
    assert views.view(0) == CLEAR
    assert views.condition(0) is None
    assert camera.goes_on()
    views.stop()


@pytest.mark.parametrize("sigma", [10, 30])
def test_a_covers_noise_is_no_structure_as_the_graph_makes_pictures_small(sigma: int) -> None:
    command = [sys.executable, "-m", "tests.pipeline.small_picture", str(sigma)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)

    assert float(ran.stdout) < ViewSettings().covered_below_structure
