"""The graphs are made by hand: one operator is enough to see what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ropewatch.errors import ModelError
from ropewatch.golden import PYTORCH, Golden
from ropewatch.manifest import Preprocessing

onnx = pytest.importorskip("onnx", reason="needs scripts/setup --export")
pytest.importorskip("torch", reason="needs scripts/setup --export")
operators = pytest.importorskip("export.tensorrt_operators")
package = pytest.importorskip("export.package")

pytestmark = pytest.mark.export


def graph_of(*nodes: Any, opset: int = 17) -> Any:
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"
    ]
    return onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "graph", values[:1], values[1:]),
        opset_imports=[onnx.helper.make_opsetid("", opset)],
    )


def node(name: str, **kwargs: object) -> Any:
    return onnx.helper.make_node(name, ["x"], ["y"], **kwargs)


def test_operators_that_the_parser_takes_pass() -> None:
    operators.check_operators(graph_of(node("Relu"), node("LayerNormalization")))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (graph_of(node("Relu"), node("Det"), node("Unique")), r"operators \['Det', 'Unique'\]"),
        (graph_of(node("FastGelu", domain="com.microsoft")), r"\['com\.microsoft\.FastGelu'\]"),
        (graph_of(node("If", then_branch=graph_of(node("Det")).graph)), r"\['Det'\]"),
        (graph_of(node("Relu"), opset=23), "opset 23, want 9 to 20"),
    ],
    ids=["unsupported", "foreign-domain", "inside-a-branch", "opset"],
)
def test_operators_that_it_does_not_take_are_named(graph: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        operators.check_operators(graph)


def test_graph_with_such_an_operator_is_not_written(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"weights")
    description = package.Description(
        name="model",
        kind="detector",
        weights=weights,
        preprocessing=Preprocessing(
            net_scale_factor=1.0,
            offsets=(0, 0, 0),
            model_color_format="RGB",
            maintain_aspect_ratio=True,
            symmetric_padding=True,
            scaling_filter=1,
        ),
        labels=("person",),
        library="torch",
        licence_note="none",
    )
    pixels, outputs = np.zeros((1, 3, 1, 1), np.uint8), {"y": np.zeros(1, np.float32)}
    golden = Golden(pixels, {}, outputs, {"reference": PYTORCH})

    with pytest.raises(ModelError, match=r"want those that TensorRT 10\.1 takes"):
        package.publish(graph_of(node("Det")), description, golden, output_dir=tmp_path / "out")

    assert not (tmp_path / "out").exists()
