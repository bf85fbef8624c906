"""A camera with more people than a slow classifier can judge: real RTSP, a whole graph.

What holds on every machine. How much sooner people alarm who take turns is measured by
benchmarks/overload.py and held by tests/core/test_budget.py.
"""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from demo.broker import PrivateBroker, free_port
from ropewatch.client import Received, Subscriber
from tests.pipeline.running import command, finish
from tests.pipeline.tiny_site import FPS, make_clip, tiny_site, write_models
from tests.rtsp_server import RtspServer

pytestmark = [pytest.mark.gst, pytest.mark.broker, pytest.mark.slow]

Place = tuple[float, ...]
PEOPLE = 20
PATIENCE_S = 120
TELEMETRY = "ropewatch/v1/s/b/telemetry"
INCIDENT = "ropewatch/v1/s/b/camera/cam/incident"
# Each person takes 20 ms at least, so all of a frame take four times as long as the camera does.
SLOW = """
import sys, time
from plugins.standin.nvinfer.session import Session
from ropewatch.cli import main
infer = Session.run
def slow(self, batch):
    if self.onnx.name == "rope.onnx":
        time.sleep(0.02 * len(batch))
    return infer(self, batch)
Session.run = slow
sys.exit(main(sys.argv[1:]))
"""


@dataclass
class Watched:
    """One run: where it is recorded, its newest telemetry, and the alarms that it has raised."""

    recording: Path
    telemetry: dict[str, Any] = field(default_factory=dict)
    alarms: set[str] = field(default_factory=set)

    def take(self, message: Received) -> None:
        """Note a message."""
        content = json.loads(message.payload)
        if message.topic == TELEMETRY:
            self.telemetry = content
        elif content["data"]["phase"] == "start":
            self.alarms.add(content["data"]["incident_id"])

    @property
    def passed_over_per_s(self) -> float:
        """Return the newest count."""
        return float(self.telemetry.get("cameras", {}).get("cam", {}).get("passed_over_per_s", 0))

    def people(self) -> list[list[dict[str, Any]]]:
        """Return the people of each frame so far."""
        if not self.recording.exists():
            return []
        *whole, _ = self.recording.read_text().split("\n")
        rows = [json.loads(line) for line in whole]
        return [row["persons"] for row in rows if row["type"] == "frame"]

    def turns(self) -> Counter[Place]:
        """Count who was judged in the frames that passed somebody over."""
        frames = [judged(persons) for persons in self.people()]
        return Counter(place for places in frames if len(places) < PEOPLE for place in places)


def judged(persons: list[dict[str, Any]]) -> list[Place]:
    """Return where those are whom the classifier was asked about."""
    return [tuple(person["box_ltwh_px"]) for person in persons if person["score"] is not None]


def watch(
    folder: Path, broker: PrivateBroker, most: str, until: Callable[[Watched], bool]
) -> Watched:
    """Watch a camera until something has happened."""
    write_models(folder, PEOPLE)
    clip = make_clip(folder / "a.mp4", [("black", 5 * FPS), ("white", 60 * FPS)])
    watched = Watched(folder / "recording.jsonl")
    with (
        RtspServer(clip, free_port()) as server,
        Subscriber(broker.host, broker.port, (TELEMETRY, INCIDENT)) as inbox,
    ):
        site = tiny_site(
            folder,
            {"cam": server.url},
            mqtt={"host": broker.host, "port": broker.port},
            classifier={
                "config_file": folder / "sgie.txt",
                "score_label": "unroped",
                "alert_when": "at_or_above",
                "max_crops_per_frame": most,
            },
            health={"telemetry_every_s": 1},
            # A picture of one shade is no evidence for long.
            view={"enabled": False},
        )
        program = [sys.executable, "-c", SLOW, *command(site, folder)[3:]]
        process = subprocess.Popen(
            program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        until_s = time.monotonic() + PATIENCE_S
        for message in inbox.messages(PATIENCE_S):
            watched.take(message)
            if until(watched) or time.monotonic() > until_s:
                break
        process.send_signal(signal.SIGTERM)
        ran = finish(process, folder)
    assert until(watched), ran.output
    return watched


def test_people_take_turns_and_nobody_is_lost_or_forgotten(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    watched = watch(
        tmp_path,
        broker,
        "auto",
        lambda so_far: (
            len(so_far.alarms) >= PEOPLE
            and so_far.passed_over_per_s > 0
            and len(so_far.turns()) == PEOPLE
        ),
    )

    assert 1 <= watched.telemetry["classifier"]["crops_per_frame"] < PEOPLE
    frames = watched.people()
    assert all(judged(persons) for persons in frames)
    # Nobody is lost or moved by being passed over.
    places = {tuple(sorted(tuple(p["box_ltwh_px"]) for p in persons)) for persons in frames}
    assert [len(boxes) for boxes in places] == [PEOPLE]


def test_everybody_is_judged_in_every_frame_where_the_site_wants_it(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    watched = watch(
        tmp_path,
        broker,
        "all",
        lambda so_far: so_far.telemetry.get("classifier", {}).get("queue_ms", 0) > 100,
    )

    assert watched.telemetry["classifier"]["crops_per_frame"] is None
    assert watched.passed_over_per_s == 0
    assert {len(judged(persons)) for persons in watched.people()} == {PEOPLE}
