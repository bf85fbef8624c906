"""A rope classifier checkpoint to an ONNX for nvinfer's SGIE: one expanded person crop a row."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from export.checkpoints import load_weights, read_checkpoint
from export.classifier_model import Architecture, ForNvinfer, RoiClassifier
from export.package import OnStage, bytes_fact, file_fact, publish, serialise, silent
from export.parity import Floats, as_nvinfer, batches_to_check, compare, run_onnx, sample_images
from export.to_onnx import OPSET, Batch, library_versions, operators_of, tensors_of, to_onnx
from ropewatch.errors import ModelError
from ropewatch.manifest import Manifest, ParityFact, Preprocessing

STAGES = 5
PRETRAINED_NOTE = (
    "If the backbone started from DINOv3 weights, Meta's DINOv3 licence applies to these as well."
)


def export_classifier(
    weights: Path,
    *,
    output_dir: Path,
    architecture: Architecture | None = None,
    crop_wh: tuple[int, int] | None = None,
    labels: tuple[str, ...] | None = None,
    mode: str = "crop",
    batch: Batch = "dynamic",
    name: str | None = None,
    on_stage: OnStage = silent,
) -> Path:
    """Export with softmax inside, compare with PyTorch, and write ONNX and manifest.

    Args:
        weights: a checkpoint of the classifier; see `export.checkpoints`.
        output_dir: for `<name>.onnx` and `<name>.onnx.manifest.json`.
        architecture: of a checkpoint that does not carry its own. With neither, the documented
            defaults of Architecture are taken, and labels and crop_wh must be given.
        crop_wh: network width and height, px, where it is to differ from the architecture's.
        labels: in class order; must agree with an architecture that has them.
        mode: crop is the only one so far.
        batch: dynamic, or a fixed size.
        name: of the model; the checkpoint's stem when None.
        on_stage: told of each of STAGES stages.

    Returns:
        The path of the ONNX.

    Raises:
        ModelError: the checkpoint does not fit, or the exported graph differs from PyTorch;
            nothing is written then.
    """
    if mode != "crop":
        raise ModelError(f"mode: {mode!r}, want crop, the only mode that can be exported so far")
    on_stage("reading the checkpoint")
    own, tensors = read_checkpoint(weights)
    architecture = _resolve(own, architecture, crop_wh=crop_wh, labels=labels, origin=weights)
    model = load_weights(architecture, tensors, origin=weights)
    preprocessing = _preprocessing(architecture)

    on_stage("exporting to ONNX")
    width, height = architecture.crop_wh
    example = torch.zeros(2 if batch == "dynamic" else batch, 3, height, width)
    graph = to_onnx(
        ForNvinfer(model).eval(),
        example,
        input_name="images",
        output_name="probabilities",
        batch=batch,
    )
    content = serialise(graph)

    on_stage("comparing with PyTorch")
    name = name or weights.stem
    parity: tuple[ParityFact, ...] = ()
    for size in batches_to_check(batch):
        pixels = sample_images(size, size_wh=architecture.crop_wh)
        images = as_nvinfer(pixels, preprocessing)
        parity += compare(
            name,
            batch=size,
            expected=_probabilities(model, pixels),
            actual=run_onnx(graph, images),
            quantities={"probability": (lambda answer: answer, 1e-5)},
        )
    on_stage("writing the manifest")
    manifest = Manifest(
        format="ropewatch-model-1",
        kind="classifier",
        mode="crop",
        onnx=bytes_fact(f"{name}.onnx", content),
        weights=file_fact(weights),
        opset=OPSET,
        inputs=tensors_of(graph.graph.input),
        outputs=tensors_of(graph.graph.output),
        preprocessing=preprocessing,
        labels=architecture.labels,
        architecture=architecture.to_json(),
        operators=operators_of(graph),
        parity=parity,
        versions=library_versions("timm"),
        licence_notes=(PRETRAINED_NOTE,),
    )
    written = publish(content, manifest, output_dir=output_dir)
    on_stage("done")
    return written


def _resolve(
    own: Architecture | None,
    given: Architecture | None,
    *,
    crop_wh: tuple[int, int] | None,
    labels: tuple[str, ...] | None,
    origin: Path,
) -> Architecture:
    if own is not None and given is not None and own != given:
        raise ModelError(
            f"{origin}: carries an architecture that differs from the given one, want one; "
            f"leave --architecture out"
        )
    architecture = own or given
    try:
        if architecture is None:
            if labels is None or crop_wh is None:
                raise ModelError(
                    f"{origin}: no architecture in it, want its labels in class order and its "
                    f"crop size; give --architecture, or --labels and --crop-wh"
                )
            return Architecture(labels=labels, crop_wh=crop_wh)
        if labels is not None and labels != architecture.labels:
            raise ModelError(
                f"{origin}: labels {list(labels)}, want {list(architecture.labels)} as in its "
                f"architecture: their order is the class order; leave --labels out"
            )
        return dataclasses.replace(architecture, crop_wh=crop_wh or architecture.crop_wh)
    except ValueError as error:
        raise ModelError(f"{origin}: {error}") from error


def _preprocessing(architecture: Architecture) -> Preprocessing:
    """The share of the normalisation that nvinfer does; the division by std is in the graph.

    The aspect ratio is not kept: a crop fills the input, as the box fills RoIAlign's grid.
    """
    red, green, blue = (255 * value for value in architecture.mean)
    return Preprocessing(
        net_scale_factor=1 / 255,
        offsets=(red, green, blue),
        model_color_format="RGB",
        maintain_aspect_ratio=False,
        symmetric_padding=False,
        scaling_filter=1,
    )


def _probabilities(model: RoiClassifier, pixels: "np.typing.NDArray[np.uint8]") -> Floats:
    """PyTorch's answer to 8-bit RGB pixels, normalised as in training."""
    with torch.no_grad():
        logits = model(model.normalise(torch.from_numpy(pixels)))
    probabilities: Floats = logits.softmax(1).numpy()
    return probabilities
