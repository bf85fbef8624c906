"""How good the exported demo models are, measured with ONNX Runtime as the graph runs them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, confusion_matrix

from demo.train.dataset import Floats, Samples
from demo.train.recipe import ARCHITECTURE
from ropewatch.boxes import iou_matrix

NMS_IOU = 0.6
OPERATING_CONFIDENCE = 0.35
"""As configs/nvinfer/demo_person.txt has them."""


THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)


@dataclass(frozen=True)
class DetectorAccuracy:
    """Found people against the truth at IoU 0.5."""

    frames: int
    people: int
    ap50: float
    """Area under precision over recall, not interpolated."""
    precision: float
    recall: float
    """Both at the operating confidence."""


@dataclass(frozen=True)
class ClassifierAccuracy:
    """Single crops against the truth; positive is unroped."""

    threshold: float
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    average_precision: float

    @property
    def precision(self) -> float:
        """Share of alarms that are right."""
        return self.true_positive / max(1, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of unroped people that are found out."""
        return self.true_positive / max(1, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.precision * self.recall / max(1e-9, self.precision + self.recall)


def session(path: Path) -> Any:
    """ONNX Runtime on two threads that do not spin."""
    # Read once, at import: without it ONNX Runtime reports to its maker.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # noqa: PLC0415 - after that setting

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def detector_accuracy(path: Path, data: Samples) -> DetectorAccuracy:
    """Run the detector on letterboxed frames and match greedily by score."""
    network = session(path)
    scores: list[float] = []
    right: list[bool] = []
    people = 0
    for frame, truth in zip(data.frames, data.boxes_xyxy_px, strict=True):
        image = frame.transpose(2, 0, 1)[None].astype(np.float32) / 255
        found = suppressed(network.run(None, {"images": image})[0][0])
        hits = matched(found, truth)
        people += len(truth)
        scores.extend(found[:, 4].tolist())
        right.extend(hits)
    score, hit = np.array(scores), np.array(right)
    if not hit.any():
        return DetectorAccuracy(len(data.frames), people, 0.0, 0.0, 0.0)
    kept = score >= OPERATING_CONFIDENCE
    reached = hit.sum() / max(1, people)
    return DetectorAccuracy(
        len(data.frames),
        people,
        float(average_precision_score(hit, score) * reached),
        float(hit[kept].sum() / max(1, kept.sum())),
        float(hit[kept].sum() / max(1, people)),
    )


def suppressed(rows: Floats, *, floor: float = 0.01) -> Floats:
    """Non-maximum suppression as nvinfer's cluster-mode 2, best first.

    Args:
        rows: (N, 6) float32, x1, y1, x2, y2, score, class.
        floor: rows below are dropped first.
    """
    rows = rows[rows[:, 4] >= floor]
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    overlap = iou_matrix(rows[:, :4], rows[:, :4])
    kept: list[int] = []
    for number in range(len(rows)):
        if all(overlap[number, other] <= NMS_IOU for other in kept):
            kept.append(number)
    return rows[kept]


def matched(found: Floats, truth: Floats) -> list[bool]:
    """Whether each found box, best first, meets a person that no better box has met."""
    overlap = iou_matrix(found[:, :4], truth)
    free = np.ones(len(truth), bool)
    hits = []
    for row in overlap:
        best = int(np.argmax(np.where(free, row, -1))) if free.any() else -1
        hit = best >= 0 and bool(row[best] >= 0.5)
        if hit:
            free[best] = False
        hits.append(hit)
    return hits


def unroped_scores(path: Path, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Probability of `unroped` for crops (C, H, W, 3) uint8 RGB, prepared as nvinfer does."""
    network = session(path)
    mean = np.array(ARCHITECTURE.mean, np.float32).reshape(1, 3, 1, 1)
    scores = [np.zeros(0)]
    for start in range(0, len(crops), 64):
        images = crops[start : start + 64].transpose(0, 3, 1, 2).astype(np.float32) / 255 - mean
        scores.append(network.run(None, {"images": images})[0][:, 1].astype(np.float64))
    return np.concatenate(scores)


def classifier_accuracy(
    scores: npt.NDArray[np.float64], unroped: npt.NDArray[np.int64], *, threshold: float
) -> ClassifierAccuracy:
    """Compare scores (C,) with the truth (C,)."""
    alarms = scores >= threshold
    table = confusion_matrix(unroped, alarms, labels=[0, 1])
    (tn, fp), (fn, tp) = table.tolist()
    return ClassifierAccuracy(
        threshold, tp, fp, fn, tn, float(average_precision_score(unroped, scores))
    )


def best_threshold(
    scores: npt.NDArray[np.float64],
    unroped: npt.NDArray[np.int64],
    candidates: Sequence[float] = THRESHOLDS,
) -> float:
    """The candidate with the best F1; among equals the one nearest to 0.5."""
    return max(
        candidates,
        key=lambda threshold: (
            classifier_accuracy(scores, unroped, threshold=threshold).f1,
            -abs(threshold - 0.5),
        ),
    )
