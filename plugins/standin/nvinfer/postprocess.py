"""From candidate boxes to objects, in nvinfer's order and in its 32-bit arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plugins.standin.nvinfer.config import DBSCAN, NO_CLUSTERING, ClassConfig, InferConfig
from plugins.standin.nvinfer.sorting import by_confidence

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes of one frame in network pixels; N may be 0.

    Attributes:
        class_ids: (N,) int64.
        boxes_ltwh: (N, 4) float32, left, top, width, height.
        confidences: (N,) float32.
    """

    class_ids: Ints
    boxes_ltwh: Floats
    confidences: Floats

    def take(self, index: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Candidates":
        """Select and order by index, or select by a mask."""
        return Candidates(self.class_ids[index], self.boxes_ltwh[index], self.confidences[index])

    def __len__(self) -> int:
        return len(self.class_ids)


def cluster(candidates: Candidates, config: InferConfig) -> Candidates:
    """Filter and cluster; the result is ordered by class, within a class as nvinfer orders it."""
    return cluster_classes(candidates, config.classes, cluster_mode=config.cluster_mode)


def cluster_classes(
    candidates: Candidates, classes: Sequence[ClassConfig], *, cluster_mode: int
) -> Candidates:
    """Filter and cluster by each class's thresholds.

    Mode 0 comes with NVIDIA's substitute in its classes, and modes 1 and 3 with minBoxes 0, which
    leaves nothing for DBSCAN to do.
    """
    kept = candidates.take(above_pre_threshold(candidates, classes))
    parts = []
    for class_id, attrs in enumerate(classes):
        mine = np.flatnonzero(kept.class_ids == class_id)
        if not len(mine):
            continue
        confidences = kept.confidences[mine]
        post_threshold = np.float32(attrs.post_cluster_threshold)
        if cluster_mode == DBSCAN:
            mine = mine[~(confidences < post_threshold)]
        elif cluster_mode != NO_CLUSTERING:
            mine = mine[by_confidence(confidences)]
            mine = mine[suppress(kept.boxes_ltwh[mine], attrs.nms_iou_threshold)]
            mine = mine[kept.confidences[mine] > post_threshold]
        if attrs.topk >= 0:
            mine = mine[by_confidence(kept.confidences[mine])][: attrs.topk]
        parts.append(mine)
    return kept.take(np.concatenate(parts) if parts else np.zeros(0, np.intp))


def above_pre_threshold(
    candidates: Candidates, classes: Sequence[ClassConfig]
) -> npt.NDArray[np.bool_]:
    """Mark what stays: a configured class and not less than its threshold; NaN is not less."""
    known = (candidates.class_ids >= 0) & (candidates.class_ids < len(classes))
    if not known.any():
        return known
    thresholds = np.array([attrs.pre_cluster_threshold for attrs in classes], np.float32)
    wanted = thresholds[np.where(known, candidates.class_ids, 0)]
    return known & ~(candidates.confidences < wanted)


def suppress(boxes_ltwh: Floats, iou_max: float) -> npt.NDArray[np.intp]:
    """Greedy suppression: a box stays if its IoU with every kept one is at most `iou_max`.

    Args:
        boxes_ltwh: (N, 4) float32, best first.
        iou_max: inclusive.

    Returns:
        Indices of the kept boxes, in order.
    """
    alive = np.ones(len(boxes_ltwh), bool)
    kept = []
    for index in range(len(boxes_ltwh)):
        if not alive[index]:
            continue
        kept.append(index)
        rest = slice(index + 1, None)
        alive[rest] &= _iou(boxes_ltwh[index], boxes_ltwh[rest]) <= np.float32(iou_max)
    return np.array(kept, np.intp)


def _iou(box: Floats, others: Floats) -> Floats:
    """IoU of a kept box with (N, 4) others, float32, areas as width x height; 0 / 0 is 0."""
    # Infinite and overflowing sides are a parser's fault; they go through as in C.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        overlap = _shared(box, others, 0) * _shared(box, others, 1)
        union = others[:, 2] * others[:, 3] + box[2] * box[3] - overlap
        share: Floats = overlap / union
    share[union == 0] = 0
    return share


def _shared(box: Floats, others: Floats, axis: int) -> Floats:
    """Length that a kept box and (N, 4) others share on an axis, float32.

    Sides may be negative, and then so is the result, depending on which of the two begins first:
    nvinfer orders them by their near edge only, and with equal near edges the other one is first.
    """
    near, far = box[axis], box[axis] + box[axis + 2]
    near_other, far_other = others[:, axis], others[:, axis] + others[:, axis + 2]
    swap = near_other > near
    far_first = np.where(swap, far, far_other)
    near_second = np.where(swap, near_other, near)
    far_second = np.where(swap, far_other, far)
    # Not np.minimum: with a NaN on one side, C's std::min takes its first argument.
    end = np.where(far_second < far_first, far_second, far_first)
    length: Floats = np.where(far_first < near_second, np.float32(0), end - near_second)
    return length
