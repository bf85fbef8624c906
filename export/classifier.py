"""A rope classifier checkpoint to an ONNX for nvinfer's SGIE: one expanded person crop a row."""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch

from export.checkpoints import load_weights, read_checkpoint
from export.classifier_model import Architecture, ForNvinfer, RoiClassifier
from export.package import Description, OnStage, publish, silent
from export.parity import Floats, check_batches, compare
from export.to_onnx import Batch, to_onnx
from ropewatch.errors import ModelError
from ropewatch.manifest import Preprocessing

STAGES = 4
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
    """Export with softmax inside, compare with PyTorch, write `<name>.onnx` and its manifest.

    Args:
        weights: a checkpoint of the classifier; see `export.checkpoints`.
        output_dir: made when missing.
        architecture: of a checkpoint that does not carry its own. With neither, Architecture's
            documented defaults are taken, and labels and crop_wh must be given.
        crop_wh: network width and height, px, where it is to differ from the architecture's.
        labels: in class order; must agree with an architecture that has them.
        mode: crop is the only one so far.
        batch: dynamic, or a fixed size.
        name: of the model; None takes the checkpoint's stem.
        on_stage: told of each of STAGES stages.

    Raises:
        ModelError: something does not fit or differs from PyTorch; nothing is written then.
    """
    if mode != "crop":
        raise ModelError(f"mode: {mode!r}, want crop, the only mode that can be exported so far")
    on_stage("reading the checkpoint")
    own, tensors = read_checkpoint(weights)
    architecture = _resolve(own, architecture, crop_wh=crop_wh, labels=labels, origin=weights)
    model = load_weights(architecture, tensors, origin=weights)
    on_stage("exporting to ONNX")
    graph = to_onnx(
        ForNvinfer(model).eval(),
        size_wh=architecture.crop_wh,
        input_name="images",
        output_name="probabilities",
        batch=batch,
    )
    on_stage("comparing with PyTorch")
    description = _describe(graph, model, name=name or weights.stem, weights=weights, batch=batch)
    on_stage("writing")
    return publish(graph, description, output_dir=output_dir)


def _describe(
    graph: onnx.ModelProto, model: RoiClassifier, *, name: str, weights: Path, batch: Batch
) -> Description:
    architecture, preprocessing = model.architecture, _preprocessing(model.architecture)
    parity = check_batches(
        graph,
        batch=batch,
        size_wh=architecture.crop_wh,
        preprocessing=preprocessing,
        check=lambda pixels, _, answer: compare(
            name,
            expected=_probabilities(model, pixels),
            actual=answer,
            quantities={"probability": (lambda probabilities: probabilities, 1e-5)},
        ),
    )
    return Description(
        name=name,
        kind="classifier",
        mode="crop",
        weights=weights,
        preprocessing=preprocessing,
        labels=architecture.labels,
        architecture=architecture.to_json(),
        parity=parity,
        library="timm",
        licence_note=PRETRAINED_NOTE,
    )


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


def _probabilities(model: RoiClassifier, pixels: npt.NDArray[np.uint8]) -> Floats:
    """PyTorch's answer to 8-bit RGB pixels, normalised as in training."""
    with torch.no_grad():
        logits = model(model.normalise(torch.from_numpy(pixels)))
    probabilities: Floats = logits.softmax(1).numpy()
    return probabilities
