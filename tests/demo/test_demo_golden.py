"""The golden outputs of the committed models: those of the ONNX, small, and deciding something."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the standin or export extra")

from export.engine.cases import cases
from export.engine.judging import (
    DEFAULTS,
    TOLERANCES,
    golden_notes,
    judge_classifier,
    judge_detector,
)
from export.engine.onnx_runner import OnnxRunner
from ropewatch.golden import golden_of, load_golden

MODELS = Path(__file__).parents[2] / "demo" / "models"


@pytest.mark.parametrize("name", ["person", "rope"])
def test_golden_outputs_are_what_the_committed_model_gives(name: str) -> None:
    onnx = MODELS / f"{name}.onnx"
    manifest, golden = load_golden(onnx)
    shapes = {"images": golden.pixels.shape}
    (case,) = cases(golden, manifest, shapes)

    answer = OnnxRunner(onnx).run(case.feeds)

    for output, expected in case.expected.items():
        np.testing.assert_allclose(answer[output], expected, rtol=0, atol=1e-3)
    assert golden.origin["reference"] == "onnxruntime"
    assert golden_of(onnx).stat().st_size < 500_000
    assert manifest.gmacs is not None


def test_golden_outputs_decide() -> None:
    decisions = {}
    for name in ("person", "rope"):
        manifest, golden = load_golden(MODELS / f"{name}.onnx")
        (output,) = golden.outputs.values()
        rows, tolerance = np.arange(len(output)), TOLERANCES["fp32"]
        point = DEFAULTS[manifest.kind]
        if name == "person":
            _, found = judge_detector(output, output, rows, tolerance=tolerance, point=point)
        else:
            _, found = judge_classifier(
                output, output, rows, labels=manifest.labels, tolerance=tolerance, point=point
            )
        decisions[name] = found
        assert golden_notes(manifest, golden) == [], name

    persons = {one.threshold: one.positive for one in decisions["person"]}
    assert persons[0.35] >= 8
    unroped = {one.threshold: one.positive for one in decisions["rope"] if "unroped" in one.what}
    assert 2 <= unroped[0.7] <= 6
