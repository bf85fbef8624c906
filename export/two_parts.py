"""Frame mode in two parts: an ONNX that stock nvinfer runs on frames, and a head for the host.

nvinfer hands a network pictures and nothing else. So the backbone gives the token map as an output
tensor (network-type 100, output-tensor-meta), and `ropewatch.rope_head` does the rest in numpy.
"""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from export.attention import with_explicit_attention
from export.classifier_model import RoiClassifier
from export.frame import Frames, check_size, frame_probabilities, origin, sample_boxes
from export.golden_pictures import golden_pictures
from export.package import Description, Made, OnStage
from export.parity import compare, run_onnx, sample_images
from export.to_onnx import Batch, to_onnx
from ropewatch.golden import Floats, Golden, as_nvinfer
from ropewatch.manifest import ParityFact
from ropewatch.rope_head import RoiPooling, RopeHead

OUTPUT = "features"


class Backbone(nn.Module):
    """The classifier's first part with its scaling in: frames to token maps."""

    def __init__(self, model: RoiClassifier) -> None:
        super().__init__()
        self.model = model
        scale = 1 / torch.tensor(model.architecture.std)
        self.register_buffer("scale", scale.reshape(1, 3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) float32 as nvinfer prepares it to (B, C, H / patch, W / patch) float32."""
        return self.model.feature_map(images * self.scale)


def head_from(model: RoiClassifier) -> RopeHead:
    """The second part, with the model's weights."""
    architecture = model.architecture
    linear = [layer for layer in model.head if isinstance(layer, nn.Linear)]
    return RopeHead(
        labels=architecture.labels,
        pooling=RoiPooling(
            patch_px=model.patch_px,
            roi_out=architecture.roi_out,
            sampling_ratio=architecture.sampling_ratio,
            aligned=architecture.aligned,
            reduce=architecture.reduce,
        ),
        activation=architecture.activation,
        weights=tuple(layer.weight.detach().numpy() for layer in linear),
        biases=tuple(layer.bias.detach().numpy() for layer in linear),
    )


def export_backbone(
    model: RoiClassifier,
    description: Description,
    frames: Frames,
    images: Path | None,
    *,
    batch: Batch,
    on_stage: OnStage,
) -> Made:
    """Export the backbone, and compare both parts together with PyTorch.

    Args:
        model: with its weights.
        description: of crop mode; the name gets its suffix here.
        frames: the size of a frame.
        images: folder with frames for the golden outputs; None draws one.
        batch: dynamic, or a fixed size.
        on_stage: told when the comparison begins.

    Raises:
        ModelError: a size that is no whole patches, or a difference of more than 1e-5.
    """
    check_size(model, frames.size_wh)
    graph = to_onnx(
        Backbone(with_explicit_attention(model)).eval(),
        size_wh=frames.size_wh,
        input_name="images",
        output_name=OUTPUT,
        batch=batch,
    )
    on_stage("comparing with PyTorch")
    name = f"{description.name}.backbone"
    described = dataclasses.replace(description, name=name, mode="backbone", head=head_from(model))
    parity = _check(graph, model, described, size_wh=frames.size_wh, batch=batch)
    # One: a map of 1280 x 720 is 5.5 MB, and does not compress.
    pixels = golden_pictures(
        images, count=1, size_wh=frames.size_wh, preprocessing=description.preprocessing
    )
    with torch.no_grad():
        features: Floats = model.feature_map(model.normalise(torch.from_numpy(pixels))).numpy()
    golden = Golden(pixels, {}, {OUTPUT: np.ascontiguousarray(features)}, origin())
    return graph, dataclasses.replace(described, parity=parity), golden


def _check(
    graph: onnx.ModelProto,
    model: RoiClassifier,
    description: Description,
    *,
    size_wh: tuple[int, int],
    batch: Batch,
) -> tuple[ParityFact, ...]:
    """ONNX and numpy together against torchvision's RoIAlign and the MLP in PyTorch."""
    head = description.head
    assert head is not None, "the caller made one"
    facts: tuple[ParityFact, ...] = ()
    # A picture of 1280 x 720 takes seconds, so as few passes as show every dimension free.
    for count in (1, 2) if batch == "dynamic" else (batch,):
        pixels = sample_images(count, size_wh=size_wh)
        features = run_onnx(graph, {"images": as_nvinfer(pixels, description.preprocessing)})
        for boxes in (0, 5):
            rois, index = sample_boxes(boxes, images=count, size_wh=size_wh)
            actual = np.empty((boxes, len(head.labels)), np.float32)
            for image in range(count):
                actual[index == image] = head(features[image], rois[index == image])
            facts += compare(
                description.name,
                expected=frame_probabilities(model, pixels, rois, index),
                actual=actual,
                quantities={f"probability of {boxes} boxes": (lambda each: each, 1e-5)},
                batch=count,
            )
    return facts
