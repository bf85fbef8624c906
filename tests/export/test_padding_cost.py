"""The cost of padding, on a detector whose answer depends on the padding alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ropewatch.manifest import Preprocessing

cv2 = pytest.importorskip("cv2")
onnx = pytest.importorskip("onnx")
costs = pytest.importorskip("export.padding_cost", reason="needs scripts/setup --export")

pytestmark = pytest.mark.export
FLOAT = 1
LETTERBOX = Preprocessing(
    net_scale_factor=1 / 255,
    offsets=(0, 0, 0),
    model_color_format="RGB",
    maintain_aspect_ratio=True,
    symmetric_padding=True,
    scaling_filter=1,
)


def _detector() -> Any:
    """One box of person in a 32 x 32 input; its score is 0.5 and a quarter of the mean."""
    helper = onnx.helper
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "quarter"], ["some"]),
        helper.make_node("Add", ["some", "half"], ["score"]),
        helper.make_node("Reshape", ["score", "one"], ["column"]),
        helper.make_node("Concat", ["box", "column", "class"], ["flat"], axis=0),
        helper.make_node("Reshape", ["flat", "rows"], ["detections"]),
    ]
    constants = {
        "quarter": np.float32(0.25),
        "half": np.float32(0.5),
        "one": np.array([1], np.int64),
        "box": np.array([4, 10, 20, 22], np.float32),
        "class": np.array([0], np.float32),
        "rows": np.array([1, 1, 6], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "padded",
        [helper.make_tensor_value_info("images", FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("detections", FLOAT, [1, 1, 6])],
        [onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _cost(folder: Path, score_min: float) -> Any:
    picture = folder / "black.png"
    cv2.imwrite(str(picture), np.zeros((16, 32, 3), np.uint8))
    return costs.padding_cost(
        _detector(),
        [picture],
        LETTERBOX,
        size_wh=(32, 32),
        classes=1,
        batch=1,
        how=costs.PostProcessing(pre_cluster_threshold=score_min),
    )


def test_padding_cost_is_the_change_of_scores(tmp_path: Path) -> None:
    cost = _cost(tmp_path, 0.35)

    assert (cost.grey, cost.matched, cost.missed, cost.extra) == (1, 1, 0, 0)
    assert cost.mean_iou == pytest.approx(1)
    # Half of the input is padding: its mean is 114 / 255 / 2 with grey and 0 with zero bytes.
    assert cost.mean_score_change == pytest.approx(-0.25 * 114 / 255 / 2, abs=1e-6)
    assert cost.max_score_change == pytest.approx(0.25 * 114 / 255 / 2, abs=1e-6)


def test_padding_cost_counts_who_is_lost(tmp_path: Path) -> None:
    cost = _cost(tmp_path, 0.52)

    assert (cost.grey, cost.matched, cost.missed, cost.extra) == (1, 0, 1, 0)
    assert cost.mean_iou is None
    assert cost.max_score_change is None
