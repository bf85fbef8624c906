"""Half precision written into a graph, by NVIDIA's ModelOpt AutoCast.

A graph whose every tensor has its type is what TensorRT 10 takes with strong typing, and the only
way to half precision that TensorRT 11 has left. AutoCast converts; this module says what it must
leave alone, and reads off the result what became of each operator.
"""

import logging
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from ropewatch.errors import BackendError, ModelError

Feeds = Mapping[str, npt.NDArray[Any]]

# Layer norms lose the variance of a long row in half precision; RoIAlign takes pixels.
KEPT_OPERATORS = ("LayerNormalization", "RoiAlign")
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_FLOATS = {onnx.TensorProto.FLOAT: "fp32", onnx.TensorProto.FLOAT16: "fp16"}
_SMALLEST = np.float16(6e-8)


@dataclass(frozen=True, slots=True)
class Precisions:
    """What a typed graph computes in which precision: operators, and how often each.

    Casts are counted apart; operators without floating point outputs are not.
    """

    fp16: dict[str, int]
    fp32: dict[str, int]
    casts: int


def require_autocast() -> None:
    """Raise a BackendError where ModelOpt is not installed."""
    try:
        import modelopt.onnx.autocast  # noqa: F401, PLC0415 (seconds, and not on every machine)
    except ImportError as error:
        raise BackendError(
            f"export typed: {error}, want NVIDIA ModelOpt; run scripts/setup --export"
        ) from error


def autocast_version() -> str:
    """Name and version of the converter."""
    return f"nvidia-modelopt AutoCast {version('nvidia-modelopt')}"


def to_half(
    graph: onnx.ModelProto, calibration: Sequence[Feeds], *, keep_fp32: Sequence[str]
) -> onnx.ModelProto:
    """The graph in half precision, its inputs and outputs as they were.

    Beside what is to be kept, AutoCast leaves operators alone that take or give a number beyond
    512 on the calibration inputs, or hold a weight that half precision does not reach.

    Args:
        graph: float32; not changed.
        calibration: inputs by name, at least one.
        keep_fp32: operators that stay float32, beside KEPT_OPERATORS, the tail and the geometry.

    Raises:
        ModelError: the graph has no such operator.
    """
    from modelopt.onnx.autocast import convert_to_mixed_precision  # noqa: PLC0415 (see above)

    named = onnx.ModelProto()
    named.CopyFrom(graph)
    for place, node in enumerate(named.graph.node):
        node.name = f"{node.op_type}_{place}"
    absent = sorted(set(keep_fp32) - {node.op_type for node in named.graph.node})
    if absent:
        raise ModelError(
            f"--keep-fp32: {', '.join(absent)}, want operators of the graph, which are "
            f"{', '.join(sorted({node.op_type for node in named.graph.node}))}"
        )
    kept = {*tail(named), *geometry(named)}
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, data = Path(folder, "model.onnx"), Path(folder, "calibration")
        source.write_bytes(named.SerializeToString())
        data.mkdir()
        for place, feeds in enumerate(calibration):
            # numpy types the names of arrays as its own options.
            arrays: dict[str, Any] = dict(feeds)
            np.savez(data / f"{place:04}.npz", **arrays)
        typed: onnx.ModelProto = convert_to_mixed_precision(
            os.fspath(source),
            low_precision_type="fp16",
            nodes_to_exclude=[f"{re.escape(name)}$" for name in sorted(kept)],
            op_types_to_exclude=[*KEPT_OPERATORS, *keep_fp32],
            keep_io_types=True,
            calibration_data=os.fspath(data),
        )
    return typed


def tail(graph: onnx.ModelProto) -> set[str]:
    """Names of the nodes between the last layers with weights, or norms, and the outputs.

    There boxes become pixels: at 640 half precision has steps of half a pixel. It costs nothing.
    """
    makers = {output: node for node in graph.graph.node for output in node.output}
    stops = (*_WEIGHTED, *KEPT_OPERATORS)
    waiting = [output.name for output in graph.graph.output]
    found: set[str] = set()
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.op_type not in stops and node.name not in found:
            found.add(node.name)
            waiting += node.input
    return found


def geometry(graph: onnx.ModelProto) -> set[str]:
    """Names of the nodes that boxes pass until they are applied to the map, that one included."""
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    # The first input is the image.
    waiting = [value.name for value in graph.graph.input[1:]]
    found: set[str] = set()
    while waiting:
        for node in users.get(waiting.pop(), []):
            if node.name in found:
                continue
            found.add(node.name)
            if node.op_type not in ("MatMul", "RoiAlign"):
                waiting += node.output
    return found


def check_types(typed: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with every tensor's type and shape, inferred strictly.

    Raises:
        ModelError: a type contradicts another, or a node's output has none.
    """
    try:
        onnx.checker.check_model(typed, full_check=True)
        inferred = onnx.shape_inference.infer_shapes(
            typed, check_type=True, strict_mode=True, data_prop=True
        )
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(
            f"typed graph: {str(error).splitlines()[0]}; want types that agree; keep the operator "
            f"in fp32 with --keep-fp32"
        ) from error
    known = _types(inferred)
    untyped = [
        f"{node.op_type} {node.name}"
        for node in inferred.graph.node
        if any(output and output not in known for output in node.output)
    ]
    if untyped:
        raise ModelError(
            f"typed graph: {', '.join(untyped[:5])}: no type can be told, want one for each "
            f"tensor; keep the operator in fp32 with --keep-fp32"
        )
    return inferred


def precisions_of(inferred: onnx.ModelProto) -> Precisions:
    """Count operators by the type that they compute in; takes what `check_types` gives."""
    known = _types(inferred)
    counts: dict[str, Counter[str]] = {"fp16": Counter(), "fp32": Counter()}
    casts = 0
    for node in inferred.graph.node:
        precision = _FLOATS.get(known[node.output[0]])
        if node.op_type == "Cast":
            casts += 1
        elif precision is not None:
            counts[precision][node.op_type] += 1
    fp16, fp32 = (dict(sorted(counts[each].items())) for each in ("fp16", "fp32"))
    return Precisions(fp16=fp16, fp32=fp32, casts=casts)


def rounding(inferred: onnx.ModelProto) -> onnx.ModelProto:
    """A typed graph that ONNX Runtime rounds to half precision at every operator, on a CPU too.

    Without half precision of its own it computes in float32, and what its own casts would have
    rounded between two operators it never rounds: its pass that inserts casts removes pairs of
    them (seen with 1.31: 0.3 + 2048 - 2048 was 0.3). Two operators in a row that only move data
    stay in half precision, as long as its optimisations are off, which would remove them.

    Args:
        inferred: what `check_types` gives.
    """
    known = _types(inferred)
    outputs = {output.name for output in inferred.graph.output}
    nodes = []
    for node in inferred.graph.node:
        changed = onnx.NodeProto()
        changed.CopyFrom(node)
        nodes.append(changed)
        for place, name in enumerate(node.output):
            if known.get(name) != onnx.TensorProto.FLOAT16 or name in outputs:
                continue
            raw, half = f"{name}/raw", f"{name}/half"
            changed.output[place] = raw
            nodes += [
                onnx.helper.make_node("Identity", [one], [other])
                for one, other in ((raw, half), (half, name))
            ]
    rounded = onnx.ModelProto()
    rounded.CopyFrom(inferred)
    del rounded.graph.node[:]
    rounded.graph.node.extend(nodes)
    return rounded


def weights_at_the_ends(typed: onnx.ModelProto) -> tuple[int, int]:
    """How many half precision weights are the largest number or beyond, and the smallest."""
    halves = [
        np.abs(onnx.numpy_helper.to_array(tensor))
        for tensor in typed.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT16
    ]
    return _count(half >= np.finfo(np.float16).max for half in halves), _count(
        half == _SMALLEST for half in halves
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """AutoCast logs a line for each operator that it leaves, and warns of what is wanted."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _count(masks: Iterable[npt.NDArray[np.bool_]]) -> int:
    return sum(int(np.count_nonzero(mask)) for mask in masks)


def _types(graph: onnx.ModelProto) -> dict[str, int]:
    values = (*graph.graph.input, *graph.graph.value_info, *graph.graph.output)
    return {
        value.name: value.type.tensor_type.elem_type
        for value in values
        if value.type.tensor_type.elem_type
    }
