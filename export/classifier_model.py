"""The rope classifier: a DINOv3-family ViT of timm, RoIAlign over a box, an MLP.

The image becomes a map of tokens, RoIAlign pools the map over a box, the MLP gives one logit a
label. In crop mode the box is the whole image: an expanded person crop. In training and in export
it is the same class; `ForNvinfer` adds what the graph on the box needs.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import timm
import torch
from torch import nn
from torchvision.ops import roi_align

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU, "silu": nn.SiLU}
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Architecture:
    """All that is needed to build the network; weights come separately.

    What leaves no tensor behind (pool, sampling, alignment, activation, label order) cannot be
    checked against a checkpoint, so it is written here and goes into the manifest.

    Attributes:
        labels: in class order; one logit each.
        crop_wh: width and height of the network input in crop mode, px; multiples of the patch.
        backbone: a timm model name of the DINOv3 family.
        backbone_kwargs: overrides for timm, plain JSON values: embed_dim, depth, num_heads,
            patch_size, num_reg_tokens, mlp_ratio, init_values, drop_path_rate, ... timm's
            init_values of 1e-5 is meant for pretrained weights: training from nothing wants
            about 0.1.
        roi_out: rows and columns that RoIAlign pools a box into.
        sampling_ratio: samples per bin and axis; 0 is adaptive, as in torchvision.
        aligned: torchvision's half-pixel form.
        reduce: mean averages the bins, flatten gives the MLP each bin.
        hidden: widths of the MLP's hidden layers; may be empty.
        activation: one of ACTIVATIONS.
        dropout: after each hidden layer, in training only.
        mean, std: of the training's input, shares of full scale, in RGB order.
    """

    labels: tuple[str, ...]
    crop_wh: tuple[int, int]
    backbone: str = "vit_small_patch16_dinov3"
    backbone_kwargs: Mapping[str, Any] = field(default_factory=dict)
    roi_out: tuple[int, int] = (7, 7)
    sampling_ratio: int = 2
    aligned: bool = True
    reduce: Literal["mean", "flatten"] = "mean"
    hidden: tuple[int, ...] = (256,)
    activation: str = "gelu"
    dropout: float = 0.0
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels: {self.labels}, want two or more, each once")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: {self.activation!r}, want one of {list(ACTIVATIONS)}")
        if self.reduce not in ("mean", "flatten"):
            raise ValueError(f"reduce: {self.reduce!r}, want mean or flatten")
        for name in ("crop_wh", "roi_out"):
            pair = getattr(self, name)
            if len(pair) != 2 or min(pair) < 1:
                raise ValueError(f"{name}: {pair}, want two numbers of 1 or more")
        if self.sampling_ratio < 0 or min((1, *self.hidden)) < 1:
            raise ValueError(
                f"sampling_ratio {self.sampling_ratio}, hidden {self.hidden}, want no negative "
                f"ratio and widths of 1 or more"
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"mean {self.mean}, std {self.std}, want three each, std above 0")

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return {**asdict(self), "backbone_kwargs": dict(self.backbone_kwargs)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Architecture":
        """Build from `to_json`'s form; lists become tuples, an unknown key is an error."""
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        missing = sorted({"labels", "crop_wh"} - set(values))
        if unknown or missing:
            raise ValueError(f"architecture: unknown keys {unknown}, missing keys {missing}")
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in values.items()
        }
        return cls(**fields)


class RoiClassifier(nn.Module):
    """Images to logits; see the module. State dict: `backbone.*` as timm names it, `head.*`."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.backbone = create_backbone(architecture.backbone, architecture.backbone_kwargs)
        patch_h, patch_w = self.backbone.patch_embed.patch_size
        width, height = architecture.crop_wh
        if patch_h != patch_w or height % patch_h or width % patch_h:
            raise ValueError(
                f"crop_wh: {width} x {height}, want multiples of the backbone's square patch; "
                f"the patch is {patch_w} x {patch_h}"
            )
        self.patch_px: int = patch_h
        # In crop mode the box never changes, so its RoIAlign is two constant matrices. They
        # hold nothing learned: not in the state dict.
        for name, axis, cells in (
            ("pool_rows", 0, height // patch_h),
            ("pool_columns", 1, width // patch_h),
        ):
            matrix = roi_align_matrix(
                cells,
                architecture.roi_out[axis],
                sampling_ratio=architecture.sampling_ratio,
                aligned=architecture.aligned,
            )
            self.register_buffer(name, matrix, persistent=False)
        self.head = _head(architecture, channels=self.backbone.num_features)

    def feature_map(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images (B, 3, H, W) to tokens (B, C, H / patch, W / patch)."""
        tokens = self.backbone.forward_features(images)[:, self.backbone.num_prefix_tokens :]
        rows, columns = (size // self.patch_px for size in images.shape[-2:])
        return tokens.transpose(1, 2).unflatten(2, (rows, columns))

    def forward(self, images: torch.Tensor, rois: torch.Tensor | None = None) -> torch.Tensor:
        """Logits, in label order.

        Args:
            images: (B, 3, H, W) float32, RGB, normalised (see `normalise`).
            rois: (R, 5) float32, columns index of the image, x1, y1, x2, y2 in image px;
                None pools each image whole, which then has the size crop_wh.

        Returns:
            (R, labels) float32; (B, labels) without rois.
        """
        features = self.feature_map(images)
        if rois is None:
            pooled = self.pool_rows @ features @ self.pool_columns.T
        else:
            pooled = roi_align(
                features,
                rois,
                self.architecture.roi_out,
                spatial_scale=1 / self.patch_px,
                sampling_ratio=self.architecture.sampling_ratio,
                aligned=self.architecture.aligned,
            )
        return self.classify(pooled)

    def classify(self, pooled: torch.Tensor) -> torch.Tensor:
        """Pooled maps (R, C, *roi_out) to logits (R, labels)."""
        flat = pooled.mean((2, 3)) if self.architecture.reduce == "mean" else pooled.flatten(1)
        logits: torch.Tensor = self.head(flat)
        return logits

    def normalise(self, images_u8: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) uint8 RGB to what `forward` takes, float32."""
        mean, std = (
            torch.tensor(values, device=images_u8.device).reshape(1, 3, 1, 1)
            for values in (self.architecture.mean, self.architecture.std)
        )
        return (images_u8.float() / 255 - mean) / std


class ForNvinfer(nn.Module):
    """The classifier as nvinfer needs it: its own scaling in, probabilities out.

    nvinfer gives (x - 255 mean) / 255 with net-scale-factor 1/255 and offsets 255 mean; it has
    one scale for all channels, so the division by each channel's std happens here.
    """

    def __init__(self, model: RoiClassifier) -> None:
        super().__init__()
        self.model = model
        scale = 1 / torch.tensor(model.architecture.std)
        self.register_buffer("scale", scale.reshape(1, 3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) float32 as nvinfer prepares it to probabilities (B, labels) float32."""
        return torch.softmax(self.model(images * self.scale), dim=1)


def create_backbone(name: str, kwargs: Mapping[str, Any]) -> nn.Module:
    """A backbone of timm's without its classification head, randomly initialised."""
    backbone: nn.Module = timm.create_model(name, pretrained=False, **{"num_classes": 0, **kwargs})
    return backbone


def build_roi_classifier(architecture: Architecture) -> RoiClassifier:
    """A randomly initialised network; float32, on the CPU, in training mode."""
    return RoiClassifier(architecture)


def roi_align_matrix(cells: int, bins: int, *, sampling_ratio: int, aligned: bool) -> torch.Tensor:
    """One axis of RoIAlign over a whole map, as the matrix that does the same.

    RoIAlign's average of bilinear samples is separable, so over a fixed box it is
    rows @ map @ columns.T, which exports as two MatMul and needs no RoiAlign plugin.

    Args:
        cells: size of the map along this axis; the box covers all of it.
        bins: outputs along this axis.
        sampling_ratio: samples a bin; 0 is ceil(cells / bins), as in torchvision.
        aligned: the half-pixel form.

    Returns:
        (bins, cells) float32, each row sums to 1.
    """
    samples = sampling_ratio or -(-cells // bins)
    start = -0.5 if aligned else 0.0
    positions = start + (torch.arange(bins * samples, dtype=torch.float64) + 0.5) * (
        cells / bins / samples
    )
    # Outside the first and last cell centre RoIAlign repeats the edge.
    positions = positions.clamp(0, cells - 1)
    distance = (positions[:, None] - torch.arange(cells, dtype=torch.float64)).abs()
    weights = (1 - distance).clamp(min=0)
    return weights.reshape(bins, samples, cells).mean(1).float()


def _head(architecture: Architecture, *, channels: int) -> nn.Sequential:
    bins = architecture.roi_out[0] * architecture.roi_out[1]
    width = channels * (bins if architecture.reduce == "flatten" else 1)
    layers: list[nn.Module] = []
    for hidden in architecture.hidden:
        activation = ACTIVATIONS[architecture.activation]()
        layers += [nn.Linear(width, hidden), activation, nn.Dropout(architecture.dropout)]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, len(architecture.labels)))
