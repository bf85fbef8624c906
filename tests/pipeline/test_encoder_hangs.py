"""An encoder that never answers, in whole runs: with the interpreter's lock held as NVIDIA's
bindings hold it, and without."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepstream.watchdog import TRACE_NAME
from demo.broker import PrivateBroker
from ropewatch.client import Received, Subscriber
from ropewatch.settings import SiteSettings
from tests.pipeline.running import command, run
from tests.pipeline.tiny_site import make_clip, tiny_site, write_models

pytestmark = [pytest.mark.gst, pytest.mark.broker]

# PyDLL calls with the lock held, CDLL without.
HANGING = """
import ctypes, sys
from deepstream import bus, meta, watchdog
from ropewatch.cli import main
watchdog.ANSWER_TIMEOUT_S, watchdog.EXIT_TIMEOUT_S = 1.0, 3.0
bus.CLOSE_TIMEOUT_S = 2
library = getattr(ctypes, sys.argv[1])(None)
meta.FrameEncoder.jpeg = lambda self, frame: library.sleep(600)
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def site(broker: PrivateBroker, tmp_path: Path) -> SiteSettings:
    """Somebody is unsafe for a second in every two, for ever."""
    write_models(tmp_path)
    clip = make_clip(tmp_path / "clip.mp4", [("black", 10), ("white", 10)])
    found = tiny_site(
        tmp_path,
        {"cam": str(clip)},
        decision={"threshold": 0.5, "open_after_s": 0.2, "close_after_s": 0.2},
        mqtt={"host": broker.host, "port": broker.port},
        snapshots={"enabled": True},
    )
    source = found.sources[0].model_copy(update={"loop": True})
    return found.model_copy(update={"sources": (source,)})


@pytest.fixture
def hang(site: SiteSettings, broker: PrivateBroker, tmp_path: Path) -> Callable[..., Any]:
    """Give a function that runs the site with an encoder that hangs, until the run ends itself."""

    def until_it_ends(library: str) -> tuple[int, str, list[Received]]:
        _, _, _, *arguments = command(site, tmp_path)
        program = [sys.executable, "-c", HANGING, library, *arguments]
        with Subscriber(broker.host, broker.port, ("ropewatch/v1/#",)) as inbox:
            done = subprocess.run(program, capture_output=True, text=True, timeout=50, check=False)
            return done.returncode, done.stdout + done.stderr, list(inbox.messages(1.0))

    return until_it_ends


def test_a_run_whose_encoder_hangs_ends_its_incidents_and_says_why(
    hang: Callable[..., Any], tmp_path: Path
) -> None:
    code, output, messages = hang("CDLL")

    incidents = [json.loads(m.payload)["data"] for m in messages if m.topic.endswith("/incident")]
    status = json.loads([m for m in messages if m.topic.endswith("s/b/status")][-1].payload)
    why = "snapshots: the object encoder has not answered for 1 s, want an answer in milliseconds"
    assert code == 1, output
    assert f"graph failed reason={why}" in output
    assert "graph hangs while it stops" in output
    assert status["status"] == "offline"
    assert status["reasons"][1].startswith(why)
    phases = [data["phase"] for data in incidents]
    assert phases.count("start") == phases.count("end") > 0
    assert "in <lambda>" in (tmp_path / "state" / TRACE_NAME).read_text()


def test_a_run_that_an_encoder_has_stopped_altogether_ends_and_the_next_one_rests_it(
    hang: Callable[..., Any], broker: PrivateBroker, site: SiteSettings, tmp_path: Path
) -> None:
    code, output, told = hang("PyDLL")
    trace = tmp_path / "state" / TRACE_NAME
    hung = trace.read_text()

    watching = site.model_copy(
        update={"sources": (site.sources[0].model_copy(update={"loop": False}),)}
    )
    with Subscriber(broker.host, broker.port, ("ropewatch/v1/#",)) as inbox:
        ran = run(watching, tmp_path)
        messages = list(inbox.messages(1.0))

    assert code == 1, output
    assert "Timeout (0:00:03)!" in hung
    assert "in <lambda>" in hung
    assert "no snapshots for 3600 s, the encoder hung before" in ran.output
    statuses = [json.loads(m.payload) for m in messages if m.topic.endswith("s/b/status")]
    (reason,) = {r for s in statuses for r in s["reasons"] if r.startswith("snapshots:")}
    assert "not used for 60 minutes after the start" in reason
    incidents = [
        json.loads(m.payload)["data"] for m in [*told, *messages] if m.topic.endswith("/incident")
    ]
    (end,) = [data for data in incidents if data["end_reason"] == "restart_recovery"]
    # The start whose picture hung was on disk before.
    (start,) = {
        data["boot_id"]
        for data in incidents
        if data["phase"] == "start" and data["incident_id"] == end["incident_id"]
    }
    assert start < end["boot_id"]
    assert not any("/snapshot/" in m.topic for m in messages)
    assert trace.read_text() == hung
