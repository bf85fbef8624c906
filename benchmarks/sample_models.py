"""Networks with the names and shapes of those that NVIDIA's sample scripts ask for.

They are not trained: a detector "sees" bright places, a classifier tells colours apart. What they
exercise is everything around a network.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_OPSET = 17
_CELL_PX = 16


def write_samples(folder: Path) -> None:
    """Write models and labels where a DeepStream installation has `samples`."""
    models = folder / "models"
    vehicles = models / "Primary_Detector"
    people = models / "tao_pretrained_models/peopleNet"
    makes, types = models / "Secondary_VehicleMake", models / "Secondary_VehicleTypes"
    labels = folder / "configs/tao_pretrained_models"
    for made in (vehicles, people, makes, types, labels):
        made.mkdir(parents=True, exist_ok=True)
    _detector(vehicles / "resnet18_trafficcamnet_pruned.onnx", classes=4)
    (vehicles / "labels.txt").write_text("Car\nBicycle\nPerson\nRoadsign\n")
    _detector(people / "resnet34_peoplenet_int8.onnx", classes=3)
    (labels / "labels_peoplenet.txt").write_text("Person\nBag\nFace\n")
    _classifier(makes / "resnet18_vehiclemakenet_pruned.onnx", classes=20)
    (makes / "labels.txt").write_text(";".join(f"make{number}" for number in range(20)) + "\n")
    _classifier(types / "resnet18_vehicletypenet_pruned.onnx", classes=6)
    (types / "labels.txt").write_text("coupe;largevehicle;sedan;suv;truck;van\n")


def _detector(path: Path, *, classes: int, wh: tuple[int, int] = (960, 544)) -> None:
    """Save a DetectNet grid: coverage by brightness, boxes of one size around each cell."""
    columns, rows = wh[0] // _CELL_PX, wh[1] // _CELL_PX
    slope = np.zeros((classes, 3, 1, 1), np.float32)
    # Class 0 likes white, the others red, green and blue alone.
    for class_id in range(classes):
        slope[class_id] = -8
        slope[class_id, (class_id - 1) % 3] = 12
    slope[0] = 4
    bias = np.full(classes, -8, np.float32)
    bias[0] = -10
    side = np.full(4 * classes, 1.5, np.float32)
    constants = {
        "slope": slope,
        "bias": bias,
        "flat": np.zeros((4 * classes, 3, 1, 1), np.float32),
        "side": side,
    }
    pool = {"kernel_shape": [_CELL_PX] * 2, "strides": [_CELL_PX] * 2}
    nodes = [
        helper.make_node("AveragePool", ["input_1:0"], ["cells"], **pool),
        helper.make_node("Conv", ["cells", "slope", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["output_cov/Sigmoid:0"]),
        helper.make_node("Conv", ["cells", "flat", "side"], ["output_bbox/BiasAdd:0"]),
    ]
    shapes = {
        "output_bbox/BiasAdd:0": [4 * classes, rows, columns],
        "output_cov/Sigmoid:0": [classes, rows, columns],
    }
    _save(path, nodes, constants, shapes, wh)


def _classifier(path: Path, *, classes: int, wh: tuple[int, int] = (224, 224)) -> None:
    """Save a softmax over fixed random mixtures of the mean colour."""
    weight = np.random.default_rng(classes).normal(0, 0.05, (classes, 3, 1, 1))
    nodes = [
        helper.make_node("GlobalAveragePool", ["input_1:0"], ["colour"]),
        helper.make_node("Conv", ["colour", "weight"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["predictions/Softmax:0"], axis=1),
    ]
    constants = {"weight": weight.astype(np.float32)}
    _save(path, nodes, constants, {"predictions/Softmax:0": [classes, 1, 1]}, wh)


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    outputs: dict[str, list[int]],
    wh: tuple[int, int],
) -> None:
    shape = ["batch", 3, wh[1], wh[0]]
    images = helper.make_tensor_value_info("input_1:0", TensorProto.FLOAT, shape)
    found = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *sizes])
        for name, sizes in outputs.items()
    ]
    tables = [numpy_helper.from_array(table, name) for name, table in constants.items()]
    graph = helper.make_graph(nodes, "sample", [images], found, tables)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = 8
    onnx.save(model, path)
