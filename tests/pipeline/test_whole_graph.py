"""Whole graphs on real GStreamer with the CPU stand-ins; see tiny_site for what they watch."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from demo.broker import PrivateBroker, free_port
from ropewatch.client import Subscriber
from tests.pipeline.running import finish, run, start
from tests.pipeline.tiny_site import FPS, PERSON_LTWH_PX, make_clip, tiny_site, write_models

pytestmark = [pytest.mark.gst, pytest.mark.broker]

SAFE_UNSAFE_SAFE = [("black", 20), ("white", 30), ("black", 40)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "a.mp4", SAFE_UNSAFE_SAFE)


@pytest.fixture(scope="module")
def other_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Another size, odd to a macroblock, another codec, another container, and sound.
    path = tmp_path_factory.mktemp("other") / "b.mkv"
    return make_clip(path, [("black", 50)], wh=(322, 182), codec="h265", audio=True)


def mqtt(broker: PrivateBroker) -> dict[str, object]:
    return {"host": broker.host, "port": broker.port}


def test_an_unclipped_person_becomes_one_incident_at_the_broker(
    models: Path, clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    site = tiny_site(models, {"cam": str(clip)}, mqtt=mqtt(broker))

    with Subscriber(broker.host, broker.port, ("ropewatch/v1/+/+/camera/+/incident",)) as inbox:
        ran = run(site, tmp_path)
        events = [json.loads(m.payload) for m in inbox.messages(1.0)]

    assert ran.code == 0, ran.output
    assert [event["type"].split(".")[3] for event in events] == ["start", "end"]
    assert len({event["subject"] for event in events}) == 1
    assert events[1]["data"]["end_reason"] == "rope_seen"
    evidence = events[0]["data"]["evidence"]
    assert set(evidence["versions"]) == {"detector", "classifier", "config"}
    # The crop that the next test works out, and 1 s of frames at 10 fps.
    assert evidence["crop_ltwh_px"] == [260.0, 104.0, 120.0, 216.0]
    assert len(evidence["trail"]) == 11
    assert all(point["score"] is not None for point in evidence["trail"])


def test_the_incident_starts_and_ends_when_the_settings_say(
    models: Path, clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    decision = {"threshold": 0.5, "open_after_s": 0.5, "close_after_s": 1.0}
    site = tiny_site(models, {"cam": str(clip)}, mqtt=mqtt(broker), decision=decision)

    ran = run(site, tmp_path)

    start_s, end_s = (row["pts_ns"] / 1e9 for row in ran.incidents)
    # White from 2.0 s to 5.0 s. The median of six values follows half a window later.
    assert start_s == pytest.approx(2.0 + 0.5 + 0.25, abs=0.16)
    assert end_s == pytest.approx(5.0 + 1.0 + 0.25, abs=0.16)


def test_every_frame_of_every_camera_is_judged(
    models: Path, clip: Path, other_clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    uris = {"cam-a": str(clip), "cam-b": str(other_clip)}

    ran = run(tiny_site(models, uris, mqtt=mqtt(broker)), tmp_path)

    assert ran.code == 0, ran.output
    assert [frame["frame_num"] for frame in ran.of("cam-a")] == list(range(90))
    assert [frame["frame_num"] for frame in ran.of("cam-b")] == list(range(50))
    assert all(len(frame["persons"]) == 1 for frame in ran.frames)
    steps_ns = {
        later["pts_ns"] - earlier["pts_ns"]
        for earlier, later in zip(ran.of("cam-a"), ran.of("cam-a")[1:], strict=False)
    }
    assert all(abs(step - 1e9 / FPS) < 2e6 for step in steps_ns)


def test_boxes_downstream_are_the_persons_own_after_the_classifier(
    models: Path, clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    ran = run(tiny_site(models, {"cam": str(clip)}, mqtt=mqtt(broker)), tmp_path)

    person = ran.frames[0]["persons"][0]
    assert tuple(person["box_ltwh_px"]) == pytest.approx(PERSON_LTWH_PX)
    # Grown by one width each side, 0.2 heights up, 1.5 down, then cut and evened.
    assert person["crop_ltwh_px"] == [260.0, 104.0, 120.0, 216.0]


def test_a_camera_that_fails_does_not_take_the_others_down(
    models: Path, clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("this is no video\n" * 100)
    (tmp_path / "empty.mp4").touch()
    uris = {
        "text": str(text),
        "empty": str(tmp_path / "empty.mp4"),
        "gone": str(tmp_path / "gone.mp4"),
        "good": str(clip),
    }

    ran = run(tiny_site(models, uris, mqtt=mqtt(broker)), tmp_path)

    assert ran.code == 3, ran.output
    assert len(ran.of("good")) == 90
    assert "source text: " in ran.output
    assert "the file holds text" in ran.output
    assert "the file is empty" in ran.output
    assert "gone.mp4: no such file" in ran.output


def test_a_run_without_a_source_left_fails(
    models: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    ran = run(tiny_site(models, {"a": str(tmp_path / "gone.mp4")}, mqtt=mqtt(broker)), tmp_path)

    assert ran.code == 1, ran.output
    assert "no source left" in ran.output


def test_a_truncated_video_is_watched_as_far_as_it_goes(
    models: Path, clip: Path, other_clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.mkv"
    whole = other_clip.read_bytes()
    cut.write_bytes(whole[: len(whole) * 2 // 3])

    ran = run(tiny_site(models, {"cut": str(cut), "a": str(clip)}, mqtt=mqtt(broker)), tmp_path)

    assert ran.code in {0, 3}, ran.output
    assert len(ran.of("a")) == 90


def test_watching_goes_on_without_a_broker_and_says_what_was_not_delivered(
    models: Path, clip: Path, tmp_path: Path
) -> None:
    absent = {"host": "127.0.0.1", "port": free_port()}

    ran = run(tiny_site(models, {"cam": str(clip)}, mqtt=absent), tmp_path)

    assert ran.code == 3, ran.output
    assert len(ran.frames) == 90
    assert "messages not delivered" in ran.output


def test_a_required_broker_that_is_absent_stops_the_run(
    models: Path, clip: Path, tmp_path: Path
) -> None:
    absent = {
        "host": "127.0.0.1",
        "port": free_port(),
        "require_broker": True,
        "connect_timeout_s": 1,
    }

    ran = run(tiny_site(models, {"cam": str(clip)}, mqtt=absent), tmp_path)

    assert ran.code == 1
    assert "want a broker within 1 s" in ran.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_the_graph_and_ends_incidents(
    models: Path, clip: Path, broker: PrivateBroker, tmp_path: Path, number: signal.Signals
) -> None:
    video = {"annotated_file": tmp_path / "annotated.mp4", "width_px": 640}
    site = tiny_site(models, {"cam": str(clip)}, mqtt=mqtt(broker), video=video)
    looped = site.sources[0].model_copy(update={"loop": True})
    endless = site.model_copy(update={"sources": (looped,)})
    filters = ("ropewatch/v1/+/+/camera/+/incident",)

    with Subscriber(broker.host, broker.port, filters) as inbox:
        process = start(endless, tmp_path)
        first = json.loads(next(inbox.messages(30.0)).payload)
        process.send_signal(number)
        ran = finish(process, tmp_path)
        rest = [json.loads(m.payload) for m in inbox.messages(1.0)]

    assert first["type"].endswith("start.v1")
    assert ran.code == 0, ran.output
    ends = [event for event in [first, *rest] if event["type"].endswith("end.v1")]
    starts = [event for event in [first, *rest] if event["type"].endswith("start.v1")]
    assert {e["subject"] for e in ends} == {e["subject"] for e in starts}
    assert decoded_frames(tmp_path / "annotated.mp4") > 0


def test_a_box_tells_its_rates_and_how_long_its_messages_took(
    models: Path, clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    site = tiny_site(
        models, {"cam": str(clip)}, mqtt=mqtt(broker), health={"telemetry_every_s": 1}
    )
    looped = site.sources[0].model_copy(update={"loop": True})

    with Subscriber(broker.host, broker.port, ("ropewatch/v1/+/+/telemetry",)) as inbox:
        process = start(site.model_copy(update={"sources": (looped,)}), tmp_path)
        for message in inbox.messages(30.0):
            told = json.loads(message.payload)
            if told["delivery"]["count"]:
                break
        process.send_signal(signal.SIGTERM)
        finish(process, tmp_path)

    assert told["cameras"]["cam"]["frames_per_s"] > 0
    assert told["cameras"]["cam"]["people_per_frame"] == 1
    # A tiny network on a loaded machine; a wrong clock would be hours off.
    assert 0 < told["delivery"]["p50_ms"] < 20_000


def test_the_annotated_video_has_a_picture_for_every_batch(
    models: Path, clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    video = {"annotated_file": tmp_path / "annotated.mp4", "width_px": 640}

    ran = run(tiny_site(models, {"cam": str(clip)}, mqtt=mqtt(broker), video=video), tmp_path)

    assert ran.code == 0, ran.output
    assert decoded_frames(tmp_path / "annotated.mp4") == 90


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("pgie.txt", ("person.onnx", "gone.onnx"), "gone.onnx"),
        ("pgie.txt", ("infer-dims=3;72;128", "infer-dims=3;96;128"), "infer-dims"),
        ("pgie.txt", ("libnvdsinfer_ropewatch.so", "libgone.so"), "custom-lib-path"),
        ("pgie.txt", ("pre-cluster-threshold=0.35", "pre-cluster-threshold=-1"), "pre-cluster"),
        ("sgie.txt", ("secondary-reinfer-interval=0", ""), "secondary-reinfer-interval"),
        ("rope_labels.txt", ("roped;unroped", "roped\nunroped"), "rope_labels.txt"),
        ("rope_labels.txt", ("unroped", "bare"), "score_label"),
        ("rope_labels.txt", ("roped;unroped", "a;b;unroped"), "3 labels, want 2"),
        ("rope_labels.txt", ("roped;unroped", "unroped;a;b"), "3 labels, want 2"),
    ],
)
def test_a_wrong_file_gives_one_clear_message_and_an_exit_code(
    models: Path,
    clip: Path,
    broker: PrivateBroker,
    tmp_path: Path,
    file: str,
    change: tuple[str, str],
    said: str,
) -> None:
    write_models(tmp_path / "models")
    broken = tmp_path / "models" / file
    broken.write_text(broken.read_text().replace(*change))

    ran = run(tiny_site(tmp_path / "models", {"cam": str(clip)}, mqtt=mqtt(broker)), tmp_path)

    assert ran.code == 1, ran.output
    assert said in ran.output
    assert file in ran.output
    assert "Traceback" not in ran.output
    assert "pgie: pgie: " not in ran.output


def test_a_camera_that_has_ended_leaves_no_incident_open_while_others_go_on(
    models: Path, clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    short = make_clip(tmp_path / "short.mp4", [("white", 30)])
    site = tiny_site(models, {"short": str(short), "endless": str(clip)}, mqtt=mqtt(broker))
    sources = (site.sources[0], site.sources[1].model_copy(update={"loop": True}))
    filters = ("ropewatch/v1/+/+/camera/short/incident",)

    with Subscriber(broker.host, broker.port, filters) as inbox:
        process = start(site.model_copy(update={"sources": sources}), tmp_path)
        first, second = (json.loads(next(inbox.messages(30.0)).payload) for _ in range(2))
        process.send_signal(signal.SIGTERM)
        finish(process, tmp_path)

    assert first["data"]["phase"] == "start"
    assert second["data"]["phase"] == "end"
    assert second["data"]["end_reason"] == "stream_ended"


def test_a_broker_that_refuses_every_message_shows_in_the_exit_code(
    models: Path, clip: Path, tmp_path: Path
) -> None:
    access = tmp_path / "acl"
    access.write_text("topic read #\n")
    access.chmod(0o644)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)

    with PrivateBroker(extra_config=f"acl_file {access}") as broker:
        ran = run(tiny_site(models, {"cam": str(clip)}, mqtt=mqtt(broker)), tmp_path)

    assert ran.code == 3, ran.output
    assert "refused_messages=" in ran.output


def test_an_rtsp_host_that_is_not_there_leaves_the_others_watching(
    models: Path, clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    uris = {"dead": f"rtsp://127.0.0.1:{free_port()}/x", "good": str(clip)}
    site = tiny_site(models, uris, mqtt=mqtt(broker), health={"blind_after_s": 1})
    filters = ("ropewatch/v1/+/+/camera/dead/status",)

    with Subscriber(broker.host, broker.port, filters) as inbox:
        process = start(site, tmp_path)
        conditions = []
        for received in inbox.messages(20.0):
            conditions.append(json.loads(received.payload))
            if conditions[-1]["reason"] == "lost":
                break
        deadline_s = time.monotonic() + 20
        while time.monotonic() < deadline_s and recorded(tmp_path, "good") < 90:
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        ran = finish(process, tmp_path)

    assert conditions[-1]["reason"] == "lost"
    assert len(ran.of("good")) == 90


def recorded(folder: Path, source_id: str) -> int:
    text = (folder / "recording.jsonl").read_text()
    return text.count(f'"source_id": "{source_id}"')


def decoded_frames(path: Path) -> int:
    """Count the pictures that a video really holds."""
    line = f"filesrc location={path} ! decodebin ! videoconvert ! fakesink silent=false sync=false"
    done = subprocess.run(
        ["gst-launch-1.0", "-v", *line.split()],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.count("chain   *")
