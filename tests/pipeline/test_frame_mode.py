"""Frame mode in a whole graph: nvinfer gives token maps of frames, the head judges the boxes."""

import json
import signal
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from demo.broker import PrivateBroker, free_port
from ropewatch.boxes import ltwh_to_xyxy
from ropewatch.client import Subscriber
from ropewatch.files import sha256_of
from ropewatch.manifest import Manifest, manifest_of
from ropewatch.rope_head import head_of, load_head
from ropewatch.settings import SiteSettings
from tests.pipeline.frame_site import NETWORK_WH, write_frame_models
from tests.pipeline.running import Ran, finish, run, start
from tests.pipeline.tiny_site import PERSON_LTWH_PX, make_clip, tiny_site
from tests.rtsp_server import RtspServer

pytestmark = [pytest.mark.gst, pytest.mark.broker]

# The tiny site's person, grown by 1.0 w on each side, 0.2 h above and 1.5 h below.
CROP_LTWH_PX = (260.0, 104.0, 120.0, 216.0)
# Shades of the clip: safe, unsafe, safe.
SHADES = [("black", 20), ("white", 40), ("black", 40)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "a.mp4", SHADES)


def frame_site(
    models: Path, uris: dict[str, str], broker: PrivateBroker, **sections: object
) -> SiteSettings:
    classifier = {
        "config_file": models / "frames.txt",
        "mode": "frame",
        "score_label": "unroped",
        "alert_when": "at_or_above",
    }
    mqtt = {"host": broker.host, "port": broker.port}
    return tiny_site(models, uris, **{"classifier": classifier, "mqtt": mqtt, **sections})


def scores(ran: Ran, camera: str = "cam") -> list[float | None]:
    return [frame["persons"][0]["score"] for frame in ran.of(camera)]


def states(ran: Ran) -> list[str]:
    return [frame["persons"][0]["state"] for frame in ran.of("cam")]


def expected_scores(backbone: Path) -> dict[str, float]:
    """What backbone and head say of the person on pictures of one shade, without any graph."""
    session = onnxruntime.InferenceSession(backbone, providers=["CPUExecutionProvider"])
    head = load_head(backbone, Manifest.load(manifest_of(backbone)))
    rois = (ltwh_to_xyxy([CROP_LTWH_PX]) / 2).astype(np.float32)
    width, height = NETWORK_WH
    pictures = {"black": 0.0, "white": 1.0}
    maps = {
        shade: session.run(None, {"images": np.full((1, 3, height, width), value, np.float32)})
        for shade, value in pictures.items()
    }
    return {shade: float(head(found[0][0], rois)[0, 1]) for shade, found in maps.items()}


def test_scores_are_those_of_the_head_on_the_backbone_and_incidents_come(
    clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    backbone = write_frame_models(tmp_path / "models")
    expected = expected_scores(backbone)
    assert expected["black"] < 0.2
    assert expected["white"] > 0.8

    # Two cameras: a batch of two frames has a map for each.
    ran = run(
        frame_site(tmp_path / "models", {"cam": str(clip), "two": str(clip)}, broker), tmp_path
    )

    assert ran.code == 0, ran.output
    wanted = [expected[shade] for shade, count in SHADES for _ in range(count)]
    for camera in ("cam", "two"):
        np.testing.assert_allclose(np.array(scores(ran, camera), float), wanted, rtol=0, atol=1e-5)
    person = ran.of("cam")[0]["persons"][0]
    assert person["box_ltwh_px"] == pytest.approx(PERSON_LTWH_PX)
    assert person["crop_ltwh_px"] == pytest.approx(CROP_LTWH_PX)
    assert all(frame["detector_ran"] for frame in ran.frames)
    phases = [row["phase"] for row in ran.incidents if row["source_id"] == "cam"]
    assert (phases[0], phases[-1]) == ("start", "end")
    assert phases.count("start") == 1


@pytest.mark.parametrize(
    ("fps", "max_evidence_age_s", "third"), [(10, 0.3, "safe"), (30, 0.15, "unknown")]
)
def test_between_two_looks_a_verdict_holds_until_it_is_too_old(
    broker: PrivateBroker, tmp_path: Path, fps: int, max_evidence_age_s: float, third: str
) -> None:
    write_frame_models(tmp_path / "models", interval=2)
    clip = make_clip(tmp_path / "a.mp4", [("black", 30)])
    site = frame_site(
        tmp_path / "models",
        {"cam": str(clip)},
        broker,
        # A camera at 10 fps where the site says 30: only its own time tells how old a verdict is.
        muxer={"width_px": 640, "height_px": 360, "fps": fps},
        decision={"threshold": 0.5, "max_evidence_age_s": max_evidence_age_s},
    )

    ran = run(site, tmp_path)

    assert ran.code == 0, ran.output
    assert [score is not None for score in scores(ran)] == [True, False, False] * 10
    assert states(ran) == ["safe", "safe", third] * 10
    # The classifier's pauses are not the detector's.
    assert all(frame["detector_ran"] for frame in ran.frames)


def test_status_and_incidents_say_which_head_judged(
    clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    head = head_of(write_frame_models(tmp_path / "models"))
    box = "ropewatch/v1/s/b"

    with Subscriber(broker.host, broker.port, (f"{box}/status", f"{box}/+/+/incident")) as inbox:
        run(frame_site(tmp_path / "models", {"cam": str(clip)}, broker), tmp_path)
        found = [json.loads(message.payload) for message in inbox.messages(1.0)]

    wanted = f"npz {sha256_of(head)[:12]}"
    starts = [one["data"] for one in found if one.get("type", "").endswith("start.v1")]
    assert [one["evidence"]["versions"]["head"] for one in starts] == [wanted]
    # The last one is the will's, which knows no versions.
    statuses = [one for one in found if one.get("versions")]
    assert statuses
    assert {one["versions"]["head"] for one in statuses} == {wanted}


def test_a_head_of_another_export_stops_the_run(
    clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    head = head_of(write_frame_models(tmp_path / "models"))
    head.write_bytes(head.read_bytes() + b" ")

    ran = run(frame_site(tmp_path / "models", {"cam": str(clip)}, broker), tmp_path)

    assert ran.code == 1
    assert "rope.head.npz: sha256" in ran.output
    assert "it is of another export" in ran.output


def test_a_backbone_in_crop_mode_stops_the_run(
    clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    write_frame_models(tmp_path / "models")
    site = frame_site(tmp_path / "models", {"cam": str(clip)}, broker)
    crops = site.classifier.model_copy(update={"mode": "crop"})

    ran = run(site.model_copy(update={"classifier": crops}), tmp_path)

    assert ran.code == 1
    assert (
        "RW317: classifier.mode: crop needs a model of mode crop, the manifest says" in ran.output
    )


def test_a_live_camera_is_judged_and_telemetry_says_how_long_its_frames_wait(
    clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    write_frame_models(tmp_path / "models")
    telemetry = ("ropewatch/v1/s/b/telemetry",)
    with (
        RtspServer(clip, free_port()) as server,
        Subscriber(broker.host, broker.port, telemetry) as inbox,
    ):
        uris, health = {"cam": server.url}, {"telemetry_every_s": 1}
        process = start(frame_site(tmp_path / "models", uris, broker, health=health), tmp_path)
        told = []
        for message in inbox.messages(30):
            told.append(json.loads(message.payload))
            if told[-1]["cameras"]["cam"]["scores_per_s"] > 5:
                break
        process.send_signal(signal.SIGTERM)
        ran = finish(process, tmp_path)

    assert told[-1]["cameras"]["cam"]["scores_per_s"] > 5, ran.output
    assert told[-1]["cameras"]["cam"]["passed_over_per_s"] == 0
    assert told[-1]["classifier"]["crops_per_frame"] is None
    assert told[-1]["classifier"]["queue_ms"] < 1000
    assert ran.code == 0, ran.output
