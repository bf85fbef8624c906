"""A camera with more people than a slow classifier can judge: real RTSP, a really slow network."""

import json
import signal
import statistics
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from demo.broker import PrivateBroker, free_port
from plugins.standin.nvinfer.session import THREADS_VARIABLE
from ropewatch.client import Subscriber
from tests.pipeline.running import Ran, finish, start
from tests.pipeline.tiny_site import (
    CROP_WH,
    FPS,
    make_clip,
    tiny_site,
    write_classifier,
    write_models,
)
from tests.rtsp_server import RtspServer

pytestmark = [pytest.mark.gst, pytest.mark.broker]

PEOPLE = 20
# Everybody of a frame takes the classifier so many times as long as the camera takes.
OVERLOAD = 3
SAFE_S, UNSAFE_S = 12, 10
MAX_EVIDENCE_AGE_S = 3
STATUS, TELEMETRY = "ropewatch/v1/s/b/status", "ropewatch/v1/s/b/telemetry"
INCIDENT = "ropewatch/v1/s/b/camera/cam/incident"


@dataclass(frozen=True)
class Watched:
    """One run on the same camera: what it recorded, and what it said by topic."""

    ran: Ran
    told: dict[str, list[dict[str, Any]]]

    def frames(self) -> list[dict[str, Any]]:
        """Return the frames of the scene's last seconds."""
        return [f for f in self.ran.frames if self._scene_s(f["pts_ns"]) >= SAFE_S - 2]

    def frames_per_s(self) -> float:
        """Return their rate, in the scene's time."""
        frames = self.frames()
        return float((len(frames) - 1) * 1e9 / (frames[-1]["pts_ns"] - frames[0]["pts_ns"]))

    def delays_s(self) -> list[float]:
        """Return the time from the change of the scene to each alarm."""
        delays_s = []
        for message in self.told[INCIDENT]:
            data = message["data"]
            if data["phase"] == "start":
                times = [
                    datetime.fromisoformat(t[:-1]) for t in (data["captured_at"], message["time"])
                ]
                in_the_box_s = (times[1] - times[0]).total_seconds()
                delays_s.append(self._scene_s(data["pts_ns"]) - SAFE_S + in_the_box_s)
        return delays_s

    def _scene_s(self, pts_ns: int) -> float:
        return float((pts_ns - self.ran.frames[0]["pts_ns"]) / 1e9)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    few, many = (_inference_s(folder / "probe.onnx", layers) for layers in (2, 12))
    per_layer_s = (many - few) / 10
    write_models(folder, PEOPLE, layers=2 + round(OVERLOAD / FPS / per_layer_s))
    return folder


def _inference_s(path: Path, layers: int) -> float:
    write_classifier(path, layers)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    crops = np.zeros((PEOPLE, 3, CROP_WH[1], CROP_WH[0]), np.float32)
    took_s = []
    for _ in range(4):
        began_s = time.perf_counter()
        session.run(None, {"images": crops})
        took_s.append(time.perf_counter() - began_s)
    return min(took_s)


@pytest.fixture(scope="module")
def watched(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Watched]:
    folder = tmp_path_factory.mktemp("overload")
    clip = make_clip(folder / "a.mp4", [("black", SAFE_S * FPS), ("white", 3 * UNSAFE_S * FPS)])
    with PrivateBroker() as broker:
        return {
            most: _watch(models, clip, broker, folder / most, most) for most in ("auto", "all")
        }


def _watch(models: Path, clip: Path, broker: PrivateBroker, folder: Path, most: str) -> Watched:
    folder.mkdir()
    with (
        RtspServer(clip, free_port()) as server,
        Subscriber(broker.host, broker.port, (STATUS, TELEMETRY, INCIDENT)) as inbox,
    ):
        site = tiny_site(
            models,
            {"cam": server.url},
            mqtt={"host": broker.host, "port": broker.port},
            classifier={
                "config_file": models / "sgie.txt",
                "score_label": "unroped",
                "alert_when": "at_or_above",
                "max_crops_per_frame": most,
            },
            decision={"threshold": 0.5, "max_evidence_age_s": MAX_EVIDENCE_AGE_S},
            health={"telemetry_every_s": 1},
            # A picture of one shade is no evidence for long.
            view={"enabled": False},
        )
        # One thread: what it takes depends less on what else the machine has to do.
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(THREADS_VARIABLE, "1")
            process = start(site, folder)
        deadline_s = time.monotonic() + 60
        recording = folder / "recording.jsonl"
        while not recording.exists() or '"type": "frame"' not in recording.read_text():
            assert time.monotonic() < deadline_s, "no frame came"
            time.sleep(0.1)
        time.sleep(SAFE_S + UNSAFE_S)
        process.send_signal(signal.SIGTERM)
        ran = finish(process, folder)
        told: dict[str, list[dict[str, Any]]] = {STATUS: [], TELEMETRY: [], INCIDENT: []}
        for message in inbox.messages(1.0):
            told[message.topic].append(json.loads(message.payload))
    return Watched(ran, told)


def test_frames_keep_coming_when_people_take_turns(watched: dict[str, Watched]) -> None:
    auto, everybody = watched["auto"], watched["all"]

    assert everybody.frames_per_s() < 0.6 * FPS, "the classifier is not slow enough"
    assert auto.frames_per_s() > 0.9 * FPS, auto.ran.output
    # Nobody is lost or moved by being passed over.
    assert {len(frame["persons"]) for frame in auto.frames()} == {PEOPLE}


def test_nobodys_evidence_gets_too_old_when_people_take_turns(watched: dict[str, Watched]) -> None:
    auto = watched["auto"]
    states = [person["state"] for frame in auto.frames() for person in frame["persons"]]

    assert "unknown" not in states, auto.ran.output
    said = [reason for status in auto.told[STATUS] for reason in status["reasons"]]
    assert set(said) <= {"camera cam starting", "stopped"}


def test_people_alarm_sooner_when_they_take_turns(watched: dict[str, Watched]) -> None:
    auto, everybody = watched["auto"].delays_s(), watched["all"].delays_s()

    assert len(auto) == PEOPLE, watched["auto"].ran.output
    # Who has not alarmed by the end would have later.
    late = everybody + [float(UNSAFE_S)] * (PEOPLE - len(everybody))
    assert statistics.median(auto) < 0.7 * statistics.median(late), (auto, everybody)


def test_telemetry_says_that_people_take_turns(watched: dict[str, Watched]) -> None:
    newest, everybody = watched["auto"].told[TELEMETRY][-1], watched["all"].told[TELEMETRY][-1]

    assert 1 <= newest["classifier"]["crops_per_frame"] < PEOPLE
    assert newest["cameras"]["cam"]["passed_over_per_s"] > 0
    assert everybody["classifier"]["crops_per_frame"] is None
    assert everybody["classifier"]["queue_ms"] > 100
    assert everybody["cameras"]["cam"]["passed_over_per_s"] == 0
