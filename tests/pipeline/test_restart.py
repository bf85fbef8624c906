"""A whole box that is killed in an incident, ends while its broker is away, is started twice."""

import json
import signal
import time
from pathlib import Path

import pytest

from demo.broker import PrivateBroker
from ropewatch.client import Subscriber
from ropewatch.settings import SiteSettings
from tests.pipeline.running import finish, run, start
from tests.pipeline.tiny_site import make_clip, tiny_site, write_models

pytestmark = [pytest.mark.gst, pytest.mark.broker]


def endless_site(broker: PrivateBroker, folder: Path) -> SiteSettings:
    """Return a site where somebody is unsafe for ever."""
    write_models(folder)
    unsafe = make_clip(folder / "unsafe.mp4", [("white", 30)])
    mqtt = {"host": broker.host, "port": broker.port}
    site = tiny_site(folder, {"cam": str(unsafe)}, mqtt=mqtt)
    source = site.sources[0].model_copy(update={"loop": True})
    return site.model_copy(update={"sources": (source,)})


def test_a_killed_box_ends_at_its_next_start_what_it_had_open(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    endless = endless_site(broker, tmp_path)
    safe = make_clip(tmp_path / "safe.mp4", [("black", 10)])

    with Subscriber(broker.host, broker.port, ("ropewatch/v1/+/+/camera/+/incident",)) as inbox:
        box = start(endless, tmp_path)
        first = json.loads(next(inbox.messages(60.0)).payload)
        box.kill()
        box.communicate()
        mqtt = endless.mqtt.model_dump(include={"host", "port"})
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


def test_a_camera_that_was_taken_out_after_a_kill_is_not_left_behind_as_watched(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    endless = endless_site(broker, tmp_path)
    safe = make_clip(tmp_path / "safe.mp4", [("black", 10)])
    of_camera = tuple(f"ropewatch/v1/+/+/camera/cam/{last}" for last in ("incident", "state"))

    with Subscriber(broker.host, broker.port, of_camera) as inbox:
        box = start(endless, tmp_path)
        next(m for m in inbox.messages(60.0) if json.loads(m.payload).get("open_incidents"))
        box.kill()
        box.communicate()
    mqtt = endless.mqtt.model_dump(include={"host", "port"})
    ran = run(tiny_site(tmp_path, {"other": str(safe)}, mqtt=mqtt), tmp_path)
    with Subscriber(broker.host, broker.port, ("ropewatch/v1/+/+/camera/cam/+",)) as inbox:
        left = [json.loads(message.payload) for message in inbox.messages(1.0)]

    assert ran.code == 0, ran.output
    assert {(one.get("reason"), one.get("open_incidents") == []) for one in left} == {
        ("stopped", False),
        (None, True),
    }


def test_a_box_that_ends_while_its_broker_is_away_waits_some_seconds_for_it(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    site = endless_site(broker, tmp_path)

    with Subscriber(broker.host, broker.port, ("ropewatch/v1/+/+/camera/+/incident",)) as inbox:
        box = start(site, tmp_path)
        next(inbox.messages(60.0))
    broker.kill()
    box.send_signal(signal.SIGINT)
    time.sleep(2.0)
    broker.start()
    ran = finish(box, tmp_path)

    assert ran.code == 0, ran.output
    assert "broker trouble" in ran.output


def test_a_box_that_is_stopped_says_so_in_its_ends(broker: PrivateBroker, tmp_path: Path) -> None:
    site = endless_site(broker, tmp_path)

    with Subscriber(broker.host, broker.port, ("ropewatch/v1/+/+/camera/+/incident",)) as inbox:
        box = start(site, tmp_path)
        next(inbox.messages(60.0))
        box.send_signal(signal.SIGTERM)
        ran = finish(box, tmp_path)
        rest = [json.loads(message.payload) for message in inbox.messages(1.0)]

    assert ran.code == 0, ran.output
    assert [event["data"]["end_reason"] for event in rest if event["type"].endswith("end.v1")] == [
        "shutdown"
    ]


def test_a_second_run_of_a_box_is_refused_and_the_first_keeps_its_session(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    site = endless_site(broker, tmp_path)

    with Subscriber(broker.host, broker.port, ("ropewatch/v1/+/+/camera/+/incident",)) as inbox:
        first = start(site, tmp_path)
        next(inbox.messages(60.0))
        second = run(site, tmp_path)
    first.send_signal(signal.SIGTERM)
    ran = finish(first, tmp_path)

    assert second.code == 1
    assert f"run.lock: held by another run of ropewatch (pid {first.pid} on " in second.output
    assert "broker" not in second.output
    assert ran.code == 0, ran.output
    assert "broker trouble" not in ran.output
