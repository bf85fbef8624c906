"""From candidate boxes to objects, in nvinfer's order and in its 32-bit arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plugins.standin.nvinfer.config import NO_CLUSTERING, ClassConfig, InferConfig

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
    kept = candidates.take(above_pre_threshold(candidates, config.classes))
    parts = []
    for class_id, attrs in enumerate(config.classes):
        mine = np.flatnonzero(kept.class_ids == class_id)
        if not len(mine):
            continue
        if config.cluster_mode != NO_CLUSTERING:
            # Mode 0 arrives here too: config.py has put NVIDIA's substitute into its classes.
            mine = mine[_by_confidence(kept.confidences[mine])]
            mine = mine[suppress(kept.boxes_ltwh[mine], attrs.nms_iou_threshold)]
            mine = mine[kept.confidences[mine] > np.float32(attrs.post_cluster_threshold)]
        if attrs.topk >= 0:
            mine = mine[_by_confidence(kept.confidences[mine])][: attrs.topk]
        parts.append(mine)
    return kept.take(np.concatenate(parts) if parts else np.zeros(0, np.intp))


def above_pre_threshold(
    candidates: Candidates, classes: Sequence[ClassConfig]
) -> npt.NDArray[np.bool_]:
    """Mark what stays: a configured class and not less than its threshold; NaN is not less."""
    known = candidates.class_ids < len(classes)
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
    """IoU of one box with (N, 4) others, float32, areas as width x height; 0 / 0 is 0."""
    near = np.maximum(box[:2], others[:, :2])
    far = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    overlap = np.maximum(far - near, np.float32(0)).prod(axis=1, dtype=np.float32)
    union = box[2] * box[3] + others[:, 2] * others[:, 3] - overlap
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Floats = overlap / union
    share[union == 0] = 0
    return share


def _by_confidence(confidences: Floats) -> npt.NDArray[np.intp]:
    return np.argsort(-confidences, kind="stable")
