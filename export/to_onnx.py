"""A PyTorch module to a simplified ONNX graph, and the facts that a manifest wants of it."""

import hashlib
import io
import warnings
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import packages_distributions, version
from typing import Literal

import onnx
import onnxslim
import torch
from torch import nn

from ropewatch.manifest import TensorFact

# The first opset in which LayerNorm is one operator, which keeps it fp32 in mixed precision.
OPSET = 17
LIBRARIES = ("torch", "onnx", "onnxslim", "onnxruntime")
# "dynamic", or the one batch size that the graph then takes.
Batch = Literal["dynamic"] | int

_DTYPES = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.FLOAT16: "float16",
    onnx.TensorProto.INT64: "int64",
    onnx.TensorProto.INT32: "int32",
}


def to_onnx(
    module: nn.Module,
    *,
    size_wh: tuple[int, int],
    input_name: str,
    output_name: str,
    batch: Batch,
) -> onnx.ModelProto:
    """Trace, export and simplify a module with one image input and one output.

    Args:
        module: in evaluation mode; takes (B, 3, H, W) float32.
        size_wh: width and height, px; they become fixed.
        input_name: name of the input in the graph.
        output_name: name of the output in the graph.
        batch: a fixed size, or dynamic.
    """
    # Traced at two, so that a batch of one is not mistaken for a dimension to broadcast.
    example = torch.zeros(2 if batch == "dynamic" else batch, 3, size_wh[1], size_wh[0])
    axes = {name: {0: "batch"} for name in (input_name, output_name)}
    return trace(
        module,
        (example,),
        input_names=(input_name,),
        output_name=output_name,
        axes=axes if batch == "dynamic" else {},
    )


def trace(
    module: nn.Module,
    examples: tuple[torch.Tensor, ...],
    *,
    input_names: tuple[str, ...],
    output_name: str,
    axes: Mapping[str, Mapping[int, str]],
) -> onnx.ModelProto:
    """Trace, export and simplify a module with one output.

    Args:
        module: in evaluation mode.
        examples: one for each input; their shapes become fixed.
        input_names: names of the inputs in the graph.
        output_name: name of the output in the graph.
        axes: for an input or output, its free dimensions by number, with their names.
    """
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # The TorchScript exporter warns that it is the old one and about every shape that it
        # makes constant; both are wanted. The new exporter froze the batch (torch 2.12).
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            examples,
            stream,
            input_names=list(input_names),
            output_names=[output_name],
            dynamic_axes={name: dict(free) for name, free in axes.items()} or None,
            opset_version=OPSET,
            do_constant_folding=True,
            dynamo=False,
        )
    graph = onnxslim.slim(onnx.load_model_from_string(stream.getvalue()))
    share_constants(graph)
    onnx.checker.check_model(graph, full_check=True)
    return graph


def share_constants(graph: onnx.ModelProto) -> None:
    """Keep one copy of equal constants, in place: each block repeats the rotary tables."""
    kept: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    renamed: dict[str, str] = {}
    for tensor in list(graph.graph.initializer):
        content = onnx.numpy_helper.to_array(tensor).tobytes()
        digest = hashlib.sha256(content).digest()
        first = kept.setdefault((tensor.data_type, tuple(tensor.dims), digest), tensor.name)
        if first != tensor.name:
            renamed[tensor.name] = first
            graph.graph.initializer.remove(tensor)
    for node in graph.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)


def operators_of(graph: onnx.ModelProto) -> dict[str, int]:
    """How often each operator occurs, by name."""
    return dict(sorted(Counter(node.op_type for node in graph.graph.node).items()))


def tensors_of(values: "list[onnx.ValueInfoProto]") -> tuple[TensorFact, ...]:
    """Name, dtype and shape of the graph's inputs or outputs."""
    return tuple(
        TensorFact.model_validate(
            {
                "name": value.name,
                "dtype": _DTYPES[value.type.tensor_type.elem_type],
                "shape": [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim],
            }
        )
        for value in values
    )


def library_versions(*more: str) -> dict[str, str]:
    """The installed versions of what made the file, by import name.

    A package may be installed under another name than it is imported by: ultralytics comes from
    ultralytics-opencv-headless, onnxruntime from onnxruntime-gpu on a machine with CUDA.
    """
    owners = packages_distributions()
    return {name: version(owners[name][0]) for name in (*LIBRARIES, *more)}
