"""From rows of six to the detections that a graph would give, and two sets of them compared."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from export.engine.judging import Pair, best_pairs, keep
from ropewatch.boxes import iou_matrix
from ropewatch.golden import Floats
from ropewatch.preprocess import Placement


@dataclass(frozen=True, slots=True)
class PostProcessing:
    """What nvinfer does with candidates of one class, cluster-mode 2, in its keys' words."""

    pre_cluster_threshold: float = 0.35
    nms_iou_threshold: float = 0.7
    topk: int = 200


# As configs/nvinfer/yolo11n_person.txt.
SHIPPED: Final = PostProcessing()


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Boxes of one picture, best first.

    Attributes:
        boxes_xyxy_px: (N, 4) float32 in pixels of the picture; N may be 0.
        scores: (N,) float32.
    """

    boxes_xyxy_px: Floats
    scores: Floats


def detections(
    rows: Floats,
    placed: Placement,
    *,
    class_id: int,
    picture_wh: tuple[int, int],
    how: PostProcessing,
) -> Detections:
    """The detections of a class in a picture.

    Args:
        rows: (N, 6) float32: x1, y1, x2, y2 in network px, score, class.
        placed: where the picture is in the network's input.
        class_id: which class to take.
        picture_wh: px; boxes are clipped to it.
        how: thresholds.
    """
    near = np.array([placed.offset_left, placed.offset_top] * 2, np.float32)
    far = near + np.array([placed.width, placed.height] * 2, np.float32)
    candidates = rows[rows[:, 5] == class_id]
    # As our parser: clipped to what the network sees of the picture, before NMS.
    candidates = np.concatenate([np.clip(candidates[:, :4], near, far), candidates[:, 4:]], axis=1)
    threshold = np.float32(how.pre_cluster_threshold)
    kept = keep(candidates, threshold=threshold, nms_iou=how.nms_iou_threshold)[: how.topk]
    found = candidates[kept]
    ratio = np.array([placed.ratio_x, placed.ratio_y] * 2)
    mapped = np.clip((found[:, :4] - near) / ratio, 0, picture_wh * 2)
    return Detections(mapped.astype(np.float32), found[:, 4])


def pair(one: npt.ArrayLike, other: npt.ArrayLike) -> list[Pair]:
    """Boxes that are the same person, whatever their class; see `best_pairs`.

    Args:
        one: (N, 4), x1, y1, x2, y2. N may be 0.
        other: (M, 4), the same.
    """
    return best_pairs(iou_matrix(np.reshape(one, (-1, 4)), np.reshape(other, (-1, 4))))
