"""How much an ONNX graph multiplies: convolutions and matrix products, attention included."""

import math
from collections.abc import Mapping, Sequence

import onnx
import onnxslim

from ropewatch.errors import ModelError

Shape = tuple[int, ...]
# No shape has as many numbers.
_SMALL = 64
_UNNEEDED = ["graph_fusion", "subexpression_elimination", "weight_tying"]


def gmacs(graph: onnx.ModelProto, *, free: int = 1) -> float:
    """Multiplications with additions, in thousands of millions, for one image (and one box).

    Counted: Conv, ConvTranspose, Gemm and MatMul, so attention's two products as well. RoiAlign,
    norms and activations are left out: in these networks they are below a hundredth.

    Args:
        graph: from export, its shapes fixed but for named dimensions.
        free: what every named dimension is taken for.

    Raises:
        ModelError: the shape of a counted operator's input or output cannot be inferred.
    """
    fixed = _fixed(graph, free)
    shapes = _shapes(fixed)
    total = 0
    for node in fixed.graph.node:
        count = _COUNTED.get(node.op_type)
        if count is None:
            continue
        names = (*node.input[:2], node.output[0])
        missing = [name for name in names if name not in shapes]
        if missing:
            raise ModelError(
                f"exported graph: {node.op_type} {node.name}: the shape of {', '.join(missing)} "
                f"cannot be inferred, want fixed sizes but for batch and boxes; export it again"
            )
        total += count(node, *(shapes[name] for name in names))
    return total / 1e9


def _conv(_node: onnx.NodeProto, _inputs: Shape, weights: Shape, output: Shape) -> int:
    # Weights are (outputs, inputs / groups, *kernel): what one output value needs.
    return math.prod(output) * math.prod(weights[1:])


def _conv_transpose(_node: onnx.NodeProto, inputs: Shape, weights: Shape, _output: Shape) -> int:
    return math.prod(inputs) * math.prod(weights[1:])


def _gemm(node: onnx.NodeProto, inputs: Shape, _weights: Shape, output: Shape) -> int:
    transposed = any(each.name == "transA" and each.i for each in node.attribute)
    return math.prod(output) * inputs[0 if transposed else 1]


def _matmul(_node: onnx.NodeProto, inputs: Shape, _weights: Shape, output: Shape) -> int:
    return math.prod(output) * inputs[-1]


_COUNTED = {"Conv": _conv, "ConvTranspose": _conv_transpose, "Gemm": _gemm, "MatMul": _matmul}


def _fixed(graph: onnx.ModelProto, free: int) -> onnx.ModelProto:
    """A copy with numbers for named dimensions, what follows from them folded, and no weights."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(graph)
    # Inferred again: what the exporter left says "batch" where a number is wanted now.
    del fixed.graph.value_info[:]
    for value in (*fixed.graph.input, *fixed.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = free
    # Weights become inputs of their shape: each pass below would carry them along.
    for tensor in [each for each in fixed.graph.initializer if math.prod(each.dims) > _SMALL]:
        fixed.graph.input.append(
            onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        )
        fixed.graph.initializer.remove(tensor)
    # ONNX's own inference stops where a shape is computed by Equal and Where, as in Expand.
    return onnxslim.slim(fixed, skip_optimizations=_UNNEEDED)


def _shapes(graph: onnx.ModelProto) -> Mapping[str, Shape]:
    """The shape of every tensor that can be inferred."""
    inferred = onnx.shape_inference.infer_shapes(graph, data_prop=True).graph
    found = {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    for value in (*inferred.input, *inferred.output, *inferred.value_info):
        dims: Sequence[onnx.TensorShapeProto.Dimension] = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            found[value.name] = tuple(dim.dim_value for dim in dims)
    return found
