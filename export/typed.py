"""`ropewatch export typed`: an exported ONNX to the same in half precision, typed throughout."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from export.package import OnStage, file_fact, silent, write_together
from export.parity import compare, run_onnx, sample_images
from export.precision import (
    Feeds,
    autocast_version,
    check_types,
    precisions_of,
    to_half,
    weights_at_the_ends,
)
from export.report import render, report_of
from export.tensorrt_operators import check_operators
from export.to_onnx import library_versions, operators_of, share_constants, tensors_of
from ropewatch.errors import ModelError
from ropewatch.golden import ONNX_RUNTIME, Floats, Golden, golden_of, load_golden
from ropewatch.manifest import DerivedFrom, Manifest, load_verified, manifest_of

STAGES = 5
# A person that a site's PGIE would report at nvinfer's usual threshold.
DETECTED = 0.25
# Enough to see that a conversion is broken; whether an engine decides alike, the gate tells.
PROBABILITY, BOX_PX, FEATURE_SHARE = 0.02, 2.0, 0.05


def export_typed(
    path: Path,
    *,
    output_dir: Path | None = None,
    keep_fp32: Sequence[str] = (),
    on_stage: OnStage = silent,
) -> Path:
    """Convert, check every type, compare with the golden outputs, write `<name>.fp16.onnx`.

    Its manifest and golden outputs lie beside it; the latter are the parent's, hence float32's.

    Args:
        path: an ONNX from export, float32.
        output_dir: made when missing; None is the ONNX's own folder.
        keep_fp32: operators that stay float32, such as Softmax.
        on_stage: told of each of STAGES stages.

    Raises:
        ModelError: something does not fit or differs too much; nothing is written then.
    """
    on_stage("reading the model")
    manifest, golden = _parent(path)
    graph = onnx.load(path)
    feeds = [piece for piece, _ in _pieces(manifest, golden)]
    on_stage("converting")
    typed = to_half(graph, feeds, keep_fp32=keep_fp32)
    # AutoCast 0.47 names unknown sizes alike that differ, and ONNX Runtime believes it.
    del typed.graph.value_info[:]
    # AutoCast gives each reader its own copy: the rotary tables would be there 48 times.
    share_constants(typed)
    on_stage("checking types")
    inferred = check_types(typed)
    check_operators(typed)
    on_stage("comparing with the golden outputs")
    child = _derived(manifest, typed, inferred, _answers(typed, manifest, golden), golden)
    on_stage("writing")
    return _write(child, typed, golden, (output_dir or path.parent))


def _parent(path: Path) -> tuple[Manifest, Golden]:
    """The manifest and the golden outputs; of an ONNX without them, its own on drawn pictures."""
    manifest = load_verified(path)
    if manifest.derived_from is not None:
        raise ModelError(
            f"{path}: typed already, from {manifest.derived_from.onnx.file}; give that one"
        )
    if manifest.golden is not None:
        return load_golden(path)
    if len(manifest.inputs) > 1:
        raise ModelError(f"{path}: no golden outputs, want them; export the model again")
    pixels = sample_images(2, size_wh=manifest.network_wh_px)
    name = manifest.outputs[0].name
    origin = {"reference": ONNX_RUNTIME, **manifest.versions}
    # The outputs are filled in below: what is run is a golden file's inputs.
    blank = Golden(pixels, {}, {name: np.zeros((len(pixels), 1), np.float32)}, origin)
    outputs = {name: _answers(onnx.load(path), manifest, blank)}
    return manifest, dataclasses.replace(blank, outputs=outputs)


def _pieces(manifest: Manifest, golden: Golden) -> Iterator[tuple[Feeds, npt.NDArray[np.intp]]]:
    """The golden inputs in batches that the model takes, each with the places of its answers.

    A model of a fixed batch is given pictures again where they do not fill one.
    """
    batch, count = manifest.inputs[0].shape[0], len(golden.pixels)
    if isinstance(batch, str):
        rows = len(next(iter(golden.outputs.values())))
        yield golden.feeds(manifest), np.arange(rows)
        return
    index = golden.inputs.get("image_index")
    for first in range(0, count, batch):
        pixels = golden.pixels[np.arange(first, first + batch) % count]
        if index is None:
            places = np.arange(first, min(first + batch, count))
            inputs: dict[str, npt.NDArray[Any]] = {}
        else:
            places = np.flatnonzero((index >= first) & (index < first + batch))
            inputs = {
                "rois": golden.inputs["rois"][places],
                "image_index": index[places] - first,
            }
        piece = dataclasses.replace(golden, pixels=pixels, inputs=inputs)
        yield piece.feeds(manifest), places


def _answers(graph: onnx.ModelProto, manifest: Manifest, golden: Golden) -> Floats:
    """The graph's output for all golden inputs, in their order."""
    parts = [
        (run_onnx(graph, feeds)[: len(places)], places)
        for feeds, places in _pieces(manifest, golden)
    ]
    places = np.concatenate([each for _, each in parts])
    answers = np.empty((len(places), *parts[0][0].shape[1:]), np.float32)
    for answer, where in parts:
        answers[where] = answer
    return answers


def _derived(
    manifest: Manifest,
    typed: onnx.ModelProto,
    inferred: onnx.ModelProto,
    actual: Floats,
    golden: Golden,
) -> Manifest:
    """The typed ONNX's manifest; its own and its golden file's facts are filled in last."""
    expected = golden.outputs[manifest.outputs[0].name]
    name = f"{Path(manifest.onnx.file).stem}.fp16"
    parity = compare(
        name, expected=expected, actual=actual, quantities=_quantities(manifest, expected)
    )
    precisions = precisions_of(inferred)
    largest, smallest = weights_at_the_ends(typed)
    return manifest.model_copy(
        update={
            "opset": next(each.version for each in typed.opset_import if not each.domain),
            "inputs": tensors_of(typed.graph.input),
            "outputs": tensors_of(typed.graph.output),
            "operators": operators_of(typed),
            "parity": parity,
            "versions": {**manifest.versions, **library_versions("modelopt")},
            "derived_from": DerivedFrom(
                onnx=manifest.onnx,
                tool=autocast_version(),
                precision="fp16",
                fp16_operators=precisions.fp16,
                fp32_operators=precisions.fp32,
                largest_weights=largest,
                smallest_weights=smallest,
                max_abs_difference={fact.quantity: fact.max_abs_difference for fact in parity},
            ),
        }
    )


def _quantities(
    manifest: Manifest, expected: Floats
) -> Mapping[str, tuple[Callable[[Floats], Floats], float]]:
    if manifest.kind == "classifier":
        return {"probability": (lambda answer: answer, PROBABILITY)}
    # A box that the network gives no chance is arbitrary, and moves by pixels.
    detected = expected[..., 4] >= DETECTED
    return {
        f"box of the {np.count_nonzero(detected)} with score {DETECTED} or more, px": (
            lambda answer: answer[detected][:, :4],
            BOX_PX,
        ),
        "score of all": (lambda answer: answer[..., 4], PROBABILITY),
    }


def _write(child: Manifest, typed: onnx.ModelProto, golden: Golden, folder: Path) -> Path:
    path = folder / f"{Path(child.onnx.file).stem}.fp16.onnx"
    contents = {path: typed.SerializeToString(), golden_of(path): golden.to_bytes()}
    model, outputs = (file_fact(file.name, held) for file, held in contents.items())
    manifest = child.model_copy(update={"onnx": model, "golden": outputs})
    contents[manifest_of(path)] = (manifest.model_dump_json(indent=1) + "\n").encode()
    contents[report_of(path)] = render(manifest).encode()
    write_together(contents)
    return path
