"""The ONNX operators that TensorRT 10's parser takes, and the check that a graph holds no other.

Source: https://github.com/onnx/onnx-tensorrt, docs/operators.md, at release/10.1-GA (commit
96e781103cfc), the rows marked supported. Later releases took more; a graph that 10.1 takes is the
safe one, since JetPack 6 has 10.3. Restrictions by type and attribute stand in the same file and
are not checked here: building the engine tells.
"""

from collections.abc import Iterable

import onnx

from ropewatch.errors import ModelError

RELEASE = "10.1"
# Opsets that the same document gives, both ends included.
OPSETS = (9, 20)
_NAMES = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast
CastLike Ceil Celu Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum
DeformConv DepthToSpace DequantizeLinear Div Dropout Einsum Elu Equal Erf Exp Expand EyeLike
Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool
GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization GRU HardSigmoid HardSwish
Hardmax Identity If ImageScaler InstanceNormalization IsInf IsNaN LayerNormalization LeakyRelu
Less LessOrEqual Log LogSoftmax Loop LRN LSTM LpNormalization LpPool MatMul Max MaxPool Mean
MeanVarianceNormalization Min Mish Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or Pad
ParametricSoftplus Pow PRelu QuantizeLinear RandomNormal RandomNormalLike RandomUniform
RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence
RNN RoiAlign Round ScaledTanh Scan Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid
Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan
Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor
"""
TAKEN = frozenset(_NAMES.split())


def check_operators(graph: onnx.ModelProto) -> None:
    """Raise a ModelError that names every operator that the parser does not take.

    Looks into the bodies of If, Loop and Scan and the graph's own functions as well.
    """
    foreign: set[str] = set()
    for nodes in (graph.graph.node, *(function.node for function in graph.functions)):
        foreign |= _refused(nodes)
    opset = next((entry.version for entry in graph.opset_import if not entry.domain), 0)
    if foreign:
        raise ModelError(
            f"exported graph: operators {sorted(foreign)}, want those that TensorRT {RELEASE} "
            f"takes; write the model without them"
        )
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise ModelError(
            f"exported graph: opset {opset}, want {OPSETS[0]} to {OPSETS[1]} as TensorRT "
            f"{RELEASE} takes; export it again"
        )


def _refused(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    refused = set()
    for node in nodes:
        if node.domain not in ("", "ai.onnx"):
            refused.add(f"{node.domain}.{node.op_type}")
        elif node.op_type not in TAKEN:
            refused.add(node.op_type)
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                refused |= _refused(body.node)
    return refused
