"""Cameras over a real RTSP server; what they send is in tiny_site."""

import json
import re
import signal
import time
from pathlib import Path

import pytest

from demo.broker import PrivateBroker, free_port
from ropewatch.client import Subscriber
from tests.pipeline.running import finish, start
from tests.pipeline.tiny_site import make_clip, tiny_site, write_models
from tests.rtsp_server import RtspServer
from tests.waiting import wait_until

pytestmark = [pytest.mark.gst, pytest.mark.broker]

PATIENCE_S = 30


def recorded(folder: Path, source_id: str) -> int:
    recording = folder / "recording.jsonl"
    text = recording.read_text() if recording.exists() else ""
    return text.count(f'"source_id": "{source_id}"')


def track_ids(folder: Path) -> set[str]:
    return set(re.findall(r'"object_id": "?(\d+)', (folder / "recording.jsonl").read_text()))


def test_h264_and_h265_cameras_are_watched_and_incidents_arrive(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    write_models(tmp_path)
    shades = [("black", 30), ("white", 170)]
    avc = make_clip(tmp_path / "avc.mp4", shades)
    hevc = make_clip(tmp_path / "h265.mkv", shades, codec="h265")
    mqtt = {"host": broker.host, "port": broker.port}
    filters = ("ropewatch/v1/+/+/camera/+/incident",)

    with (
        RtspServer(avc, free_port()) as first,
        RtspServer(hevc, free_port()) as second,
        Subscriber(broker.host, broker.port, filters) as inbox,
    ):
        site = tiny_site(tmp_path, {"avc": first.url, "hevc": second.url}, mqtt=mqtt)
        process = start(site, tmp_path)
        cameras = set()
        for message in inbox.messages(PATIENCE_S):
            cameras.add(json.loads(message.payload)["data"]["camera"])
            if cameras == {"avc", "hevc"}:
                break
        process.send_signal(signal.SIGTERM)
        ran = finish(process, tmp_path)

    assert cameras == {"avc", "hevc"}, ran.output
    assert ran.code == 0, ran.output


def test_a_camera_that_goes_away_is_blind_and_watched_again_when_it_comes_back(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    write_models(tmp_path)
    clip = make_clip(tmp_path / "a.mp4", [("black", 600)])
    mqtt = {"host": broker.host, "port": broker.port}
    port, other_port = free_port(), free_port()
    filters = ("ropewatch/v1/+/+/camera/cam/status",)

    with (
        RtspServer(clip, port) as server,
        RtspServer(clip, other_port) as other,
        Subscriber(broker.host, broker.port, filters) as inbox,
    ):
        uris = {"cam": server.url, "other": other.url}
        site = tiny_site(tmp_path, uris, mqtt=mqtt, health={"blind_after_s": 1})
        sources = tuple(
            source.model_copy(update={"rtsp_reconnect_interval_s": 2}) for source in site.sources
        )
        process = start(site.model_copy(update={"sources": sources}), tmp_path)
        wait_until(lambda: recorded(tmp_path, "cam") > 5)

        server.kill()
        conditions = []
        for message in inbox.messages(PATIENCE_S):
            conditions.append(json.loads(message.payload))
            if conditions[-1]["reason"] == "lost":
                break
        others_before = recorded(tmp_path, "other")
        wait_until(lambda: recorded(tmp_path, "other") > others_before + 5)
        server.start()
        returned = next(inbox.messages(PATIENCE_S))
        process.send_signal(signal.SIGTERM)
        ran = finish(process, tmp_path)

    assert conditions[-1]["status"] == "blind", ran.output
    assert json.loads(returned.payload)["status"] == "watching", ran.output
    assert ran.code == 0, ran.output


def test_an_open_incident_goes_on_when_the_camera_comes_back_and_ids_are_new(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    write_models(tmp_path)
    clip = make_clip(tmp_path / "a.mp4", [("white", 600)])
    mqtt = {"host": broker.host, "port": broker.port}
    filters = ("ropewatch/v1/+/+/camera/cam/incident",)

    with (
        RtspServer(clip, free_port()) as server,
        Subscriber(broker.host, broker.port, filters) as inbox,
    ):
        site = tiny_site(
            tmp_path,
            {"cam": server.url},
            mqtt=mqtt,
            decision={"threshold": 0.5, "gone_after_s": 60},
        )
        sources = tuple(
            source.model_copy(update={"rtsp_reconnect_interval_s": 1}) for source in site.sources
        )
        process = start(site.model_copy(update={"sources": sources}), tmp_path)
        told = [json.loads(next(inbox.messages(PATIENCE_S)).payload)]
        server.kill()
        time.sleep(2.5)
        server.start()
        # What was on its way before the camera went bears the old id, however much that is.
        wait_until(lambda: len(track_ids(tmp_path)) > 1)
        process.send_signal(signal.SIGTERM)
        for message in inbox.messages(PATIENCE_S):
            told.append(json.loads(message.payload))
            if told[-1]["data"]["phase"] == "end":
                break
        ran = finish(process, tmp_path)

    assert [one["data"]["phase"] for one in told if one["data"]["phase"] != "update"] == [
        "start",
        "end",
    ], ran.output
    assert len({one["data"]["incident_id"] for one in told}) == 1
    assert len(told[-1]["data"]["evidence"]["tracks"]) > 1
