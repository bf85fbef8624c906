"""Snapshots through whole graphs and a real broker; see tiny_site for what is watched."""

import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deepstream import app
from deepstream.backend import BackendChoice, load_backend
from deepstream.compose import App, compose
from demo.broker import PrivateBroker
from ropewatch.client import Received, Subscriber
from tests.pipeline.tiny_site import PERSON_LTWH_PX, make_clip, tiny_site, write_models

pytestmark = [pytest.mark.gst, pytest.mark.broker]

BLACK_WHITE_BLACK = [("black", 10), ("white", 20), ("black", 30)]


@dataclass(frozen=True, slots=True)
class Watched:
    code: int
    messages: list[Received]
    missed: int

    @property
    def incidents(self) -> list[dict[str, Any]]:
        return [json.loads(m.payload)["data"] for m in self.of("/incident")]

    def of(self, part: str) -> list[Received]:
        return [message for message in self.messages if part in message.topic]


Watch = Callable[..., Watched]


@pytest.fixture
def watch(broker: PrivateBroker, tmp_path: Path) -> Watch:
    def run(
        shades: list[tuple[str, int]],
        *,
        people: int = 1,
        change: Callable[[App], None] = lambda _composed: None,
        **snapshots: Any,
    ) -> Watched:
        write_models(tmp_path, people)
        clip = make_clip(tmp_path / "a.mp4", shades)
        site = tiny_site(
            tmp_path,
            {"cam": str(clip)},
            mqtt={"host": broker.host, "port": broker.port},
            state_dir=tmp_path / "state",
            snapshots=snapshots,
        )
        composed = compose(site, load_backend(BackendChoice.CPU))
        change(composed)
        with Subscriber(broker.host, broker.port, ("ropewatch/v1/#",)) as inbox:
            code = app.run_composed(composed).code
            messages = list(inbox.messages(1.0))
        return Watched(code, messages, composed.health.read()["missed_snapshots"])

    return run


def slow_by(seconds: float) -> Callable[[App], None]:
    def change(composed: App) -> None:
        assert composed.voice.snapshots is not None
        encoder: Any = composed.voice.snapshots._encoder
        jpeg = encoder.jpeg

        def slow(frame: Any) -> Any:
            time.sleep(seconds)
            return jpeg(frame)

        encoder.jpeg = slow

    return change


def test_a_start_is_followed_by_its_marked_picture_and_the_digest_in_an_update(
    watch: Watch,
) -> None:
    watched = watch(BLACK_WHITE_BLACK, enabled=True)

    (picture,) = watched.of("/snapshot/")
    start, update, end = watched.incidents
    assert (watched.code, watched.missed) == (0, 0)
    assert [start["phase"], update["phase"], end["phase"]] == ["start", "update", "end"]
    assert [start["revision"], update["revision"], end["revision"]] == [1, 2, 3]
    assert start["snapshot"] is None
    assert update["snapshot"] == end["snapshot"]
    assert update["snapshot"] == {
        "topic": f"ropewatch/v1/s/b/camera/cam/snapshot/{start['incident_id']}",
        "sha256": hashlib.sha256(picture.payload).hexdigest(),
        "size_bytes": len(picture.payload),
        "size_wh_px": [640, 360],
        "pts_ns": start["pts_ns"],
    }
    assert (picture.topic, picture.content_type, picture.retained) == (
        update["snapshot"]["topic"],
        "image/jpeg",
        False,
    )


def test_the_picture_shows_the_frame_of_the_start_with_person_and_crop(watch: Watch) -> None:
    watched = watch(BLACK_WHITE_BLACK, enabled=True)

    with Image.open(io.BytesIO(watched.of("/snapshot/")[0].payload)) as image:
        pixels = np.asarray(image.convert("RGB"), np.int16)
    left, top, width, height = (int(v) for v in PERSON_LTWH_PX)
    assert pixels[top + height // 2, left + width // 2].min() > 200  # the white of the start
    red, green, blue = pixels[top + height // 2, left]
    assert red > green + 60
    assert red > blue + 60
    red, green, blue = pixels[250, 260]  # the left edge of the crop, below the person
    assert min(red, green) > blue + 60


def test_pictures_are_off_unless_they_are_asked_for(watch: Watch) -> None:
    watched = watch(BLACK_WHITE_BLACK)

    assert watched.of("/snapshot/") == []
    assert [data["phase"] for data in watched.incidents] == ["start", "end"]


def test_people_in_one_frame_have_a_picture_each(watch: Watch) -> None:
    watched = watch(BLACK_WHITE_BLACK, people=3, enabled=True)

    pictures = {m.topic.rpartition("/")[2]: m.payload for m in watched.of("/snapshot/")}
    told = {d["incident_id"]: d["snapshot"]["sha256"] for d in watched.incidents if d["snapshot"]}
    assert len(pictures) == 3
    assert {name: hashlib.sha256(jpeg).hexdigest() for name, jpeg in pictures.items()} == told


def test_a_start_does_not_wait_for_a_slow_encoder(watch: Watch) -> None:
    watched = watch(BLACK_WHITE_BLACK, enabled=True, change=slow_by(1.0))

    envelopes = [json.loads(m.payload) for m in watched.of("/incident")]
    start, told = (float(e["time"][17:-1]) for e in (envelopes[0], envelopes[1]))
    assert (told - start) % 60 > 0.9
    assert envelopes[1]["data"]["snapshot"] is not None
    assert watched.code == 0


def test_a_picture_that_is_in_the_making_at_the_end_goes_with_the_end(watch: Watch) -> None:
    # The incident opens 0.75 s after the white begins, in one of the last frames.
    watched = watch([("black", 10), ("white", 9)], enabled=True, change=slow_by(0.3))

    start, end = watched.incidents
    assert (start["phase"], end["phase"]) == ("start", "end")
    assert (
        end["snapshot"]["sha256"]
        == hashlib.sha256(watched.of("/snapshot/")[0].payload).hexdigest()
    )
    assert watched.code == 0


def test_a_broken_encoder_costs_the_picture_and_nothing_else(watch: Watch) -> None:
    def break_it(composed: App) -> None:
        assert composed.voice.snapshots is not None

        def fail(_frame: Any) -> bytes:
            raise RuntimeError("broken on purpose")

        encoder: Any = composed.voice.snapshots._encoder
        encoder.jpeg = fail

    watched = watch(BLACK_WHITE_BLACK, enabled=True, change=break_it)

    assert [data["phase"] for data in watched.incidents] == ["start", "end"]
    assert watched.of("/snapshot/") == []
    assert watched.missed == 1
    status = json.loads(watched.of("s/b/status")[-1].payload)
    assert status["counters"]["missed_snapshots"] == 1
    assert watched.code == 3
