"""Tiny ONNX models and configuration files for the nvinfer tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from plugins.standin.metadata import NvDsBatchMeta, NvDsFrameMeta, NvDsObjectMeta
from plugins.standin.surface import Surface

PARSER = Path(__file__).parents[3] / "plugins/nvdsinfer_ropewatch/libnvdsinfer_ropewatch.so"
PARSE = "NvDsInferParseCustomRopewatch"


def detector(
    path: Path, rows: Sequence[Sequence[float]], *, wh: tuple[int, int] = (64, 32)
) -> Path:
    """Save a model that finds the same boxes everywhere: rows of x1, y1, x2, y2, score, class."""
    # ONNX Runtime 1.23 takes an addition of no rows for one of zeros and removes the output.
    table = np.array([rows or [(0.0,) * 6]], np.float32).reshape(1, -1, 6)
    return _save(path, {"boxes": table}, wh=wh)


def classifier(
    path: Path, outputs: dict[str, Sequence[float]], *, wh: tuple[int, int] = (32, 64)
) -> Path:
    """Save a model that gives the same scores to everything."""
    tables = {name: np.array([row], np.float32) for name, row in outputs.items()}
    return _save(path, tables, wh=wh)


def mean_classifier(path: Path, *, wh: tuple[int | str, int | str] = (32, 64)) -> Path:
    """Save a model whose two scores are the mean of its input and one minus that.

    A name instead of a number leaves that side open.
    """
    width, height = wh
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean4"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Flatten", ["mean4"], ["mean"]),
        helper.make_node("Sub", ["one", "mean"], ["rest"]),
        helper.make_node("Concat", ["mean", "rest"], ["scores"], axis=1),
    ]
    one = numpy_helper.from_array(np.ones((1, 1), np.float32), "one")
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 2])
    return _write(path, nodes, [one], [output], (3, height, width), "batch")


def fixed_batch(path: Path, batch: int, *, wh: tuple[int, int] = (32, 64)) -> Path:
    """Save a model of a fixed batch whose output is the mean of each input."""
    nodes = [helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0)]
    output = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [batch])
    return _write(path, nodes, [], [output], (3, wh[1], wh[0]), batch)


def _save(path: Path, tables: dict[str, np.ndarray], *, wh: tuple[int, int]) -> Path:
    """Each output is its table for each entry of the batch: zero of the input, plus the table."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
    ]
    constants = [numpy_helper.from_array(np.zeros(1, np.float32), "zero")]
    outputs = []
    for name, table in tables.items():
        shape = np.array([-1] + [1] * (table.ndim - 1), np.int64)
        constants.append(numpy_helper.from_array(table, f"{name}_table"))
        constants.append(numpy_helper.from_array(shape, f"{name}_shape"))
        nodes.append(helper.make_node("Reshape", ["nothing", f"{name}_shape"], [f"{name}_zero"]))
        nodes.append(helper.make_node("Add", [f"{name}_zero", f"{name}_table"], [name]))
        outputs.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *table.shape[1:]])
        )
    return _write(path, nodes, constants, outputs, (3, wh[1], wh[0]), "batch")


def _write(
    path: Path,
    nodes: list[Any],
    constants: list[Any],
    outputs: list[Any],
    chw: tuple[int | str, ...],
    batch: int | str,
) -> Path:
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, *chw])
    graph = helper.make_graph(nodes, "tiny", [images], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def ini(path: Path, text: str = "", /, **keys: Any) -> Path:
    """Write a configuration: [property] with the keys (_ for -, None for none), then the text."""
    lines = [
        f"{name.replace('_', '-')}={_shown(value)}"
        for name, value in keys.items()
        if value is not None
    ]
    path.write_text("\n".join(["[property]", *lines, text, ""]), "utf-8")
    return path


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ";".join(map(str, value))
    return str(int(value)) if isinstance(value, bool) else str(value)


def batch_of(
    *frames: tuple[int, int, np.ndarray], boxes: Sequence[tuple[float, ...]] = ()
) -> NvDsBatchMeta:
    """Make a batch of (pad index, frame number, RGB picture); each frame gets the boxes."""
    batch = NvDsBatchMeta(len(frames))
    for index, (pad_index, frame_num, picture) in enumerate(frames):
        frame = NvDsFrameMeta()
        frame.base_meta.batch_meta = batch
        frame.pad_index, frame.frame_num, frame.batch_id = pad_index, frame_num, index
        for number, box in enumerate(boxes):
            frame.objects.append(person(box, object_id=number))
        batch.frames.append(frame)
        alpha = np.full((*picture.shape[:2], 1), 255, np.uint8)
        batch.surfaces.append(Surface.from_rgba(np.concatenate([picture, alpha], axis=2)))
    return batch


def person(
    box_ltwh: tuple[float, ...], *, object_id: int, component_id: int = 1
) -> NvDsObjectMeta:
    """Make an object of class 0."""
    meta = NvDsObjectMeta()
    meta.object_id, meta.unique_component_id = object_id, component_id
    rect = meta.rect_params
    rect.left, rect.top, rect.width, rect.height = box_ltwh
    return meta


def grey(value: int, *, wh: tuple[int, int] = (640, 360)) -> np.ndarray:
    """Make a picture of one grey."""
    return np.full((wh[1], wh[0], 3), value, np.uint8)
