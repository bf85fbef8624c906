"""nvinfer's post-processing once more, one number after the other, to compare with.

Written from its described behaviour and sharing nothing with plugins/standin, not even a sort.
Numbers are numpy float32 scalars, so that each operation rounds as in C.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Row = tuple[int, np.float32, np.float32, np.float32, np.float32, np.float32]
ZERO: np.float32 = np.float32(0)


def detections(params: dict[str, Any], candidates: list[list[Any]]) -> list[Row]:
    """Return the rows that nvinfer attaches, in its order."""
    mode = params["cluster_mode"]
    limits = [
        {name: value if name == "topk" else np.float32(value) for name, value in entry.items()}
        for entry in params["per_class"]
    ]
    by_class: list[list[Row]] = [[] for _ in limits]
    for class_id, *numbers in candidates:
        left, top, width, height, confidence = map(np.float32, numbers)
        if class_id >= len(limits):
            continue
        if confidence < limits[class_id]["pre_cluster_threshold"]:
            continue
        by_class[class_id].append((class_id, left, top, width, height, confidence))
    found: list[Row] = []
    for rows, limit in zip(by_class, limits, strict=True):
        topk, iou_max = limit["topk"], limit["nms_iou_threshold"]
        if mode == 0:
            topk, iou_max = 20, np.float32(0.5)
        kept = rows
        if mode == 1:
            kept = [row for row in rows if not row[5] < limit["post_cluster_threshold"]]
        elif mode in {0, 2, 3}:
            kept = []
            for row in stable_sort(rows):
                if all(iou(row, other) <= iou_max for other in kept):
                    kept.append(row)
            kept = [row for row in kept if row[5] > limit["post_cluster_threshold"]]
        if topk >= 0:
            kept = stable_sort(kept)[:topk]
        found.extend(kept)
    return found


def iou(row: Row, kept: Row) -> np.float32:
    """Overlap of a candidate and a kept box."""
    along_x = shared(row[1], row[1] + row[3], kept[1], kept[1] + kept[3])
    along_y = shared(row[2], row[2] + row[4], kept[2], kept[2] + kept[4])
    both = along_x * along_y
    union = row[3] * row[4] + kept[3] * kept[4] - both
    share: np.float32 = ZERO if union == 0 else both / union
    return share


def shared(near: np.float32, far: np.float32, near2: np.float32, far2: np.float32) -> np.float32:
    """Length that two intervals share; the one that begins first is taken first."""
    if near > near2:
        near, far, near2, far2 = near2, far2, near, far
    if far < near2:
        return ZERO
    length: np.float32 = min(far, far2) - near2
    return length


def stable_sort(rows: Sequence[Row]) -> list[Row]:
    """Sort by confidence, high first, in place in a C-like array with a buffer."""
    array = list(rows)
    count = len(array)
    middle = (count + 1) // 2
    merge_sort(array, 0, middle)
    merge_sort(array, middle, count)
    left, right = array[:middle], array[middle:]
    if count % 2 == 0:
        return merge(left, right, before)
    # Of halves of unequal size the second, shorter one is in the buffer, and merging begins at
    # the end; there the order of two that compare equal is decided the other way round.
    turned = merge(right[::-1], left[::-1], lambda one, other: before(other, one))
    return turned[::-1]


def merge_sort(array: list[Row], first: int, last: int) -> None:
    """Insertion in runs of 7, then merges of 7, 14, 28, ..."""
    for begin in range(first, last, 7):
        end = min(begin + 7, last)
        for index in range(begin + 1, end):
            row = array[index]
            hole = index
            if before(row, array[begin]):
                while hole > begin:
                    array[hole] = array[hole - 1]
                    hole -= 1
            else:
                while before(row, array[hole - 1]):
                    array[hole] = array[hole - 1]
                    hole -= 1
            array[hole] = row
    step = 7
    while step < last - first:
        for begin in range(first, last, 2 * step):
            half, end = min(begin + step, last), min(begin + 2 * step, last)
            array[begin:end] = merge(array[begin:half], array[half:end], before)
        step *= 2


def merge(one: list[Row], two: list[Row], goes_first: Callable[[Row, Row], bool]) -> list[Row]:
    """Take from `two` only what goes before the head of `one`."""
    one, two = one[::-1], two[::-1]
    out: list[Row] = []
    while one and two:
        out.append(two.pop() if goes_first(two[-1], one[-1]) else one.pop())
    return out + one[::-1] + two[::-1]


def before(one: Row, other: Row) -> bool:
    """Compare as nvinfer does; false both ways with NaN."""
    return bool(one[5] > other[5])


def attributes(case: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Return what nvinfer's own classifier parser finds, and the string it builds."""
    rows = [line.split(";") for line in case["labels_text"].split("\n") if line != ""]
    found: list[dict[str, Any]] = []
    text = ""
    for index, (dims, layer) in enumerate(
        zip(case["params"]["dims"], case["layers"], strict=True)
    ):
        best, value = ZERO, None
        for number in range(dims[0]):
            probability = np.float32(layer[number])
            if probability > np.float32(case["threshold"]) and probability > best:
                best, value = probability, number
        if value is None:
            continue
        label = None
        if index < len(rows) and value < len(rows[index]):
            label = rows[index][value]
            text += label + " "
        found.append({"attribute": index, "value": value, "confidence": best, "label": label})
    return found, text
