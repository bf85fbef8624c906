"""A whole box that is killed in an incident, and one that ends while its broker is away."""

import json
import signal
import time
from pathlib import Path

import pytest

from demo.broker import PrivateBroker
from ropewatch.client import Subscriber
from tests.pipeline.running import finish, run, start
from tests.pipeline.tiny_site import make_clip, tiny_site, write_models

pytestmark = [pytest.mark.gst, pytest.mark.broker]


def test_a_killed_box_ends_at_its_next_start_what_it_had_open(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    write_models(tmp_path)
    unsafe = make_clip(tmp_path / "unsafe.mp4", [("white", 30)])
    safe = make_clip(tmp_path / "safe.mp4", [("black", 10)])
    mqtt = {"host": broker.host, "port": broker.port}
    endless = tiny_site(tmp_path, {"cam": str(unsafe)}, mqtt=mqtt)
    source = endless.sources[0].model_copy(update={"loop": True})

    with Subscriber(broker.host, broker.port, ("ropewatch/v1/+/+/camera/+/incident",)) as inbox:
        box = start(endless.model_copy(update={"sources": (source,)}), tmp_path)
        first = json.loads(next(inbox.messages(60.0)).payload)
        box.kill()
        box.communicate()
        ran = run(tiny_site(tmp_path, {"cam": str(safe)}, mqtt=mqtt), tmp_path)
        rest = [json.loads(message.payload) for message in inbox.messages(1.0)]

    assert ran.code == 0, ran.output
    assert "ended what an earlier run has left open count=1" in ran.output
    assert first["data"]["phase"] == "start"
    (end,) = [event for event in rest if event["id"] != first["id"]]
    assert end["subject"] == first["subject"]
    assert end["data"]["end_reason"] == "restart_recovery"
    assert end["data"]["boot_id"] > first["data"]["boot_id"]
    assert end["data"]["sequence"] == 1


def test_a_box_that_ends_while_its_broker_is_away_waits_some_seconds_for_it(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    write_models(tmp_path)
    unsafe = make_clip(tmp_path / "unsafe.mp4", [("white", 30)])
    mqtt = {"host": broker.host, "port": broker.port}
    endless = tiny_site(tmp_path, {"cam": str(unsafe)}, mqtt=mqtt)
    source = endless.sources[0].model_copy(update={"loop": True})

    with Subscriber(broker.host, broker.port, ("ropewatch/v1/+/+/camera/+/incident",)) as inbox:
        box = start(endless.model_copy(update={"sources": (source,)}), tmp_path)
        next(inbox.messages(60.0))
    broker.kill()
    box.send_signal(signal.SIGINT)
    time.sleep(2.0)
    broker.start()
    ran = finish(box, tmp_path)

    assert ran.code == 0, ran.output
    assert "broker trouble" in ran.output


def test_a_box_that_is_stopped_says_so_in_its_ends(broker: PrivateBroker, tmp_path: Path) -> None:
    write_models(tmp_path)
    unsafe = make_clip(tmp_path / "unsafe.mp4", [("white", 30)])
    mqtt = {"host": broker.host, "port": broker.port}
    endless = tiny_site(tmp_path, {"cam": str(unsafe)}, mqtt=mqtt)
    source = endless.sources[0].model_copy(update={"loop": True})

    with Subscriber(broker.host, broker.port, ("ropewatch/v1/+/+/camera/+/incident",)) as inbox:
        box = start(endless.model_copy(update={"sources": (source,)}), tmp_path)
        next(inbox.messages(60.0))
        box.send_signal(signal.SIGTERM)
        ran = finish(box, tmp_path)
        rest = [json.loads(message.payload) for message in inbox.messages(1.0)]

    assert ran.code == 0, ran.output
    assert [event["data"]["end_reason"] for event in rest if event["type"].endswith("end.v1")] == [
        "shutdown"
    ]
