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
import onnx
import torch

from export.attention import with_explicit_attention
from export.checkpoints import load_weights, read_checkpoint
from export.classifier_model import Architecture, ForNvinfer, RoiClassifier
from export.frame import Frames, check_frames, frame_graph, golden_frames
from export.golden_pictures import CROPS, golden_pictures
from export.package import Description, OnStage, publish, silent
from export.parity import check_batches, compare
from export.resolve import resolve
from export.to_onnx import Batch, library_versions, to_onnx
from ropewatch.errors import ModelError
from ropewatch.golden import PYTORCH, Floats, Golden
from ropewatch.manifest import ParityFact, Polarity, Preprocessing

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
        on_stage: told of each of STAGES stages.

    Raises:
        ModelError: something does not fit or differs from PyTorch; nothing is written then.
    """
    on_stage("reading the checkpoint")
    given = architecture.to_json() if isinstance(architecture, Architecture) else architecture
    checkpoint = read_checkpoint(weights)
    resolved = resolve(
        checkpoint, given or {}, crop_wh=crop_wh, labels=labels, state_dict=state_dict
    )
    model = load_weights(resolved.architecture, resolved.found, origin=weights)
    description = _describe(model, resolved.origins, name=name, weights=weights)
    if polarity is not None and polarity.score_label not in description.labels:
        raise ModelError(
            f"--score-label {polarity.score_label}, want one of {list(description.labels)}"
        )
    description = dataclasses.replace(description, polarity=polarity)
    if frames is None:
        pixels = golden_pictures(
            images,
            count=CROPS,
            size_wh=model.architecture.crop_wh,
            preprocessing=description.preprocessing,
        )
        golden = Golden(pixels, {}, {"probabilities": _probabilities(model, pixels)}, _origin())
        graph, parity = _crop(model, description, pixels, batch=batch, on_stage=on_stage)
    else:
        description = dataclasses.replace(description, mode="frame")
        golden = golden_frames(model, frames, images, description.preprocessing, origin=_origin())
        graph, parity = _frames(model, description, frames, batch=batch, on_stage=on_stage)
    on_stage("writing")
    described = dataclasses.replace(description, parity=parity)
    return publish(graph, described, golden, output_dir=output_dir)


def _origin() -> dict[str, str]:
    return {"reference": PYTORCH, **library_versions("timm")}


def _describe(
    model: RoiClassifier, origins: Mapping[str, str], *, name: str | None, weights: Path
) -> Description:
    return Description(
        name=name or weights.stem,
        kind="classifier",
        mode="crop",
        weights=weights,
        preprocessing=_preprocessing(model.architecture),
        labels=model.architecture.labels,
        architecture=model.architecture.to_json(),
        architecture_origins=origins,
        attention="explicit",
        library="timm",
        licence_note=PRETRAINED_NOTE,
    )


def _crop(
    model: RoiClassifier,
    description: Description,
    golden: npt.NDArray[np.uint8],
    *,
    batch: Batch,
    on_stage: OnStage,
) -> tuple[onnx.ModelProto, tuple[ParityFact, ...]]:
    on_stage("exporting to ONNX")
    graph = to_onnx(
        ForNvinfer(with_explicit_attention(model)).eval(),
        size_wh=model.architecture.crop_wh,
        input_name="images",
        output_name="probabilities",
        batch=batch,
    )
    on_stage("comparing with PyTorch")
    parity = check_batches(
        graph,
        batch=batch,
        size_wh=model.architecture.crop_wh,
        preprocessing=description.preprocessing,
        golden=golden,
        check=lambda pixels, _, answer: compare(
            description.name,
            expected=_probabilities(model, pixels),
            actual=answer,
            quantities={"probability": (lambda probabilities: probabilities, 1e-5)},
        ),
    )
    return graph, parity


def _frames(
    model: RoiClassifier,
    description: Description,
    frames: Frames,
    *,
    batch: Batch,
    on_stage: OnStage,
) -> tuple[onnx.ModelProto, tuple[ParityFact, ...]]:
    on_stage("exporting to ONNX")
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
    return graph, parity


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
