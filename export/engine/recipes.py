"""The ladder: recipes for an engine from the fastest to the safest, as data.

DINOv3 networks are reported to give wrong numbers in half precision under TensorRT 10.3 to 10.7,
and exported through fused attention in single precision too (NVIDIA/TensorRT issues 4558, 4723,
4742, 4333, 4328). Nobody can tell beforehand which recipe is right on a box; the gate tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ropewatch.engine_manifest import Precision, ShapeRange
from ropewatch.errors import ModelError
from ropewatch.manifest import Manifest, load_verified, manifest_of

# TensorRT 11 knows strong typing only: what an ONNX says is what is computed.
_ALWAYS_TYPED: Final = 11


@dataclass(frozen=True, slots=True)
class Rung:
    """One recipe.

    Attributes:
        name: for people, manifests and receipts.
        precision: what nvinfer would call the engine.
        typed: strong typing of an ONNX in mixed precision; else the fp32 ONNX.
        fp16: TensorRT's FP16 flag, with LayerNorm and softmax held in fp32.
        static_batch: one batch size. nvinfer raises a smaller batch to it (DeepStream 9.1,
            nvdsinfer_backend.cpp, enqueueBuffer): right, at the price of a full batch each time.
    """

    name: str
    precision: Precision
    typed: bool = False
    fp16: bool = False
    static_batch: bool = False


_FP32: Final = (Rung("fp32", "fp32"), Rung("fp32-static", "fp32", static_batch=True))
LADDERS: Final[Mapping[Precision, tuple[Rung, ...]]] = {
    "fp16": (
        Rung("typed-fp16", "fp16", typed=True),
        Rung("typed-fp16-static", "fp16", typed=True, static_batch=True),
        Rung("flagged-fp16", "fp16", fp16=True),
        *_FP32,
    ),
    "fp32": _FP32,
    "int8": (
        Rung("typed-int8", "int8", typed=True),
        Rung("typed-int8-static", "int8", typed=True, static_batch=True),
    ),
}


@dataclass(frozen=True, slots=True)
class Source:
    """An ONNX that the builder may read, as its manifest describes it."""

    path: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Model:
    """What is to be built: the ONNX whose golden outputs count, and its typed form if any.

    Attributes:
        parent: gives the engine its name.
        typed: the same in mixed precision or with Q/DQ nodes; may be the parent itself.
    """

    parent: Source
    typed: Source | None


def find_model(onnx: Path, *, precision: Precision) -> Model:
    """The ONNX and, beside it, `NAME.fp16.onnx` or `NAME.int8.onnx`, digests compared.

    Raises:
        ModelError: a file is missing or was changed, the ONNX takes more than pictures, another
            was derived from some other, or int8 is asked for without Q/DQ nodes.
    """
    parent = Source(onnx, load_verified(onnx))
    _require_pictures_alone(parent)
    typed_path = onnx.with_name(f"{onnx.stem}.{precision}.onnx")
    typed = None
    if precision != "fp32" and typed_path.exists():
        typed = Source(typed_path, load_verified(typed_path))
        _require_same_interface(parent, typed)
    if precision == "int8":
        typed = typed or parent
        if not {"QuantizeLinear", "DequantizeLinear"} <= typed.manifest.operators.keys():
            raise ModelError(
                f"{typed.path}: no QuantizeLinear in it, want an ONNX with explicit quantisation "
                f"(Q/DQ) for int8; quantise it first and name it {typed_path.name}, or build "
                f"--precision fp16: TensorRT 11 has no calibrators, and nvinfer's never calibrate"
            )
    return Model(parent, typed)


def shapes_of(
    source: Source, *, opt_batch: int, max_batch: int, static_batch: bool
) -> dict[str, ShapeRange]:
    """What each input takes, by name.

    Raises:
        ModelError: a dimension other than the batch is open, or the batch is fixed to another.
    """
    shapes = {}
    for tensor in source.manifest.inputs:
        batch, *rest = tensor.shape
        numbers = tuple(side for side in rest if isinstance(side, int))
        if len(numbers) != len(rest):
            raise ModelError(
                f"{source.path}: input {tensor.name} is {list(tensor.shape)}, want an open batch "
                f"at most; nvinfer feeds nothing else, export with fixed sizes (--mode crop)"
            )
        if isinstance(batch, int) and batch != max_batch:
            raise ModelError(
                f"{source.path}: input {tensor.name} has the batch {batch}, want {max_batch}; "
                f"give --max-batch {batch}, or export with --batch dynamic"
            )
        fixed = static_batch or isinstance(batch, int)
        least, best = (max_batch, max_batch) if fixed else (1, opt_batch)
        shapes[tensor.name] = ShapeRange(
            min=(least, *numbers), opt=(best, *numbers), max=(max_batch, *numbers)
        )
    return shapes


def why_not(rung: Rung, model: Model, *, tensorrt_release: tuple[int, int]) -> str | None:
    """Why a rung is not possible here; None where it is."""
    if rung.typed and model.typed is None:
        return (
            f"no {model.parent.path.stem}.{rung.precision}.onnx beside the ONNX; make it with "
            f"`ropewatch export typed`"
        )
    if rung.fp16 and tensorrt_release[0] >= _ALWAYS_TYPED:
        return f"TensorRT {tensorrt_release[0]} has no FP16 flag"
    fixed = all(isinstance(tensor.shape[0], int) for tensor in model.parent.manifest.inputs)
    if rung.static_batch and fixed:
        return "the ONNX has a fixed batch already"
    return None


def is_always_typed(tensorrt_release: tuple[int, int]) -> bool:
    """Whether every network of that release is strongly typed, asked for or not."""
    return tensorrt_release[0] >= _ALWAYS_TYPED


def _require_pictures_alone(source: Source) -> None:
    # With more, RoIAlign's plugin and integer inputs would have to be minded in every road.
    inputs = [tensor.name for tensor in source.manifest.inputs]
    if len(inputs) > 1:
        raise ModelError(
            f"{source.path}: inputs {', '.join(inputs)}, want pictures alone: nvinfer feeds "
            f"nothing else; export with --mode crop, or --mode frame --parts two"
        )


def _require_same_interface(parent: Source, typed: Source) -> None:
    ours, theirs = parent.manifest, typed.manifest
    derived = theirs.derived_from
    if derived is not None and derived.onnx.sha256 != ours.onnx.sha256:
        raise ModelError(
            f"{typed.path}: made from {derived.onnx.file} {derived.onnx.sha256[:12]}..., want "
            f"{ours.onnx.sha256[:12]}... as {parent.path.name} is; make it again with "
            f"`ropewatch export typed {parent.path}`"
        )
    if (ours.inputs, ours.outputs) != (theirs.inputs, theirs.outputs):
        raise ModelError(
            f"{manifest_of(typed.path)}: its inputs or outputs differ from {parent.path.name}, "
            f"want the same; make it again with `ropewatch export typed {parent.path}`"
        )
