"""`explain KEY --site`: the value, where it is from, and what follows, worked out by hand."""

from pathlib import Path

import pytest

from ropewatch.cli import main
from ropewatch.lint.report import explain
from ropewatch.nvinfer_doc import document
from ropewatch.nvinfer_keys import CLASS_KEYS, PROPERTY_KEYS
from tests.lint.test_lint_corpus import BROKEN, REPOSITORY

JETSON = REPOSITORY / "configs" / "jetson.yaml"
DEMO = REPOSITORY / "configs" / "dev-cpu.yaml"


@pytest.mark.parametrize(
    ("key", "site", "said"),
    [
        # 255 / 255, and (255 - 123.675) / 255
        ("net-scale-factor", JETSON, "R: pixel 0 becomes 0, pixel 255 becomes 1"),
        ("offsets", JETSON, "R: pixel 0 becomes -0.485, pixel 255 becomes 0.515"),
        ("offsets", DEMO, "the model's manifest: 127.5;127.5;127.5"),
        ("interval", JETSON, "at 25 fps: 25 detections a second and camera, 0.04 s"),
        ("secondary-reinfer-interval", JETSON, "every person on every frame, 25 times a second"),
        ("infer-dims", JETSON, "becomes 640 x 360 in 640 x 384: 0 columns and 24 rows of black"),
        # 192 / 16 = 12, raised to 16; 384 / 16 = 24
        ("infer-dims", JETSON, "takes crops from 16 x 24 to 3072 x 6144 px"),
        ("classifier-threshold", JETSON, "score of rope_not_ok: at_or_above 0.461 is unsafe"),
        # IoU of two equal boxes that are shifted by d widths: (1 - d) / (1 + d)
        ("nms-iou-threshold", DEMO, "stay two from 25% of a width apart"),
        ("topk", DEMO, "at most 50 people a frame"),
        ("pre-cluster-threshold", DEMO, "a person less certain than 0.35 is not seen"),
        ("post-cluster-threshold", DEMO, "post-cluster-threshold=0, nvinfer's default"),
        ("batch-size", JETSON, "batch-size=2, set by the graph: as many as cameras"),
        ("batch-size", JETSON, "the engine is for batches of 4, fp16"),
        ("model-engine-file", DEMO, "the ONNX: person.onnx"),
        ("gie-unique-id", DEMO, "gie-unique-id=2, set by the graph"),
        ("scaling-filter", DEMO, "bilinear"),
        ("input-object-min-width", DEMO, "nothing below 16 px is classified"),
        ("operate-on-class-ids", DEMO, "the site's person is class 0"),
        ("segmentation-threshold", DEMO, "dev-cpu.yaml: not used"),
    ],
)
def test_a_key_is_explained_for_a_site(key: str, site: Path, said: str) -> None:
    assert said in explain(key, site)


@pytest.mark.parametrize("key", [*PROPERTY_KEYS, *CLASS_KEYS])
def test_every_key_can_be_explained_for_a_site(key: str) -> None:
    assert f"in {DEMO}:" in explain(key, DEMO)


def test_a_latched_classifier_is_told_what_it_means() -> None:
    said = explain("secondary-reinfer-interval", BROKEN / "RW301" / "site.yaml")

    assert "nvinfer's default" in said
    assert "someone who unclips later is never noticed" in said


def test_a_threshold_that_hides_labels_says_what_is_left() -> None:
    said = explain("classifier-threshold", BROKEN / "RW302" / "site.yaml")

    assert "nvinfer attaches the best of roped, unroped above 0.5" in said
    assert "a frame whose best score is 0.5 or less has no verdict: unknown" in said


def test_a_code_is_looked_for_in_a_site(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "RW301", "--site", str(BROKEN / "RW301" / "site.yaml")]) == 0
    assert "secondary-reinfer-interval is endless, want 0" in capsys.readouterr().out
    assert explain("RW301", DEMO).endswith("dev-cpu.yaml: not found")
    # A fault of one release is looked for as well.
    assert "init-rtsp-reconnect-interval" in explain("RW403", JETSON)


def test_the_document_of_keys_is_what_the_table_says() -> None:
    path = REPOSITORY / "docs" / "nvinfer.md"

    assert path.read_text("utf-8") == document(), "run python -m ropewatch.nvinfer_doc"
