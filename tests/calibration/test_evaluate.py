"""Small recordings against small truths: 10 pictures a second, 100 x 50 px shown at 200 x 100."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from calibration.__main__ import main
from calibration.evaluate import Evaluation, evaluate
from ropewatch.errors import SettingsError, SourceError
from ropewatch.settings import AlertWhen

BARE = {"person": "bare", "box_ltwh_px": [10, 5, 20, 40], "roped": False, "visible": 1.0}
HELD = {"person": "held", "box_ltwh_px": [60, 5, 20, 40], "roped": True, "visible": 1.0}
BARE_PX, HELD_PX = [20, 10, 40, 80], [120, 10, 40, 80]


def truth_file(folder: Path, frames: Sequence[Any], *, camera: str = "yard") -> Path:
    path = folder / f"{camera}.truth.json"
    values = {"format": "ropewatch-truth-1", "camera": camera, "seed": 1, "fps": 10}
    path.write_text(json.dumps({**values, "frame_wh_px": [100, 50], "frames": frames}))
    return path


def seen(
    box: Sequence[float], score: float | None, smoothed: float | None = None, person: int = 1
) -> dict[str, Any]:
    return {
        "person": person,
        "object_id": person,
        "box_ltwh_px": box,
        "confidence": 0.9,
        "score": score,
        "smoothed": smoothed,
        "state": "unknown",
        "crop_ltwh_px": None,
        "incident_id": None,
    }


def frame(number: int, *persons: dict[str, Any], camera: str = "yard") -> dict[str, Any]:
    return {
        "type": "frame",
        "source_id": camera,
        "frame_num": number,
        "pts_ns": number * 100_000_000,
        "ntp_ns": None,
        "frame_wh_px": [200, 100],
        "detector_ran": True,
        "persons": persons,
    }


def incident(threshold: float) -> dict[str, Any]:
    return {
        "type": "incident",
        "phase": "start",
        "incident_id": "i1",
        "revision": 1,
        "source_id": "yard",
        "person": 1,
        "object_ids": [1],
        "pts_ns": 0,
        "ntp_ns": None,
        "box_ltwh_px": BARE_PX,
        "frame_wh_px": [200, 100],
        "score": 0.9,
        "smoothed": 0.9,
        "threshold": threshold,
        "alert_when": "at_or_above",
        "score_label": "unroped",
        "state": "unsafe",
        "samples": 1,
        "evidence_age_s": 0.0,
        "started_pts_ns": 0,
        "end_reason": None,
        "duration_s": None,
    }


def recording_file(folder: Path, *lines: dict[str, Any]) -> Path:
    path = folder / "recording.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def compare(folder: Path, frames: Sequence[Any], *lines: dict[str, Any]) -> Evaluation:
    return evaluate(
        recording_file(folder, *lines),
        [truth_file(folder, frames)],
        threshold=0.5,
        alert_when=AlertWhen.AT_OR_ABOVE,
    )


def test_evaluate_judges_raw_and_smoothed_scores_of_the_people_found(tmp_path: Path) -> None:
    evaluation = compare(
        tmp_path,
        [[BARE, HELD], [BARE, HELD]],
        frame(0, seen(HELD_PX, 0.1, 0.1), seen(BARE_PX, 0.4, 0.4)),
        frame(1, seen(BARE_PX, 0.9, 0.65), seen(HELD_PX, 0.6, 0.35)),
    )

    single, smoothed = evaluation.together.single_frame, evaluation.together.smoothed
    assert (single.tp, single.fp, single.fn, single.tn) == (1, 1, 1, 1)
    assert (smoothed.tp, smoothed.fp, smoothed.fn, smoothed.tn) == (1, 0, 1, 2)
    assert (evaluation.together.expected, evaluation.together.found) == (4, 4)


def test_evaluate_takes_the_polarity(tmp_path: Path) -> None:
    lines = [frame(0, seen(BARE_PX, 0.2), seen(HELD_PX, 0.8))]

    evaluation = evaluate(
        recording_file(tmp_path, *lines),
        [truth_file(tmp_path, [[BARE, HELD]])],
        threshold=0.5,
        alert_when=AlertWhen.BELOW,
    )

    single = evaluation.together.single_frame
    assert (single.tp, single.fp, single.fn, single.tn) == (1, 0, 0, 1)
    assert single.average_precision == 1.0


def test_evaluate_counts_everybody_who_is_left_out(tmp_path: Path) -> None:
    hidden = {**HELD, "visible": 0.2}

    result = compare(
        tmp_path,
        [[BARE, hidden], [BARE], [BARE]],
        frame(0, seen(BARE_PX, None), seen(HELD_PX, 0.9), seen([80, 10, 20, 20], 0.9)),
        frame(1, seen(BARE_PX, float("nan"))),
        frame(2),
        frame(3, seen(BARE_PX, 0.9)),
    ).together

    assert (result.frames, result.frames_beyond_truth) == (3, 1)
    assert (result.expected, result.found, result.found_nobody) == (3, 2, 1)
    assert result.found_hardly_visible == 1
    assert (result.without_score, result.not_finite, result.single_frame.samples) == (1, 1, 0)


def test_evaluate_takes_a_smoothed_score_only_beside_a_fresh_one(tmp_path: Path) -> None:
    result = compare(tmp_path, [[BARE]], frame(0, seen(BARE_PX, None, 0.9))).together

    assert result.smoothed.samples == 0


def test_evaluate_keeps_cameras_apart_and_together(tmp_path: Path) -> None:
    recording = recording_file(
        tmp_path,
        frame(0, seen(BARE_PX, 0.9)),
        frame(0, seen(BARE_PX, 0.1), camera="roof"),
        frame(0, seen(BARE_PX, 0.1), camera="gate"),
    )
    truths = [truth_file(tmp_path, [[BARE]], camera=name) for name in ("yard", "roof")]

    evaluation = evaluate(recording, truths, threshold=0.5, alert_when=AlertWhen.AT_OR_ABOVE)

    assert {name: r.single_frame.tp for name, r in evaluation.cameras.items()} == {
        "yard": 1,
        "roof": 0,
    }
    assert evaluation.together.single_frame.recall == 0.5
    assert evaluation.notes == ("camera gate: no truth; its 1 frames were left out",)


def test_evaluate_takes_the_operating_point_of_the_recording(tmp_path: Path) -> None:
    recording = recording_file(tmp_path, frame(0, seen(BARE_PX, 0.9)), incident(0.461))

    evaluation = evaluate(recording, [truth_file(tmp_path, [[BARE]])])

    assert evaluation.terms.threshold == 0.461
    assert evaluation.terms.alert_when is AlertWhen.AT_OR_ABOVE


@pytest.mark.parametrize("thresholds", [[], [0.4, 0.5]])
def test_evaluate_never_guesses_an_operating_point(
    tmp_path: Path, thresholds: list[float]
) -> None:
    recording = recording_file(
        tmp_path, frame(0, seen(BARE_PX, 0.9)), *(incident(value) for value in thresholds)
    )

    with pytest.raises(SettingsError, match=r"operating points, want one; give --threshold and"):
        evaluate(recording, [truth_file(tmp_path, [[BARE]])])


def test_evaluate_uses_a_recording_that_was_cut_short_and_says_so(tmp_path: Path) -> None:
    recording = recording_file(tmp_path, frame(0, seen(BARE_PX, 0.9)))
    recording.write_text(recording.read_text() + '{"type": "fra')

    evaluation = evaluate(
        recording, [truth_file(tmp_path, [[BARE]])], threshold=0.5, alert_when=AlertWhen.BELOW
    )

    assert evaluation.together.frames == 1
    assert "recording.jsonl:2: cut short" in evaluation.notes[0]


def test_evaluate_refuses_a_truth_that_covers_no_recorded_frame(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no frame of camera yard that its truth covers"):
        compare(tmp_path, [[BARE]], frame(5, seen(BARE_PX, 0.9)))


def test_evaluate_refuses_two_truths_of_one_camera(tmp_path: Path) -> None:
    truth = truth_file(tmp_path, [[BARE]])

    with pytest.raises(SourceError, match="camera yard again, want one truth a camera"):
        evaluate(recording_file(tmp_path), [truth, truth], threshold=0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "truth: Invalid JSON"),
        ('{"format": "other"}', "format: Input should be 'ropewatch-truth-1'"),
        (None, "want a truth file"),
    ],
)
def test_truth_that_cannot_be_read_is_named(
    tmp_path: Path, text: str | None, message: str
) -> None:
    path = tmp_path / "t.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(SourceError, match=message):
        evaluate(recording_file(tmp_path), [path])


def test_evaluate_command_prints_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = recording_file(
        tmp_path, frame(0, seen(BARE_PX, 0.9, 0.9), seen(HELD_PX, 0.1, 0.1)), incident(0.5)
    )

    code = main(["evaluate", str(recording), "--truth", str(truth_file(tmp_path, [[BARE, HELD]]))])

    printed = capsys.readouterr().out
    assert code == 0
    assert "unsafe is at_or_above 0.5" in printed
    assert "single frame" in printed


def test_evaluate_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = recording_file(tmp_path, frame(0, seen(BARE_PX, 0.9, 0.9)))
    truth = truth_file(tmp_path, [[BARE]])

    code = main(
        ["evaluate", str(recording), "--truth", str(truth), "--threshold", "0.5",
         "--alert-when", "below", "--json"]
    )  # fmt: skip

    values = json.loads(capsys.readouterr().out)
    assert code == 0
    assert values["cameras"]["yard"]["single_frame"]["fn"] == 1
    assert values["terms"]["alert_when"] == "below"


def test_evaluate_command_ends_with_one_and_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["evaluate", str(tmp_path / "r.jsonl"), "--truth", str(tmp_path / "t.json")])

    assert code == 1
    assert capsys.readouterr().err.startswith("error: ")
