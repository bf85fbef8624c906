"""An ultralytics YOLO11 checkpoint to an ONNX that nvinfer and our parser plugin take."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from export.package import OnStage, bytes_fact, file_fact, publish, serialise, silent
from export.parity import Floats, as_nvinfer, batches_to_check, compare, run_onnx, sample_images
from export.to_onnx import OPSET, Batch, library_versions, operators_of, tensors_of, to_onnx
from export.ultralytics_pickle import load_detection_model
from ropewatch.errors import ModelError
from ropewatch.manifest import Manifest, ParityFact, Preprocessing

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
    trust_pickle: bool = False,
    name: str | None = None,
    on_stage: OnStage = silent,
) -> Path:
    """Export, compare with ultralytics' own head, and write ONNX and manifest.

    Args:
        weights: an ultralytics YOLO11 detection checkpoint, n to x, any classes.
        size_wh: network width and height, px; multiples of 32.
        output_dir: for `<name>.onnx` and `<name>.onnx.manifest.json`.
        classes: names from the checkpoint; their order becomes the class ids.
        batch: dynamic, or a fixed size.
        symmetric_padding: the letterbox that the model was trained with: picture in the middle
            (ultralytics' own), or at the top left.
        trust_pickle: the caller vouches for the checkpoint's author.
        name: of the model; the checkpoint's stem when None.
        on_stage: told of each of STAGES stages.

    Returns:
        The path of the ONNX.

    Raises:
        ModelError: the checkpoint, the size or the classes do not fit, or the exported graph
            differs from PyTorch; nothing is written then.
    """
    preprocessing = _preprocessing(symmetric_padding=symmetric_padding)
    on_stage("reading the checkpoint")
    model = load_detection_model(weights, trust_pickle=trust_pickle)
    detect = _yolo11_head(model, weights)
    class_ids = _class_ids(model.names, classes, weights)
    _check_size(size_wh, stride=int(detect.stride.max()))

    plain = copy.deepcopy(model)
    plain.model[-1] = PlainHead(plain.model[-1], class_ids=class_ids, size_wh=size_wh)
    plain = plain.fuse(verbose=False).eval()
    on_stage("exporting to ONNX")
    rows = 2 if batch == "dynamic" else batch
    example = torch.zeros(rows, 3, size_wh[1], size_wh[0])
    graph = to_onnx(plain, example, input_name="images", output_name="detections", batch=batch)
    content = serialise(graph)

    on_stage("comparing with PyTorch")
    name = name or weights.stem
    parity: tuple[ParityFact, ...] = ()
    for size in batches_to_check(batch):
        pixels = sample_images(size, size_wh=size_wh)
        images = as_nvinfer(pixels, preprocessing)
        parity += _compare(
            name, _as_ultralytics_sees_it(model, images, class_ids), run_onnx(graph, images)
        )
    on_stage("writing the manifest")
    manifest = Manifest(
        format="ropewatch-model-1",
        kind="detector",
        onnx=bytes_fact(f"{name}.onnx", content),
        weights=file_fact(weights),
        opset=OPSET,
        inputs=tensors_of(graph.graph.input),
        outputs=tensors_of(graph.graph.output),
        preprocessing=preprocessing,
        labels=tuple(classes),
        operators=operators_of(graph),
        parity=parity,
        versions=library_versions("ultralytics"),
        licence_notes=(LICENCE_NOTE,),
    )
    written = publish(content, manifest, output_dir=output_dir)
    on_stage("done")
    return written


def _preprocessing(*, symmetric_padding: bool) -> Preprocessing:
    """Ultralytics' scaling; nvinfer pads with zero bytes, where ultralytics pads with 114."""
    return Preprocessing(
        net_scale_factor=1 / 255,
        offsets=(0, 0, 0),
        model_color_format="RGB",
        maintain_aspect_ratio=True,
        symmetric_padding=symmetric_padding,
        scaling_filter=1,
    )


def _yolo11_head(model: Any, weights: Path) -> Any:
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
    return detect


def _class_ids(names: dict[int, str], classes: Sequence[str], weights: Path) -> list[int]:
    ids = {label: class_id for class_id, label in names.items()}
    unknown = [label for label in classes if label not in ids]
    if unknown or not classes or len(set(classes)) != len(classes):
        raise ModelError(
            f"{weights}: classes {list(classes)}, want some of {list(ids)}, each once; "
            f"give --classes"
        )
    return [ids[label] for label in classes]


def _check_size(size_wh: tuple[int, int], *, stride: int) -> None:
    if any(side < stride or side % stride for side in size_wh):
        raise ModelError(
            f"size {size_wh[0]}x{size_wh[1]}, want multiples of {stride}; give --size-wh"
        )


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


def _as_ultralytics_sees_it(model: Any, images: Floats, class_ids: Sequence[int]) -> Floats:
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
        batch=len(expected),
        expected=expected,
        actual=actual,
        quantities={
            "box of the 10 likeliest, px": (of_likeliest(slice(0, 4)), 1e-3),
            "class of the 10 likeliest": (of_likeliest(slice(5, 6)), 0.5),
            "box of all, px": (lambda answer: answer[..., :4], 0.05),
            "score of all": (lambda answer: answer[..., 4], 1e-5),
        },
    )
