"""An ultralytics YOLO11 checkpoint to an ONNX that nvinfer and our parser plugin take."""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from export.golden_pictures import DETECTOR_PICTURES, golden_pictures, with_people
from export.package import Description, OnStage, publish, silent
from export.padding_cost import padding_cost
from export.parity import check_batches, compare
from export.pictures import picture_files
from export.to_onnx import Batch, library_versions, to_onnx
from export.trust import PUBLISHED_ALONE, Trust
from export.ultralytics_pickle import load_detection_model
from ropewatch.errors import ModelError
from ropewatch.golden import PYTORCH, Floats, Golden, as_nvinfer
from ropewatch.manifest import PaddingCost, ParityFact, Preprocessing

STAGES = 5
PERSON = ("person",)
LICENCE_NOTE = (
    "YOLO11's code and weights are AGPL-3.0 (Ultralytics), who claim that licence for models "
    "trained with their code as well; a commercial licence is theirs to give."
)


class PlainHead(nn.Module):
    """YOLO11's Detect head with constant anchors, for chosen classes, as rows of six.

    Gives (B, N, 6) float32: x1, y1, x2, y2 in network px, score, index into the chosen classes.
    """

    def __init__(self, detect: Any, *, class_ids: Sequence[int], size_wh: tuple[int, int]) -> None:
        super().__init__()
        # Where the head takes its inputs from, for ultralytics' own forward loop.
        self.f, self.i, self.type = detect.f, detect.i, "ropewatch.PlainHead"
        self.box_branches = detect.cv2
        self.score_branches = copy.deepcopy(detect.cv3)
        for branch in self.score_branches:
            branch[-1] = _only_channels(branch[-1], class_ids)
        self.classes, self.bins = len(class_ids), int(detect.reg_max)
        self.cells: list[int] = []
        centres, strides = [], []
        for stride in map(int, detect.stride.tolist()):
            columns, rows = (side // stride for side in size_wh)
            self.cells.append(rows * columns)
            y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            centres.append(torch.stack([x.flatten(), y.flatten()]) + 0.5)
            strides.append(torch.full((1, rows * columns), float(stride)))
        self.register_buffer("centres", torch.cat(centres, 1))
        self.register_buffer("strides", torch.cat(strides, 1))
        self.register_buffer("bin_values", torch.arange(self.bins).float().reshape(-1, 1))

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        """Feature maps (B, C, rows, columns), finest first, to (B, N, 6)."""
        # Sizes are constants, so that only the batch stays open in the exported graph.
        boxes = torch.cat(
            [
                branch(feature).reshape(-1, 4, self.bins, cells)
                for branch, feature, cells in zip(
                    self.box_branches, features, self.cells, strict=True
                )
            ],
            dim=3,
        )
        scores = torch.cat(
            [
                branch(feature).reshape(-1, self.classes, cells)
                for branch, feature, cells in zip(
                    self.score_branches, features, self.cells, strict=True
                )
            ],
            dim=2,
        ).sigmoid()
        # Each side's distance from the cell's centre is the mean of a distribution over bins.
        distances = (boxes.softmax(2) * self.bin_values).sum(2)
        left_top, right_bottom = distances[:, :2], distances[:, 2:]
        corners = [self.centres - left_top, self.centres + right_bottom]
        best, index = _best(scores)
        rows = torch.cat([*(corner * self.strides for corner in corners), best, index], dim=1)
        return rows.transpose(1, 2)


def export_detector(
    weights: Path,
    *,
    size_wh: tuple[int, int],
    output_dir: Path,
    classes: Sequence[str] = PERSON,
    batch: Batch = "dynamic",
    symmetric_padding: bool = True,
    trust: Trust = PUBLISHED_ALONE,
    name: str | None = None,
    images: Path | None = None,
    on_stage: OnStage = silent,
) -> Path:
    """Export, compare with ultralytics' own head, write `<name>.onnx` and what lies beside it.

    Raises ModelError, and writes nothing, where anything does not fit or differs.

    Args:
        weights: an ultralytics YOLO11 detection checkpoint, n to x, any classes.
        size_wh: network width and height, px; multiples of 32.
        output_dir: made when missing.
        classes: names from the checkpoint; their order becomes the class ids.
        batch: dynamic, or a fixed size.
        symmetric_padding: training had the picture in the middle of the letterbox, not top left.
        trust: which checkpoints may be read, a pickle being a program.
        name: of the model; None takes the checkpoint's stem.
        images: folder with pictures for the golden outputs and the cost of padding; None
            takes ultralytics' own for the outputs and measures no cost.
        on_stage: told of each of STAGES stages.
    """
    on_stage("reading the checkpoint")
    model = load_detection_model(weights, trust=trust)
    class_ids = class_ids_of(model.names, classes, weights)
    plain = _with_plain_head(model, class_ids, size_wh, weights)
    on_stage("exporting to ONNX")
    graph = to_onnx(
        plain, size_wh=size_wh, input_name="images", output_name="detections", batch=batch
    )
    on_stage("comparing with PyTorch")
    preprocessing = _preprocessing(symmetric=symmetric_padding)
    golden = _golden(model, class_ids, images, size_wh, preprocessing)
    description = _describe(name or weights.stem, weights, preprocessing, labels=tuple(classes))
    parity = _parity(graph, model, class_ids, description, golden, size_wh=size_wh, batch=batch)
    on_stage("measuring what padding costs")
    cost = _cost(graph, images, description, size_wh=size_wh, batch=batch)
    on_stage("writing")
    description = dataclasses.replace(description, parity=parity, padding_cost=cost)
    return publish(graph, description, golden, output_dir=output_dir)


def _parity(
    graph: onnx.ModelProto,
    model: Any,
    class_ids: Sequence[int],
    description: Description,
    golden: Golden,
    *,
    size_wh: tuple[int, int],
    batch: Batch,
) -> tuple[ParityFact, ...]:
    return check_batches(
        graph,
        batch=batch,
        size_wh=size_wh,
        preprocessing=description.preprocessing,
        golden=golden.pixels,
        check=lambda _, images, answer: _compare(
            description.name, as_ultralytics_sees_it(model, images, class_ids), answer
        ),
    )


def _cost(
    graph: onnx.ModelProto,
    folder: Path | None,
    description: Description,
    *,
    size_wh: tuple[int, int],
    batch: Batch,
) -> PaddingCost | None:
    """On every picture of a folder; None without one."""
    if folder is None:
        return None
    return padding_cost(
        graph,
        picture_files(folder, option="--images"),
        description.preprocessing,
        size_wh=size_wh,
        classes=len(description.labels),
        batch=1 if batch == "dynamic" else batch,
    )


def _golden(
    model: Any,
    class_ids: Sequence[int],
    folder: Path | None,
    size_wh: tuple[int, int],
    preprocessing: Preprocessing,
) -> Golden:
    """Pictures with people, where there are some, and the unchanged model's answer."""
    if folder is None:
        pixels = with_people(size_wh=size_wh, preprocessing=preprocessing)
    else:
        pixels = golden_pictures(
            folder, count=DETECTOR_PICTURES, size_wh=size_wh, preprocessing=preprocessing
        )
    answer = as_ultralytics_sees_it(model, as_nvinfer(pixels, preprocessing), class_ids)
    origin = {"reference": PYTORCH, **library_versions("ultralytics")}
    return Golden(pixels, {}, {"detections": answer}, origin)


def _describe(
    name: str,
    weights: Path,
    preprocessing: Preprocessing,
    *,
    labels: tuple[str, ...],
) -> Description:
    return Description(
        name=name,
        kind="detector",
        weights=weights,
        preprocessing=preprocessing,
        labels=labels,
        library="ultralytics",
        licence_note=LICENCE_NOTE,
    )


def _preprocessing(*, symmetric: bool) -> Preprocessing:
    """Ultralytics' scaling; nvinfer pads with zero bytes, where ultralytics pads with 114."""
    return Preprocessing(
        net_scale_factor=1 / 255,
        offsets=(0, 0, 0),
        model_color_format="RGB",
        maintain_aspect_ratio=True,
        symmetric_padding=symmetric,
        scaling_filter=1,
    )


def _with_plain_head(
    model: Any, class_ids: Sequence[int], size_wh: tuple[int, int], weights: Path
) -> nn.Module:
    """A copy with our head and fused convolutions; the model itself stays as it is."""
    detect = model.model[-1]
    # Segment, Pose and OBB are subclasses with more outputs, and end-to-end heads need no NMS.
    if (
        type(detect).__name__ != "Detect"
        or getattr(detect, "end2end", False)
        or detect.reg_max < 2
    ):
        raise ModelError(
            f"{weights}: its head is {type(detect).__name__} (reg_max {detect.reg_max}), want "
            f"YOLO11's Detect; export a YOLO11 detection checkpoint"
        )
    stride = int(detect.stride.max())
    if any(side < stride or side % stride for side in size_wh):
        raise ModelError(
            f"size {size_wh[0]}x{size_wh[1]}, want multiples of {stride}; give --size-wh"
        )
    plain = copy.deepcopy(model)
    plain.model[-1] = PlainHead(plain.model[-1], class_ids=class_ids, size_wh=size_wh)
    fused: nn.Module = plain.fuse(verbose=False).eval()
    return fused


def class_ids_of(names: dict[int, str], classes: Sequence[str], weights: Path) -> list[int]:
    """Their ids in the checkpoint; a ModelError for one that it does not have."""
    ids = {label: class_id for class_id, label in names.items()}
    unknown = [label for label in classes if label not in ids]
    if unknown or not classes or len(set(classes)) != len(classes):
        raise ModelError(
            f"{weights}: classes {list(classes)}, want some of {list(ids)}, each once; "
            f"give --classes"
        )
    return [ids[label] for label in classes]


def _only_channels(conv: Any, channels: Sequence[int]) -> nn.Conv2d:
    """The 1x1 convolution with some of its outputs, which costs that much less."""
    fewer = nn.Conv2d(conv.in_channels, len(channels), 1)
    with torch.no_grad():
        fewer.weight.copy_(conv.weight[list(channels)])
        fewer.bias.copy_(conv.bias[list(channels)])
    return fewer


def _best(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, classes, N) to the best score and its class, each (B, 1, N)."""
    if scores.shape[1] == 1:
        # zeros_like would leave Shape and ConstantOfShape in the graph.
        return scores, scores * 0
    best, index = scores.max(1, keepdim=True)
    return best, index.float()


def as_ultralytics_sees_it(model: Any, images: Floats, class_ids: Sequence[int]) -> Floats:
    """The unchanged model's answer in the form of ours: (B, N, 6)."""
    with torch.no_grad():
        answer = model(torch.from_numpy(images))
    answer = answer[0] if isinstance(answer, tuple) else answer
    centre, size = answer[:, :2], answer[:, 2:4]
    best, index = answer[:, [4 + class_id for class_id in class_ids]].max(1, keepdim=True)
    rows = torch.cat([centre - size / 2, centre + size / 2, best, index.float()], 1)
    return np.ascontiguousarray(rows.transpose(1, 2).numpy())


def _compare(name: str, expected: Floats, actual: Floats) -> tuple[ParityFact, ...]:
    """Both (B, N, 6). The likeliest candidates are what a detector is used for.

    A box that the network gives no chance is a flat distribution over bins, where float32
    rounding alone moves the box by up to 0.01 px (PyTorch against itself in float64).
    """
    likeliest = np.argsort(-expected[..., 4], axis=1, kind="stable")[:, :10, None]

    def of_likeliest(columns: slice) -> Callable[[Floats], Floats]:
        return lambda answer: np.take_along_axis(answer, likeliest, axis=1)[..., columns]

    return compare(
        name,
        expected=expected,
        actual=actual,
        quantities={
            "box of the 10 likeliest, px": (of_likeliest(slice(0, 4)), 1e-3),
            "class of the 10 likeliest": (of_likeliest(slice(5, 6)), 0.5),
            "box of all, px": (lambda answer: answer[..., :4], 0.05),
            "score of all": (lambda answer: answer[..., 4], 1e-5),
        },
    )
