"""The exported graph in ONNX Runtime against numbers that PyTorch gave."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from export.to_onnx import Batch
from ropewatch.errors import ModelError
from ropewatch.golden import Floats, as_nvinfer
from ropewatch.manifest import ParityFact, Preprocessing

# Seven is neither a power of two nor a traced size: a frozen batch does not survive it.
BATCHES = (1, 2, 7)


def sample_images(batch: int, *, size_wh: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Pictures of blobs and noise, the same every time: (B, 3, H, W) uint8, RGB."""
    width, height = size_wh
    random = np.random.default_rng(batch)
    coarse = random.integers(0, 256, (batch, 3, -(-height // 16), -(-width // 16)))
    blobs = coarse.repeat(16, axis=2).repeat(16, axis=3)[:, :, :height, :width]
    noise = random.integers(-40, 41, blobs.shape)
    images: npt.NDArray[np.uint8] = np.clip(blobs + noise, 0, 255).astype(np.uint8)
    return images


def open_onnx(graph: onnx.ModelProto, *, optimise: bool = True) -> Any:
    """An ONNX Runtime session on the CPU with two threads, its optimisations on or off."""
    # Read once, at import: without it the wheel leaves a device id in the home folder and
    # reports to its maker (ONNX Runtime 1.31 on Linux).
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # noqa: PLC0415 (after that setting)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run_onnx(graph: onnx.ModelProto, feeds: Mapping[str, npt.NDArray[Any]]) -> Floats:
    """The graph's one output for its inputs by name."""
    output: Floats = open_onnx(graph).run(None, dict(feeds))[0]
    return output


def check_batches(
    graph: onnx.ModelProto,
    *,
    batch: Batch,
    size_wh: tuple[int, int],
    preprocessing: Preprocessing,
    golden: npt.NDArray[np.uint8],
    check: Callable[[npt.NDArray[np.uint8], Floats, Floats], tuple[ParityFact, ...]],
) -> tuple[ParityFact, ...]:
    """Run the graph at each batch size that it must answer to, and check every answer.

    Args:
        graph: to run.
        batch: dynamic is tried at BATCHES, a fixed size at itself.
        size_wh: width and height, px.
        preprocessing: what nvinfer does to the pixels.
        golden: pictures that are tried as well, (B, 3, H, W).
        check: takes 8-bit pixels (B, 3, H, W), the same as nvinfer scales them, and the
            graph's answer.
    """
    facts: tuple[ParityFact, ...] = ()
    drawn = [
        sample_images(size, size_wh=size_wh)
        for size in (BATCHES if batch == "dynamic" else (batch,))
    ]
    repeated = golden[np.arange(len(golden) if batch == "dynamic" else batch) % len(golden)]
    for pixels in (*drawn, repeated):
        images = as_nvinfer(pixels, preprocessing)
        facts += check(pixels, images, run_onnx(graph, {graph.graph.input[0].name: images}))
    return facts


def compare(
    name: str,
    *,
    expected: Floats,
    actual: Floats,
    quantities: Mapping[str, tuple[Callable[[Floats], Floats], float]],
    batch: int | None = None,
) -> tuple[ParityFact, ...]:
    """Largest differences, each against its tolerance.

    Args:
        name: of the model, for the message.
        expected: PyTorch's answer, (B, ...).
        actual: ONNX Runtime's.
        quantities: for each name with unit, what part of an answer it is and its tolerance.
        batch: how many images it was; None when each gives one row.

    Raises:
        ModelError: another shape, a number that is not finite, or a difference too large.
    """
    batch = len(expected) if batch is None else batch
    if expected.shape != actual.shape:
        raise ModelError(
            f"{name}: batch {batch} gives {actual.shape}, want {expected.shape} as PyTorch; "
            f"the export is wrong, nothing was written"
        )
    facts = []
    for quantity, (part, tolerance) in quantities.items():
        difference = float(np.abs(part(expected) - part(actual)).max(initial=0))
        # Not "greater than": a NaN must fail as well.
        if not difference <= tolerance:
            raise ModelError(
                f"{name}: {quantity} differs from PyTorch by {difference:g} at batch {batch}, "
                f"want at most {tolerance:g}; the export is wrong, nothing was written"
            )
        facts.append(
            ParityFact(
                quantity=quantity,
                batch=batch,
                max_abs_difference=difference,
                tolerance=tolerance,
            )
        )
    return tuple(facts)
