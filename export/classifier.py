"""A rope classifier checkpoint to an ONNX.

Crop mode is for nvinfer's SGIE, one expanded person crop a row; frame mode takes whole pictures
and boxes (see `export.frame`).
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from export.attention import with_explicit_attention
from export.checkpoints import load_weights, read_checkpoint
from export.classifier_model import Architecture, ForNvinfer, RoiClassifier
from export.frame import Frames, check_frames, frame_graph, golden_frames, origin
from export.golden_pictures import CROPS, golden_pictures
from export.package import Description, Made, OnStage, publish, silent
from export.parity import check_batches, compare
from export.resolve import resolve
from export.to_onnx import Batch, to_onnx
from export.two_parts import export_backbone
from export.verified_architecture import verify_architecture
from ropewatch.errors import ModelError
from ropewatch.golden import Floats, Golden
from ropewatch.manifest import Polarity, Preprocessing

STAGES = 4
PRETRAINED_NOTE = (
    "If the backbone started from DINOv3 weights, Meta's DINOv3 licence applies to these as well."
)


def export_classifier(
    weights: Path,
    *,
    output_dir: Path,
    architecture: Architecture | Mapping[str, Any] | None = None,
    crop_wh: tuple[int, int] | None = None,
    labels: tuple[str, ...] | None = None,
    frames: Frames | None = None,
    batch: Batch = "dynamic",
    name: str | None = None,
    state_dict: str | None = None,
    images: Path | None = None,
    polarity: Polarity | None = None,
    training_golden: Path | None = None,
    on_stage: OnStage = silent,
) -> Path:
    """Export with softmax inside, compare with PyTorch, write the ONNX and what lies beside it.

    Args:
        weights: a checkpoint of the classifier; see `export.checkpoints`.
        output_dir: made when missing.
        architecture: of a checkpoint that does not carry its own; of its fields as many as are
            known. See `export.resolve` for the rest.
        crop_wh: network width and height, px, where it is to differ from the architecture's.
        labels: in class order; must agree with an architecture that has them.
        frames: export frame mode; None exports crop mode.
        batch: dynamic, or a fixed size.
        name: of the model; None takes the checkpoint's stem.
        state_dict: which to take of several in the checkpoint, such as model and ema.
        images: folder with crops, or frames, for the golden outputs; None draws some.
        polarity: what a threshold is about; for the manifest.
        training_golden: of `ropewatch export golden`; None leaves the architecture unverified.
        on_stage: told of each of STAGES stages.

    Raises:
        ModelError: something does not fit or differs from PyTorch; nothing is written then.
    """
    on_stage("reading the checkpoint")
    model, origins = _load(
        weights, architecture, crop_wh=crop_wh, labels=labels, state_dict=state_dict
    )
    description = _describe(
        model, origins, name=name or weights.stem, weights=weights, polarity=polarity
    )
    if training_golden is not None:
        fact = verify_architecture(model, training_golden, weights=weights)
        description = dataclasses.replace(description, verified=fact)
    made = _make(model, description, frames, images, batch=batch, on_stage=on_stage)
    on_stage("writing")
    return publish(*made, output_dir=output_dir)


def _load(
    weights: Path,
    architecture: Architecture | Mapping[str, Any] | None,
    *,
    crop_wh: tuple[int, int] | None,
    labels: tuple[str, ...] | None,
    state_dict: str | None,
) -> tuple[RoiClassifier, Mapping[str, str]]:
    """The model, and where each field of its architecture came from."""
    given = architecture.to_json() if isinstance(architecture, Architecture) else architecture
    resolved = resolve(
        read_checkpoint(weights),
        given or {},
        crop_wh=crop_wh,
        labels=labels,
        state_dict=state_dict,
    )
    model = load_weights(resolved.architecture, resolved.found, origin=weights)
    return model, resolved.origins


def _make(
    model: RoiClassifier,
    description: Description,
    frames: Frames | None,
    images: Path | None,
    *,
    batch: Batch,
    on_stage: OnStage,
) -> Made:
    on_stage("exporting to ONNX")
    if frames is None:
        return _crop(model, description, images, batch=batch, on_stage=on_stage)
    if frames.parts == "two":
        return export_backbone(model, description, frames, images, batch=batch, on_stage=on_stage)
    return _frames(model, description, frames, images, batch=batch, on_stage=on_stage)


def _describe(
    model: RoiClassifier,
    origins: Mapping[str, str],
    *,
    name: str,
    weights: Path,
    polarity: Polarity | None,
) -> Description:
    labels = model.architecture.labels
    if polarity is not None and polarity.score_label not in labels:
        raise ModelError(f"--score-label {polarity.score_label}, want one of {list(labels)}")
    return Description(
        name=name,
        kind="classifier",
        mode="crop",
        weights=weights,
        preprocessing=_preprocessing(model.architecture),
        labels=labels,
        architecture=model.architecture.to_json(),
        architecture_origins=origins,
        attention="explicit",
        polarity=polarity,
        library="timm",
        licence_note=PRETRAINED_NOTE,
    )


def _crop(
    model: RoiClassifier,
    description: Description,
    images: Path | None,
    *,
    batch: Batch,
    on_stage: OnStage,
) -> Made:
    size_wh, preprocessing = model.architecture.crop_wh, description.preprocessing
    graph = to_onnx(
        ForNvinfer(with_explicit_attention(model)).eval(),
        size_wh=size_wh,
        input_name="images",
        output_name="probabilities",
        batch=batch,
    )
    on_stage("comparing with PyTorch")
    pixels = golden_pictures(images, count=CROPS, size_wh=size_wh, preprocessing=preprocessing)
    golden = Golden(pixels, {}, {"probabilities": as_trained(model, pixels)}, origin())
    parity = check_batches(
        graph,
        batch=batch,
        size_wh=size_wh,
        preprocessing=preprocessing,
        golden=pixels,
        check=lambda pixels, _, answer: compare(
            description.name,
            expected=as_trained(model, pixels),
            actual=answer,
            quantities={"probability": (lambda probabilities: probabilities, 1e-5)},
        ),
    )
    return graph, dataclasses.replace(description, parity=parity), golden


def _frames(
    model: RoiClassifier,
    description: Description,
    frames: Frames,
    images: Path | None,
    *,
    batch: Batch,
    on_stage: OnStage,
) -> Made:
    graph = frame_graph(model, frames, batch=batch)
    on_stage("comparing with PyTorch")
    parity = check_frames(
        graph,
        model,
        name=description.name,
        size_wh=frames.size_wh,
        batch=batch,
        preprocessing=description.preprocessing,
    )
    golden = golden_frames(model, frames, images, description.preprocessing)
    return graph, dataclasses.replace(description, mode="frame", parity=parity), golden


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


def as_trained(model: RoiClassifier, pixels: npt.NDArray[np.uint8]) -> Floats:
    """PyTorch's answer to 8-bit RGB pixels, normalised as in training."""
    with torch.no_grad():
        logits = model(model.normalise(torch.from_numpy(pixels)))
    probabilities: Floats = logits.softmax(1).numpy()
    return probabilities
