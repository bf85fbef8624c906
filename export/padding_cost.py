"""What nvinfer's padding costs a detector that was trained with another."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import onnx

from export.detections import SHIPPED, Detections, PostProcessing, detections, pair
from export.parity import open_onnx
from export.pictures import network_inputs, read_picture
from ropewatch.manifest import PaddingCost, Preprocessing

# Ultralytics' letterbox: LetterBox(padding_value=114), ultralytics/data/augment.py (8.4).
GREY: Final = 114


def padding_cost(
    graph: onnx.ModelProto,
    files: Sequence[Path],
    preprocessing: Preprocessing,
    *,
    size_wh: tuple[int, int],
    classes: int,
    batch: int,
    how: PostProcessing = SHIPPED,
) -> PaddingCost:
    """Compare detections with both paddings, through the ONNX.

    Args:
        graph: a detector of ours.
        files: pictures, at least one.
        preprocessing: the model's.
        size_wh: the network's input, px.
        classes: how many there are; a person is compared with a person alone.
        batch: pictures a run; what the graph takes.
        how: thresholds.

    Raises:
        ModelError: a picture cannot be read.
    """
    session = open_onnx(graph)
    name = graph.graph.input[0].name
    found = _Found()
    for file in files:
        picture = read_picture(file)
        answers = []
        for padding in (GREY, 0):
            images, placed = network_inputs(
                [picture], preprocessing, size_wh=size_wh, padding=padding
            )
            rows = session.run(None, {name: np.repeat(images, batch, axis=0)})[0][0]
            answers.append((rows, placed[0]))
        for class_id in range(classes):
            picture_wh = (picture.shape[1], picture.shape[0])
            grey, black = (
                detections(rows, placed, class_id=class_id, picture_wh=picture_wh, how=how)
                for rows, placed in answers
            )
            found.add(grey, black)
    return found.cost(images=len(files), how=how)


@dataclass(slots=True)
class _Found:
    """Detections with both paddings, counted."""

    grey: int = 0
    black: int = 0
    ious: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)

    def add(self, grey: Detections, black: Detections) -> None:
        """Count one class of one picture."""
        pairs = pair(grey.boxes_xyxy_px, black.boxes_xyxy_px)
        self.grey += len(grey.scores)
        self.black += len(black.scores)
        self.ious += [each.iou for each in pairs]
        self.changes += [float(black.scores[p.other] - grey.scores[p.one]) for p in pairs]

    def cost(self, *, images: int, how: PostProcessing) -> PaddingCost:
        """Sum up."""
        matched = len(self.ious)
        return PaddingCost(
            images=images,
            score_min=how.pre_cluster_threshold,
            nms_iou=how.nms_iou_threshold,
            grey=self.grey,
            matched=matched,
            missed=self.grey - matched,
            extra=self.black - matched,
            mean_iou=float(np.mean(self.ious)) if matched else None,
            mean_score_change=float(np.mean(self.changes)) if matched else None,
            max_score_change=float(np.abs(self.changes).max()) if matched else None,
        )
