"""`ropewatch export typed`: an exported ONNX to the same in half precision, typed throughout."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from export.engine.cases import Case, cases
from export.engine.judging import TOLERANCES
from export.package import OnStage, file_fact, silent, write_together
from export.parity import compare, open_onnx, sample_images
from export.precision import (
    autocast_version,
    check_types,
    precisions_of,
    rounding,
    to_half,
    weights_at_the_ends,
)
from export.report import render, report_of
from export.tensorrt_operators import check_operators
from export.to_onnx import library_versions, operators_of, share_constants, tensors_of
from ropewatch.errors import ModelError
from ropewatch.golden import ONNX_RUNTIME, Floats, Golden, golden_of, load_golden
from ropewatch.manifest import DerivedFrom, Manifest, load_verified, manifest_of
from ropewatch.rope_head import RopeHead, load_head, person_grid

STAGES = 5
# A person that a site's PGIE would report at nvinfer's usual threshold.
DETECTED = 0.25


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
    feeds = [case.feeds for case in _cases(manifest, golden)]
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
    head = None if manifest.head is None else load_head(path, manifest)
    actual = _answers(open_onnx(rounding(inferred), optimise=False), manifest, golden)
    expected = golden.outputs[manifest.outputs[0].name]
    child = _derived(manifest, typed, inferred, actual=actual, expected=expected, head=head)
    on_stage("writing")
    return _write(child, typed, golden, parent=path, folder=output_dir or path.parent)


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
    outputs = {name: _answers(open_onnx(onnx.load(path)), manifest, blank)}
    return manifest, dataclasses.replace(blank, outputs=outputs)


def _cases(manifest: Manifest, golden: Golden) -> list[Case]:
    """The golden inputs in the sizes that the model takes."""
    held = {manifest.inputs[0].name: golden.pixels, **golden.inputs}
    shapes = {
        tensor.name: (
            first if isinstance(first := tensor.shape[0], int) else len(held[tensor.name]),
        )
        for tensor in manifest.inputs
    }
    return list(cases(golden, manifest, shapes))


def _answers(session: Any, manifest: Manifest, golden: Golden) -> Floats:
    """The one output of an ONNX Runtime session for all golden inputs, in their order."""
    rows = len(next(iter(golden.outputs.values())))
    answers: Floats | None = None
    for case in _cases(manifest, golden):
        answer = session.run(None, dict(case.feeds))[0]
        if answers is None:
            answers = np.empty((rows, *answer.shape[1:]), np.float32)
        answers[case.rows] = answer
    assert answers is not None, "golden outputs hold a row at least"
    return answers


def _derived(
    manifest: Manifest,
    typed: onnx.ModelProto,
    inferred: onnx.ModelProto,
    *,
    actual: Floats,
    expected: Floats,
    head: RopeHead | None,
) -> Manifest:
    """The typed ONNX's manifest; its own and its golden file's facts are filled in last."""
    name = f"{Path(manifest.onnx.file).stem}.fp16"
    quantities = _quantities(manifest, expected, head)
    parity = compare(name, expected=expected, actual=actual, quantities=quantities)
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
    manifest: Manifest, expected: Floats, head: RopeHead | None
) -> Mapping[str, tuple[Callable[[Floats], Floats], float]]:
    limits = TOLERANCES["fp16"]
    if head is not None:
        boxes = person_grid(manifest.network_wh_px)
        return {
            f"probability by the head, {len(boxes)} boxes": (
                lambda maps: np.stack([head(each, boxes) for each in maps]),
                limits.probability,
            )
        }
    if manifest.kind == "classifier":
        return {"probability": (lambda answer: answer, limits.probability)}
    # A box that the network gives no chance is arbitrary, and moves by pixels.
    detected = expected[..., 4] >= DETECTED
    return {
        f"box of the {np.count_nonzero(detected)} with score {DETECTED} or more, px": (
            lambda answer: answer[detected][:, :4],
            limits.box_px,
        ),
        "score of all": (lambda answer: answer[..., 4], limits.probability),
    }


def _write(
    child: Manifest,
    typed: onnx.ModelProto,
    golden: Golden,
    *,
    parent: Path,
    folder: Path,
) -> Path:
    path = folder / f"{Path(child.onnx.file).stem}.fp16.onnx"
    contents = {path: typed.SerializeToString(), golden_of(path): golden.to_bytes()}
    model, outputs = (file_fact(file.name, held) for file, held in contents.items())
    manifest = child.model_copy(update={"onnx": model, "golden": outputs})
    if child.head is not None:
        contents[folder / child.head.file] = parent.with_name(child.head.file).read_bytes()
    contents[manifest_of(path)] = (manifest.model_dump_json(indent=1) + "\n").encode()
    contents[report_of(path)] = render(manifest).encode()
    write_together(contents)
    return path
