"""What nvinfer's padding costs a detector that was trained with another."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx

from export.detections import SHIPPED, PostProcessing, detections, pair
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
    counts = dict.fromkeys(("grey", "matched", "missed", "extra"), 0)
    ious: list[float] = []
    changes: list[float] = []
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
            pairs = pair(grey.boxes_xyxy_px, black.boxes_xyxy_px)
            counts["grey"] += len(grey.scores)
            counts["matched"] += len(pairs)
            counts["missed"] += len(grey.scores) - len(pairs)
            counts["extra"] += len(black.scores) - len(pairs)
            ious += [each.iou for each in pairs]
            changes += [float(black.scores[p.other] - grey.scores[p.one]) for p in pairs]
    return PaddingCost(
        images=len(files),
        score_min=how.pre_cluster_threshold,
        nms_iou=how.nms_iou_threshold,
        mean_iou=float(np.mean(ious)) if ious else None,
        mean_score_change=float(np.mean(changes)) if changes else None,
        max_score_change=float(np.abs(changes).max()) if changes else None,
        **counts,
    )
