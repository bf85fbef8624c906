"""What is committed for the demo: clips, truth, models, labels, and the split of the seeds."""

import itertools
import json
from pathlib import Path

import pytest

from demo import seeds
from demo.clips import CLIPS, Clip
from demo.truth import MIN_VISIBLE, expected_incidents, read_truth
from ropewatch.judging import DecisionSettings

DEMO = Path(__file__).parents[2] / "demo"
LABELS = DEMO.parent / "configs" / "labels"
DECISION = DecisionSettings(threshold=0.5)
by_camera = pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.camera)


def test_seed_ranges_do_not_meet() -> None:
    for (_, first), (_, second) in itertools.combinations(seeds.SPLITS.items(), 2):
        assert not set(first) & set(second)


@by_camera
def test_clip_has_a_seed_of_its_own_range(clip: Clip) -> None:
    assert clip.seed in seeds.CLIPS


@by_camera
def test_clip_and_truth_are_small_and_of_one_length(clip: Clip) -> None:
    truth = read_truth(DEMO / "clips" / f"{clip.camera}.truth.json")

    assert (DEMO / "clips" / f"{clip.camera}.mp4").stat().st_size <= 2_000_000
    assert len(truth.frames) == clip.frame_count
    assert (truth.camera, truth.seed) == (clip.camera, clip.seed)
    assert truth.frame_wh_px == clip.frame_wh_px


def test_clips_have_at_most_1000_frames_together() -> None:
    assert sum(clip.frame_count for clip in CLIPS) <= 1000


@by_camera
def test_clip_truth_is_what_the_renderer_says(clip: Clip) -> None:
    truth = read_truth(DEMO / "clips" / f"{clip.camera}.truth.json")
    scene, share = clip.scene(), clip.frame_wh_px[0] / 1280

    for number in (0, clip.frame_count // 2):
        drawn = scene.render(number / truth.fps).people
        written = truth.frames[number]
        assert [one.person for one in written] == [one.person for one in drawn]
        assert [one.roped for one in written] == [one.roped for one in drawn]
        for one, other in zip(written, drawn, strict=True):
            scaled = [value * share for value in other.box_ltwh_px]
            assert one.box_ltwh_px == pytest.approx(scaled, abs=0.06)


def test_clips_show_every_end_reason_and_people_who_are_always_safe() -> None:
    truths = [read_truth(DEMO / "clips" / f"{clip.camera}.truth.json") for clip in CLIPS]
    expected = [incident for truth in truths for incident in expected_incidents(truth, DECISION)]

    assert {one.end_reason for one in expected} == {"rope_seen", "person_gone", "stream_ended"}
    assert len(expected) < sum(len(truth.persons()) for truth in truths)


@by_camera
def test_clip_has_no_stretch_so_short_that_the_right_answer_is_arguable(clip: Clip) -> None:
    truth = read_truth(DEMO / "clips" / f"{clip.camera}.truth.json")

    for person in truth.persons():
        states = [
            one.roped
            for frame in truth.frames
            for one in frame
            if one.person == person and one.visible >= MIN_VISIBLE
        ]
        for _, stretch in itertools.groupby(states):
            assert len(list(stretch)) / truth.fps >= 5.0


def test_labels_are_in_the_models_class_order() -> None:
    assert (LABELS / "demo_person.txt").read_text(encoding="utf-8").split() == ["person"]
    assert (LABELS / "demo_rope.txt").read_text(encoding="utf-8").split() == ["roped;unroped"]


@pytest.mark.parametrize(
    ("model", "row", "most_bytes"),
    [
        ("person", (3, 192, 320), 11_000_000),
        ("rope", (3, 192, 96), 4_000_000),
    ],
)
def test_model_has_the_size_that_its_configuration_says(
    model: str, row: tuple[int, ...], most_bytes: int
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    path = DEMO / "models" / f"{model}.onnx"
    config = (DEMO.parent / "configs" / "nvinfer" / f"demo_{model}.txt").read_text(
        encoding="utf-8"
    )

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    assert tuple(session.get_inputs()[0].shape[1:]) == row
    assert f"infer-dims={row[0]};{row[1]};{row[2]}" in config
    assert path.stat().st_size <= most_bytes


@pytest.mark.parametrize(
    ("model", "labels"), [("person", ["person"]), ("rope", ["roped", "unroped"])]
)
def test_model_manifest_names_the_labels(model: str, labels: list[str]) -> None:
    text = (DEMO / "models" / f"{model}.onnx.manifest.json").read_text(encoding="utf-8")

    assert json.loads(text)["labels"] == labels


def test_model_card_quotes_the_measured_figures() -> None:
    figures = json.loads((DEMO / "models" / "accuracy.json").read_text(encoding="utf-8"))
    card = (DEMO / "models" / "README.md").read_text(encoding="utf-8")

    for value in (figures["person"]["ap50"], figures["rope"]["f1"], figures["rope"]["precision"]):
        assert f"{value:.3f}" in card


def test_demo_assets_stay_under_20_megabytes() -> None:
    files = [*(DEMO / "clips").iterdir(), *(DEMO / "models").iterdir()]

    assert sum(file.stat().st_size for file in files) < 20_000_000
