"""Frame mode: whole pictures and boxes in, probabilities of each box out.

The backbone runs once a picture and RoIAlign pools the token map for each box. RoIAlign is one
ONNX operator, or the same sums as two matrix products, for runtimes that lack the operator.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn
from torchvision.ops import roi_align

from export.attention import with_explicit_attention
from export.classifier_model import Architecture, RoiClassifier
from export.golden_pictures import FRAMES, golden_pictures
from export.parity import compare, run_onnx, sample_images
from export.to_onnx import Batch, library_versions, trace
from ropewatch.errors import ModelError
from ropewatch.golden import PYTORCH, Floats, Golden, as_nvinfer
from ropewatch.manifest import ParityFact, Preprocessing

RoiAlignForm = Literal["operator", "matmul"]


@dataclass(frozen=True, slots=True)
class Frames:
    """What frame mode takes: pictures of one size, and how their boxes are pooled.

    In two parts the host pools them, see `export.two_parts`, and `form` has no meaning.
    """

    size_wh: tuple[int, int] = (1280, 720)
    form: RoiAlignForm = "operator"
    parts: Literal["one", "two"] = "one"


class ForFrames(nn.Module):
    """The classifier over whole pictures, its scaling in, probabilities out."""

    def __init__(self, model: RoiClassifier, *, form: RoiAlignForm) -> None:
        super().__init__()
        if form == "matmul" and model.architecture.sampling_ratio == 0:
            raise ModelError(
                "sampling_ratio: 0, want 1 or more: as matrix products the number of samples is "
                "fixed; take --roi-align operator"
            )
        self.model = model
        self.form = form
        scale = 1 / torch.tensor(model.architecture.std)
        self.register_buffer("scale", scale.reshape(1, 3, 1, 1), persistent=False)

    def forward(
        self, images: torch.Tensor, rois: torch.Tensor, image_index: torch.Tensor
    ) -> torch.Tensor:
        """Probabilities, in label order.

        Args:
            images: (B, 3, H, W) float32 as nvinfer prepares it.
            rois: (R, 4) float32, x1, y1, x2, y2 in image px; R may be 0.
            image_index: (R,) int64, which image a box is in.

        Returns:
            (R, labels) float32.
        """
        features = self.model.feature_map(images * self.scale)
        architecture, patch_px = self.model.architecture, self.model.patch_px
        if self.form == "matmul":
            pooled = roi_align_matmul(features, rois / patch_px, image_index, architecture)
        else:
            pooled = roi_align(
                features,
                torch.cat([image_index[:, None].to(rois.dtype), rois], dim=1),
                architecture.roi_out,
                spatial_scale=1 / patch_px,
                sampling_ratio=architecture.sampling_ratio,
                aligned=architecture.aligned,
            )
        return torch.softmax(self.model.classify(pooled), dim=1)


def roi_align_matmul(
    features: torch.Tensor,
    rois_cells: torch.Tensor,
    image_index: torch.Tensor,
    architecture: Architecture,
) -> torch.Tensor:
    """Torchvision's roi_align as rows @ map @ columns, for any number of boxes.

    Args:
        features: (B, C, rows, columns) float32.
        rois_cells: (R, 4) float32, x1, y1, x2, y2 in cells of the map; R may be 0.
        image_index: (R,) int64.
        architecture: its roi_out, sampling_ratio (1 or more) and aligned.

    Returns:
        (R, C, *roi_out) float32.
    """
    rows, columns = (
        _axis_weights(
            rois_cells[:, axis],
            rois_cells[:, axis + 2],
            cells=features.shape[-2 if axis else -1],
            bins=architecture.roi_out[0 if axis else 1],
            architecture=architecture,
        )
        for axis in (1, 0)
    )
    return rows[:, None] @ features[image_index] @ columns[:, None].transpose(-2, -1)


def _axis_weights(
    near: torch.Tensor,
    far: torch.Tensor,
    *,
    cells: int,
    bins: int,
    architecture: Architecture,
) -> torch.Tensor:
    """One axis of RoIAlign: (R,) ends of the boxes in cells to (R, bins, cells) weights."""
    samples = architecture.sampling_ratio
    size = far - near
    if architecture.aligned:
        near = near - 0.5
    else:
        # The older form makes every box a cell wide at least.
        size = size.clamp(min=1.0)
    steps = (torch.arange(bins * samples, dtype=torch.float32) + 0.5) / (bins * samples)
    positions = near[:, None] + size[:, None] * steps
    # More than a cell outside the map counts nothing; nearer, the edge is repeated.
    inside = ((positions >= -1) & (positions <= cells)).to(positions.dtype)
    positions = positions.clamp(0, cells - 1)
    distance = (positions[..., None] - torch.arange(cells, dtype=torch.float32)).abs()
    weights = (1 - distance).clamp(min=0) * inside[..., None]
    return weights.unflatten(1, (bins, samples)).mean(2)


def frame_graph(model: RoiClassifier, frames: Frames, *, batch: Batch) -> onnx.ModelProto:
    """The ONNX: a fixed or free number of pictures, any number of boxes."""
    size_wh = frames.size_wh
    check_size(model, size_wh)
    images = torch.zeros(2 if batch == "dynamic" else batch, 3, size_wh[1], size_wh[0])
    boxes = torch.tensor([[0.0, 0, 32, 32]] * 3)
    axes = {name: {0: "boxes"} for name in ("rois", "image_index", "probabilities")}
    return trace(
        ForFrames(with_explicit_attention(model), form=frames.form).eval(),
        (images, boxes, torch.zeros(3, dtype=torch.int64)),
        input_names=("images", "rois", "image_index"),
        output_name="probabilities",
        axes={**axes, "images": {0: "batch"}} if batch == "dynamic" else axes,
    )


def check_size(model: RoiClassifier, size_wh: tuple[int, int]) -> None:
    """Raise a ModelError unless the picture is whole patches."""
    if any(size % model.patch_px for size in size_wh):
        raise ModelError(
            f"frame_wh: {size_wh[0]} x {size_wh[1]}, want multiples of the backbone's patch, "
            f"{model.patch_px} px; give another --frame-wh"
        )


def check_frames(
    graph: onnx.ModelProto,
    model: RoiClassifier,
    *,
    name: str,
    size_wh: tuple[int, int],
    batch: Batch,
    preprocessing: Preprocessing,
) -> tuple[ParityFact, ...]:
    """Compare with torchvision's RoIAlign in PyTorch: no box, some boxes, more pictures.

    Raises:
        ModelError: a difference of more than 1e-5.
    """
    facts: tuple[ParityFact, ...] = ()
    # A picture of 1280 x 720 takes seconds, so as few passes as show every dimension free.
    cases = ((1, 0), (1, 5), (2, 5)) if batch == "dynamic" else ((batch, 0), (batch, 5))
    for images, count in cases:
        pixels = sample_images(images, size_wh=size_wh)
        rois, index = sample_boxes(count, images=images, size_wh=size_wh)
        feeds: dict[str, npt.NDArray[Any]] = {
            "images": as_nvinfer(pixels, preprocessing),
            "rois": rois,
            "image_index": index,
        }
        facts += compare(
            name,
            expected=frame_probabilities(model, pixels, rois, index),
            actual=run_onnx(graph, feeds),
            quantities={f"probability of {count} boxes": (lambda each: each, 1e-5)},
            batch=images,
        )
    return facts


def golden_frames(
    model: RoiClassifier,
    frames: Frames,
    folder: Path | None,
    preprocessing: Preprocessing,
) -> Golden:
    """Pictures with boxes, and what torchvision's RoIAlign in PyTorch gives for them."""
    pixels = golden_pictures(
        folder, count=FRAMES, size_wh=frames.size_wh, preprocessing=preprocessing
    )
    rois, index = sample_boxes(4 * len(pixels), images=len(pixels), size_wh=frames.size_wh)
    return Golden(
        pixels,
        {"rois": rois, "image_index": index},
        {"probabilities": frame_probabilities(model, pixels, rois, index)},
        origin(),
    )


def frame_probabilities(
    model: RoiClassifier,
    pixels: npt.NDArray[np.uint8],
    rois: Floats,
    image_index: npt.NDArray[np.int64],
) -> Floats:
    """PyTorch's answer to 8-bit RGB pixels and boxes, normalised as in training."""
    joined = np.concatenate([image_index[:, None].astype(np.float32), rois], axis=1)
    with torch.no_grad():
        logits = model(model.normalise(torch.from_numpy(pixels)), torch.from_numpy(joined))
    probabilities: Floats = logits.softmax(1).numpy()
    return probabilities


def origin() -> dict[str, str]:
    """Of golden outputs that PyTorch gave."""
    return {"reference": PYTORCH, **library_versions("timm")}


def sample_boxes(
    count: int, *, images: int, size_wh: tuple[int, int]
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Boxes in and partly outside a picture, the same every time: (R, 4) px and (R,) images."""
    random = np.random.default_rng(count)
    size = np.array(size_wh * 2, np.float32)
    corners = random.uniform(-0.1, 1.1, (count, 2, 2)).astype(np.float32)
    corners.sort(axis=1)
    return corners.reshape(count, 4) * size, np.arange(count, dtype=np.int64) % images
