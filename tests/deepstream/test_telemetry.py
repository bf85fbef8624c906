import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepstream.health import Counts
from deepstream.lanes import Lane
from deepstream.outbox import Outbox
from deepstream.telemetry import TelemetryTeller, read_temperatures_c
from ropewatch.budget import Budget
from ropewatch.incidents import Phase
from ropewatch.moment import Moment
from ropewatch.wire import Wire
from tests.deepstream.posts import Time, incident_post, make_outbox

WIRE = Wire(site="s", box="b", boot_id="boot")


class Bench:
    """A teller with a clock to turn and counters to set."""

    def __init__(self, folder: Path, time: Time, budget: Budget | None = None) -> None:
        self.time = time
        self.outbox = make_outbox(folder / "state", time)
        self.counts = {"cam": Counts()}
        self.teller = TelemetryTeller(
            WIRE,
            self.outbox,
            counts=lambda: self.counts,
            counters=lambda: {"failed_frames": 2},
            state_dir=folder,
            every_s=10,
            clock=lambda: Moment(time.unix_ns(), int(time.now_s * 1e9)),
            budget=budget,
        )

    def tell(self, *, seconds: int, connected: bool = True) -> list[dict[str, Any]]:
        """Let time pass, a tick each second; return what was sent."""
        for _ in range(seconds):
            self.time.pass_s(1)
            self.teller.tick(connected=connected)
        return sent(self.outbox)


def sent(outbox: Outbox) -> list[dict[str, Any]]:
    found = []
    while (taken := outbox.take(100)) is not None:
        entry, message = taken
        outbox.delivered(entry)
        if entry.lane is Lane.TELEMETRY:
            assert (message.qos, message.retain, message.expiry_s) == (0, False, 60)
            found.append(json.loads(message.payload))
    return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, Time())


def test_telemetry_tells_rates_since_the_one_before(bench: Bench) -> None:
    bench.counts["cam"] = Counts(frames=250, seen=500, judged=400, passed_over=100)
    (first,) = bench.tell(seconds=10)
    (second,) = bench.tell(seconds=10)

    assert first["interval_s"] == 10
    assert first["cameras"]["cam"] == {
        "frames_per_s": 25.0,
        "people_per_frame": 2.0,
        "scores_per_s": 40.0,
        "passed_over_per_s": 10.0,
    }
    assert second["cameras"]["cam"] == {
        "frames_per_s": 0.0,
        "people_per_frame": None,
        "scores_per_s": 0.0,
        "passed_over_per_s": 0.0,
    }
    assert first["counters"] == {"failed_frames": 2}
    assert first["disk_free_bytes"] > 0


def test_telemetry_tells_how_the_classifier_keeps_up_with_live_cameras(tmp_path: Path) -> None:
    budget = Budget(cameras=1, frames_per_s=25, step=8)
    live, files = Bench(tmp_path / "a", Time(), budget), Bench(tmp_path / "b", Time())
    (before,) = live.tell(seconds=10)
    budget.per_frame, budget.queue_s = 7.125, 0.25
    (overloaded,) = live.tell(seconds=10)
    (of_files,) = files.tell(seconds=10)

    assert before["classifier"] == {"crops_per_frame": None, "queue_ms": 0}
    assert overloaded["classifier"] == {"crops_per_frame": 7.12, "queue_ms": 250}
    assert of_files["classifier"] is None


def test_telemetry_comes_every_so_often_and_not_to_nobody(bench: Bench) -> None:
    assert bench.tell(seconds=9) == []
    assert bench.tell(seconds=30, connected=False) == []

    (told,) = bench.tell(seconds=5)

    assert told["interval_s"] == 40
    assert bench.outbox.counters.dropped == {}


def test_telemetry_tells_what_waits_and_how_long_the_broker_s_answer_took(bench: Bench) -> None:
    (before,) = bench.tell(seconds=10)
    assert before["delivery"] == {"count": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None}
    post = incident_post(WIRE, "01INCIDENT", Phase.START, 1)
    bench.outbox.offer(replace(post, frame_age_s=0.25))
    bench.outbox.offer(incident_post(WIRE, "01OTHER", Phase.START, 2))
    bench.time.pass_s(9)
    bench.teller.tick(connected=True)
    bench.time.pass_s(1)
    bench.teller.tick(connected=True)

    (waiting,) = sent(bench.outbox)
    (after,) = bench.tell(seconds=10)

    assert waiting["queue"]["messages"] == 2
    assert waiting["queue"]["bytes"] > len(post.message.payload)
    # 10 s in the queue, and the frame was 250 ms old. Of the other's frame the time is not known.
    assert after["delivery"] == {"count": 1, "p50_ms": 10250, "p95_ms": 10250, "p99_ms": 10250}


def test_temperatures_are_those_of_zones_that_can_be_read(tmp_path: Path) -> None:
    zones = {"0": ("cpu-thermal", "48500"), "1": ("cpu-thermal", "51000"), "2": ("off", "-256000")}
    for number, (kind, temp) in zones.items():
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "type").write_text(f"{kind}\n")
        (zone / "temp").write_text(f"{temp}\n")
    (tmp_path / "thermal_zone3").mkdir()
    (tmp_path / "thermal_zone3" / "type").write_text("gpu-thermal\n")

    assert read_temperatures_c(tmp_path) == {
        "cpu-thermal": 48.5,
        "cpu-thermal-thermal_zone1": 51.0,
    }
    assert read_temperatures_c(tmp_path / "none") == {}
