"""A budget for the classifier in a whole graph: nvinfer passes over whom the probe parks."""

import json
from pathlib import Path

import pytest

from demo.broker import PrivateBroker
from ropewatch.client import Subscriber
from tests.pipeline.running import Ran, run
from tests.pipeline.tiny_site import FPS, PERSON_LTWH_PX, make_clip, tiny_site, write_models

pytestmark = [pytest.mark.gst, pytest.mark.broker]

PEOPLE = 4
STATUS = "ropewatch/v1/s/b/status"
CAMERA = "ropewatch/v1/s/b/camera/cam/status"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder, PEOPLE)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "a.mp4", [("white", 4 * FPS)])


def _run(
    models: Path, clip: Path, broker: PrivateBroker, folder: Path, most: int, **decision: float
) -> tuple[Ran, list[str], list[str]]:
    """Run with a budget; return the run and every reason for being degraded, and for blindness."""
    classifier = {
        "config_file": models / "sgie.txt",
        "score_label": "unroped",
        "alert_when": "at_or_above",
        "max_crops_per_frame": most,
    }
    site = tiny_site(
        models,
        {"cam": str(clip)},
        mqtt={"host": broker.host, "port": broker.port},
        classifier=classifier,
        decision={"threshold": 0.5, **decision},
        health={"blind_after_s": 1},
    )
    with Subscriber(broker.host, broker.port, (STATUS, CAMERA)) as inbox:
        ran = run(site, folder)
        told = [(m.topic, json.loads(m.payload)) for m in inbox.messages(1.0)]
    reasons = [reason for topic, said in told if topic == STATUS for reason in said["reasons"]]
    return ran, reasons, [said["reason"] for topic, said in told if topic == CAMERA]


def test_a_budget_is_kept_and_everybody_still_gets_an_incident(
    models: Path, clip: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    ran, reasons, blind = _run(models, clip, broker, tmp_path, most=2)

    assert ran.code == 0, ran.output
    people = [frame["persons"] for frame in ran.frames]
    assert {sum(p["score"] is not None for p in persons) for persons in people} == {2}
    # Nobody is lost or moved by being passed over, and who they are is the detector's again.
    assert all(len(persons) == PEOPLE for persons in people)
    for persons in people:
        lefts = sorted(p["box_ltwh_px"][0] for p in persons)
        assert lefts == pytest.approx([PERSON_LTWH_PX[0] + 60 * n for n in range(PEOPLE)])
    assert {frame["persons"][0]["state"] for frame in ran.frames[-5:]} == {"unsafe"}
    starts = [row for row in ran.incidents if row["phase"] == "start"]
    assert len(starts) == PEOPLE
    assert not [reason for reason in (*reasons, *blind) if "overloaded" in str(reason)]


def test_a_budget_that_is_too_small_is_said(
    models: Path, broker: PrivateBroker, tmp_path: Path
) -> None:
    # Long enough for the look at the counters, which is taken once a second.
    clip = make_clip(tmp_path / "long.mp4", [("white", 160 * FPS)])
    ran, reasons, blind = _run(
        models, clip, broker, tmp_path, most=1, max_evidence_age_s=0.25, unknown_after_s=0.1
    )

    text = "camera cam: classifier_overloaded, people wait longer than max_evidence_age_s"
    assert text in reasons
    assert "overloaded" in blind
    # Too little is known of them, but they are watched: nothing ends for that.
    assert {row["end_reason"] for row in ran.incidents} == {None, "stream_ended"}
    assert len([row for row in ran.incidents if row["phase"] == "start"]) == PEOPLE
    assert any(p["state"] == "unknown" for frame in ran.frames[20:] for p in frame["persons"])
