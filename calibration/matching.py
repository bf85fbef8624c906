"""Which recorded person is which true one, in one frame."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from ropewatch.boxes import iou_matrix, ltwh_to_xyxy


def match_boxes(
    found_ltwh_px: npt.ArrayLike, true_ltwh_px: npt.ArrayLike, *, iou_min: float
) -> list[tuple[int, int]]:
    """Pair boxes one to one so that the sum of IoU is the largest possible.

    Pairs below `iou_min` are taken out before, so that a hopeless pair never costs a good one.

    Args:
        found_ltwh_px: (N, 4), columns left, top, width, height. N may be 0.
        true_ltwh_px: (M, 4), the same. M may be 0.
        iou_min: least IoU of a pair, above 0.

    Returns:
        Rows of both, in order of the first.
    """
    if not 0 < iou_min <= 1:
        raise ValueError(f"iou_min: {iou_min}, want above 0 and at most 1")
    found, true = (
        ltwh_to_xyxy(np.asarray(boxes, dtype=np.float64).reshape(-1, 4))
        for boxes in (found_ltwh_px, true_ltwh_px)
    )
    iou = iou_matrix(found, true)
    iou[iou < iou_min] = 0
    rows, columns = linear_sum_assignment(iou, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if iou[i, j] > 0]
