"""What a graph multiplies, worked by hand and against published figures."""

from pathlib import Path
from typing import Any

import pytest

from ropewatch.errors import ModelError

onnx = pytest.importorskip("onnx")
macs = pytest.importorskip("export.macs", reason="needs scripts/setup --export")

pytestmark = pytest.mark.export
FLOAT = 1


def _graph(nodes: list[Any], inputs: dict[str, list[Any]], output: list[Any]) -> Any:
    helper = onnx.helper
    return helper.make_model(
        helper.make_graph(
            nodes,
            "counted",
            [helper.make_tensor_value_info(name, FLOAT, dims) for name, dims in inputs.items()],
            [helper.make_tensor_value_info("y", FLOAT, output)],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


def test_gmacs_counts_a_grouped_convolution_at_a_batch_of_one() -> None:
    node = onnx.helper.make_node(
        "Conv", ["x", "w"], ["y"], kernel_shape=[3, 3], pads=[1] * 4, group=2
    )
    graph = _graph([node], {"x": ["batch", 8, 10, 20], "w": [6, 4, 3, 3]}, ["batch", 6, 10, 20])

    # 6 x 10 x 20 values, each of 8 / 2 channels and 9 places.
    assert macs.gmacs(graph) == 6 * 10 * 20 * 4 * 9 / 1e9
    assert macs.gmacs(graph, free=3) == 3 * 6 * 10 * 20 * 4 * 9 / 1e9


def test_gmacs_counts_both_products_of_attention() -> None:
    nodes = [
        onnx.helper.make_node("MatMul", ["q", "k"], ["scores"]),
        onnx.helper.make_node("Softmax", ["scores"], ["weights"], axis=-1),
        onnx.helper.make_node("MatMul", ["weights", "v"], ["y"]),
    ]
    graph = _graph(
        nodes,
        {"q": ["batch", 6, 50, 64], "k": ["batch", 6, 64, 50], "v": ["batch", 6, 50, 64]},
        ["batch", 6, 50, 64],
    )

    # 6 heads, 50 tokens looking at 50, 64 numbers each, twice.
    assert macs.gmacs(graph) == 2 * 6 * 50 * 50 * 64 / 1e9


def test_gmacs_says_which_shape_is_unknown() -> None:
    nodes = [
        onnx.helper.make_node("NonZero", ["x"], ["found"]),
        onnx.helper.make_node("Cast", ["found"], ["rows"], to=FLOAT),
        onnx.helper.make_node("MatMul", ["w", "rows"], ["y"]),
    ]
    graph = _graph(nodes, {"x": ["batch", 4], "w": [3, 2]}, [3, None])

    with pytest.raises(ModelError, match=r"MatMul .*: the shape of .* cannot be inferred, want"):
        macs.gmacs(graph)


def test_gmacs_of_yolo11n_are_half_of_its_published_gflops(tmp_path: Path) -> None:
    from export.detector import export_detector  # noqa: PLC0415 (torch, which may be absent)
    from export.trust import Trust  # noqa: PLC0415 (the same)
    from export.ultralytics_pickle import import_ultralytics  # noqa: PLC0415 (the same)

    torch = pytest.importorskip("torch")
    weights = tmp_path / "yolo11n.pt"
    model = import_ultralytics().nn.tasks.DetectionModel("yolo11n.yaml", nc=80, verbose=False)
    torch.save({"model": model}, weights)

    written = export_detector(
        weights,
        size_wh=(640, 640),
        output_dir=tmp_path,
        classes=tuple(model.names.values()),
        batch=1,
        trust=Trust(every_pickle=True),
    )

    # https://docs.ultralytics.com/models/yolo11/: 6.5 GFLOPs at 640 x 640.
    assert 2 * macs.gmacs(onnx.load(written)) == pytest.approx(6.5, abs=0.05)
