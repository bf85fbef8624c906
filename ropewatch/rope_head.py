"""The second part of the classifier in frame mode: token map and boxes to probabilities.

The first part, the backbone, is an ONNX that nvinfer runs on whole frames. RoIAlign and the MLP
are small enough for the host, in numpy: stock nvinfer has no way to hand boxes to a network.
"""

import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from ropewatch.errors import ModelError

if TYPE_CHECKING:
    from ropewatch.manifest import Manifest

FORMAT: Final = "ropewatch-head-1"
SUFFIX: Final = ".head.npz"
_BACKBONE: Final = ".backbone.onnx"
_AGAIN: Final = "copy it again, or export the model again"
# What numpy, zipfile and JSON raise for a file that is damaged or of another kind.
_DAMAGED: Final = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, AttributeError),
    *(zipfile.BadZipFile, zlib.error),
)

Floats = npt.NDArray[np.float32]


def _erf(x: Floats) -> Floats:
    """The error function to 1.5e-7 (Abramowitz and Stegun, 7.1.26); numpy has none."""
    t = 1 / (1 + 0.3275911 * np.abs(x.astype(np.float64)))
    sum_ = t * (
        0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
    )
    return (np.sign(x) * (1 - sum_ * np.exp(-(x.astype(np.float64) ** 2)))).astype(np.float32)


ACTIVATIONS: Final[Mapping[str, Callable[[Floats], Floats]]] = {
    "gelu": lambda x: x * np.float32(0.5) * (1 + _erf(x * np.float32(0.5**0.5))),
    "relu": lambda x: np.maximum(x, np.float32(0)),
    # As x / 2 * (1 + tanh(x / 2)), which no number overflows.
    "silu": lambda x: x * np.float32(0.5) * (1 + np.tanh(x * np.float32(0.5))),
}


@dataclass(frozen=True, slots=True)
class RoiPooling:
    """How RoIAlign pools the map over a box; the words are torchvision's.

    Attributes:
        patch_px: side of a cell of the map, in px of the network's input.
        roi_out: rows and columns of bins.
        sampling_ratio: samples per bin and axis; 0 is as many as a bin has cells, rounded up.
        aligned: the half-pixel form.
        reduce: mean averages the bins, flatten gives the MLP each bin.
    """

    patch_px: int
    roi_out: tuple[int, int]
    sampling_ratio: int
    aligned: bool
    reduce: Literal["mean", "flatten"]


@dataclass(frozen=True, slots=True, eq=False)
class RopeHead:
    """RoIAlign, the MLP and softmax.

    Attributes:
        labels: in class order.
        pooling: of the map.
        activation: between the layers, one of ACTIVATIONS.
        weights: of each layer, (outputs, inputs) float32.
        biases: of each layer, (outputs,) float32.
    """

    labels: tuple[str, ...]
    pooling: RoiPooling
    activation: str
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS or self.pooling.reduce not in ("mean", "flatten"):
            raise ValueError(
                f"activation {self.activation}, reduce {self.pooling.reduce}: unknown"
            )
        if (
            min(self.pooling.patch_px, *self.pooling.roi_out) < 1
            or self.pooling.sampling_ratio < 0
        ):
            raise ValueError(f"{self.pooling}: want sizes of 1 or more and no negative ratio")
        if not self.weights or len(self.weights) != len(self.biases):
            raise ValueError(f"{len(self.weights)} weights, {len(self.biases)} biases: want pairs")
        inputs = self.weights[0].shape[-1]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            shapes = f"layer {weight.dtype} {weight.shape}, {bias.dtype} {bias.shape}"
            if weight.dtype != np.float32 or bias.dtype != np.float32:
                raise ValueError(f"{shapes}: want float32")
            if weight.ndim != 2 or bias.shape != weight.shape[:1] or weight.shape[1] != inputs:
                raise ValueError(f"{shapes}: want (outputs, {inputs}) and (outputs,)")
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise ValueError(f"{shapes}: NaN or infinity, want finite numbers")
            inputs = weight.shape[0]
        if inputs != len(self.labels) or self.channels < 1:
            raise ValueError(f"{inputs} outputs for labels {list(self.labels)}: want one each")

    @property
    def channels(self) -> int:
        """How many the map must have."""
        rows, columns = self.pooling.roi_out
        bins = rows * columns if self.pooling.reduce == "flatten" else 1
        inputs: int = self.weights[0].shape[1]
        return inputs // bins if inputs % bins == 0 else 0

    def __call__(self, features: Floats, boxes_xyxy_px: Floats) -> Floats:
        """Judge the boxes of one frame.

        Args:
            features: (C, rows, columns) float32, what the backbone gives for the frame.
            boxes_xyxy_px: (N, 4) float32 in px of the network's input; N may be 0.

        Returns:
            (N, labels) float32, each row sums to 1.
        """
        if features.ndim != 3 or features.shape[0] != self.channels:
            raise ValueError(f"features: {features.shape}, want ({self.channels}, rows, columns)")
        x = _pool(features, boxes_xyxy_px / np.float32(self.pooling.patch_px), self.pooling)
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = (ACTIVATIONS[self.activation](x) if place else x) @ weight.T + bias
        powers = np.exp(x - x.max(axis=1, keepdims=True))
        probabilities: Floats = powers / powers.sum(axis=1, keepdims=True)
        return probabilities

    def to_bytes(self) -> bytes:
        """The content of a weights file."""
        facts = {
            "format": FORMAT,
            "labels": self.labels,
            "pooling": asdict(self.pooling),
            "activation": self.activation,
            "layers": len(self.weights),
        }
        # numpy types the names of arrays as its own options.
        layers: dict[str, Any] = {f"weight{i}": value for i, value in enumerate(self.weights)}
        layers |= {f"bias{i}": value for i, value in enumerate(self.biases)}
        stream = io.BytesIO()
        np.savez_compressed(stream, facts=np.array(json.dumps(facts, sort_keys=True)), **layers)
        return stream.getvalue()

    @classmethod
    def load(cls, path: Path, *, sha256: str) -> "RopeHead":
        """Read a weights file, after its digest was compared; nothing in it is ever run.

        Args:
            path: of the file.
            sha256: from the backbone's manifest.

        Raises:
            ModelError: it is missing, damaged, of another export, or holds something else.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(
                f"{path}: {error.strerror}, want the head's weights; {_AGAIN}"
            ) from error
        digest = hashlib.sha256(content).hexdigest()
        if digest != sha256:
            raise ModelError(
                f"{path}: sha256 {digest[:12]}..., want {sha256[:12]}... as in the backbone's "
                f"manifest: it is of another export; {_AGAIN}"
            )
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                held = {name: archive[name] for name in archive.files}
            return _from_arrays(held)
        except _DAMAGED as error:
            raise ModelError(
                f"{path}: {error}; want a head that export wrote; {_AGAIN}"
            ) from error


def load_head(backbone: Path, manifest: "Manifest") -> RopeHead:
    """The head that belongs to a backbone's ONNX.

    Raises:
        ModelError: see `RopeHead.load`; or the manifest is of another kind of model.
    """
    if manifest.head is None:
        raise ModelError(
            f"{backbone}: a model without a head, want a backbone; export with --parts two"
        )
    return RopeHead.load(backbone.with_name(manifest.head.file), sha256=manifest.head.sha256)


def person_grid(frame_wh_px: tuple[int, int]) -> Floats:
    """Twelve overlapping boxes that cover a frame, to compare maps by what a head makes of them.

    Args:
        frame_wh_px: width and height.

    Returns:
        (12, 4) float32, x1, y1, x2, y2 in px.
    """
    x, y = np.meshgrid(np.linspace(0, 3, 4) / 5, np.linspace(0, 2, 3) / 4)
    corners = np.stack([x, y, x + 2 / 5, y + 2 / 4], axis=-1).reshape(-1, 4)
    boxes: Floats = (corners * np.array(frame_wh_px * 2)).astype(np.float32)
    return boxes


def head_of(backbone: Path) -> Path:
    """Where export puts the head of NAME.backbone.onnx."""
    return backbone.with_name(backbone.name.removesuffix(_BACKBONE) + SUFFIX)


def roi_align(features: Floats, boxes_xyxy_cells: Floats, pooling: RoiPooling) -> Floats:
    """Torchvision's roi_align over one map, all boxes at once.

    An average of bilinear samples is separable: weights of rows, map, weights of columns.

    Args:
        features: (C, rows, columns) float32.
        boxes_xyxy_cells: (N, 4) float32 in cells; N may be 0.
        pooling: how.

    Returns:
        (N, C, *roi_out) float32.
    """
    rows, columns = _weights(features, boxes_xyxy_cells, pooling)
    channels, height, width = features.shape
    count, bins = columns.shape[:2]
    # One large product over the columns of all boxes, then a small one for each box.
    across = features.reshape(channels * height, width) @ columns.reshape(-1, width).T
    across = across.reshape(channels, height, count, bins).transpose(2, 0, 1, 3)
    pooled: Floats = rows[:, None] @ across
    return pooled


def _pool(features: Floats, boxes_xyxy_cells: Floats, pooling: RoiPooling) -> Floats:
    """(C, rows, columns) and (N, 4) to what the MLP takes, (N, inputs)."""
    if pooling.reduce == "flatten":
        pooled = roi_align(features, boxes_xyxy_cells, pooling)
        return pooled.reshape(len(pooled), math.prod(pooled.shape[1:]))
    # The mean of the bins is one weight for each cell, hence one product for all boxes.
    rows, columns = (each.mean(axis=1) for each in _weights(features, boxes_xyxy_cells, pooling))
    flat = features.reshape(len(features), math.prod(features.shape[1:]))
    cells = (rows[:, :, None] * columns[:, None, :]).reshape(len(rows), flat.shape[1])
    mean: Floats = cells @ flat.T
    return mean


def _weights(
    features: Floats, boxes_xyxy_cells: Floats, pooling: RoiPooling
) -> tuple[Floats, Floats]:
    """Weights of the map's rows (N, bins, rows) and columns (N, bins, columns)."""
    rows, columns = (
        _axis_weights(
            boxes_xyxy_cells[:, axis],
            boxes_xyxy_cells[:, axis + 2],
            cells=features.shape[2 - axis],
            bins=pooling.roi_out[1 - axis],
            pooling=pooling,
        )
        for axis in (1, 0)
    )
    return rows, columns


def _axis_weights(
    near: Floats, far: Floats, *, cells: int, bins: int, pooling: RoiPooling
) -> Floats:
    """One axis: (N,) ends of the boxes in cells to (N, bins, cells) weights of the cells."""
    size = far - near
    if pooling.aligned:
        near = near - np.float32(0.5)
    else:
        # The older form makes every box a cell wide at least.
        size = np.maximum(size, np.float32(1))
    samples = np.full(len(near), pooling.sampling_ratio, np.float32)
    if pooling.sampling_ratio == 0:
        samples = np.maximum(np.ceil(size / bins), 0).astype(np.float32)
    each = np.arange(int(samples.max(initial=1)), dtype=np.float32)
    used = each < samples[:, None]
    # Boxes without samples count nothing; torchvision divides by one then.
    divisor = np.maximum(samples, np.float32(1))
    # In torchvision's order: where a sample falls on the rim of the map, rounding decides.
    bin_size = (size / np.float32(bins))[:, None, None]
    first = near[:, None, None] + np.arange(bins, dtype=np.float32)[:, None] * bin_size
    positions = first + (each + np.float32(0.5)) * bin_size / divisor[:, None, None]
    # More than a cell outside the map counts nothing; nearer, the edge is repeated.
    inside = (positions >= -1) & (positions <= cells) & used[:, None]
    positions = np.clip(positions, 0, cells - 1)
    distance = np.abs(positions[..., None] - np.arange(cells, dtype=np.float32))
    hats = np.maximum(1 - distance, 0) * inside[..., None]
    weights: Floats = (hats.sum(axis=2) / divisor[:, None, None]).astype(np.float32)
    return weights


def _from_arrays(held: Mapping[str, npt.NDArray[Any]]) -> RopeHead:
    facts = json.loads(str(held["facts"]))
    if facts["format"] != FORMAT:
        raise ValueError(f"format {facts['format']!r}, want {FORMAT}")
    pooling = facts["pooling"]
    return RopeHead(
        labels=tuple(facts["labels"]),
        pooling=RoiPooling(**{**pooling, "roi_out": tuple(pooling["roi_out"])}),
        activation=facts["activation"],
        weights=tuple(held[f"weight{place}"] for place in range(facts["layers"])),
        biases=tuple(held[f"bias{place}"] for place in range(facts["layers"])),
    )
