"""Outputs of an engine against golden ones: how far the numbers are apart, and who decides alike.

Numbers may differ by a tolerance that depends on the precision, decisions not at all, except so
near to a threshold that either will do. Nothing here was measured with TensorRT; the tolerances
follow from the formats:

fp32: other sums in another order; half-precision's tenth of a percent would be seen.
fp16: 11 bits. One value of 640 px is off by up to 0.25 px, and a few such steps follow each
other; a probability moves by thousandths. The faults that TensorRT is known for are of another
size: probabilities near chance, boxes anywhere, NaN.
int8: 8 bits with scales from calibration; what it costs in decisions is told by calibration.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ropewatch.boxes import iou_matrix
from ropewatch.golden import Floats, Golden
from ropewatch.manifest import Manifest
from ropewatch.receipt import DecisionFact
from ropewatch.rope_head import RopeHead

Rows = npt.NDArray[np.int64]
# A person is found again at this overlap, as detectors are judged everywhere.
MATCH_IOU: Final = 0.5
# Two boxes this near to the NMS threshold may be one person or two.
NMS_BAND: Final = 0.05
LIKELIEST: Final = 10


@dataclass(frozen=True, slots=True)
class Pair:
    """The same person twice: places on both sides and their IoU."""

    one: int
    other: int
    iou: float


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Largest differences.

    Attributes:
        probability: of one row of a classifier, and of a detector's score.
        shift: of a classifier's probabilities on average over the golden rows. A model whose
            every score has moved the same way has another operating point.
        box_px: of a side, network px.
        map_share: of a backbone's map: root mean square, as a share of the map's own spread.
    """

    probability: float
    shift: float
    box_px: float
    map_share: float

    @property
    def band(self) -> float:
        """How near to a threshold a decision may fall either way."""
        return self.probability / 2


TOLERANCES: Final[Mapping[str, Tolerance]] = {
    "fp32": Tolerance(probability=1e-3, shift=2.5e-4, box_px=0.1, map_share=0.002),
    "fp16": Tolerance(probability=0.02, shift=0.005, box_px=2.0, map_share=0.05),
    "int8": Tolerance(probability=0.08, shift=0.02, box_px=6.0, map_share=0.2),
}


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Where decisions are compared.

    Attributes:
        thresholds: of the probability, or of the detector's score.
        nms_iou: detector: a box goes if its IoU with a better one is above it.
        origin: where they come from, for the receipt.
    """

    thresholds: tuple[float, ...]
    nms_iou: float = 0.6
    origin: str = "default"


# Without a site nobody knows the threshold, so that all are tried.
SWEEP: Final = tuple(round(0.05 * step, 2) for step in range(1, 20))
DEFAULTS: Final[Mapping[str, OperatingPoint]] = {
    "classifier": OperatingPoint(SWEEP, origin="a sweep from 0.05 to 0.95"),
    "detector": OperatingPoint((0.2, 0.35, 0.5), origin="the defaults for a detector"),
}


@dataclass(frozen=True, slots=True)
class Number:
    """One quantity at one batch size; `row` is the golden row where it differs most."""

    quantity: str
    difference: float
    tolerance: float
    row: int

    @property
    def exceeds(self) -> bool:
        """Not within the tolerance; a NaN is not."""
        return not self.difference <= self.tolerance


Outcome = tuple[list[Number], list[DecisionFact]]


def judge_classifier(
    expected: Floats,
    actual: Floats,
    rows: Rows,
    *,
    labels: Sequence[str],
    tolerance: Tolerance,
    point: OperatingPoint,
) -> Outcome:
    """Compare probabilities, all of them (N, labels) with N at least 1.

    Args:
        expected: golden.
        actual: the engine's.
        rows: (N,) which golden row each is.
        labels: in class order.
        tolerance: by the engine's precision.
        point: thresholds.
    """
    apart = np.abs(actual - expected).max(axis=1)
    shift = float(np.abs((actual - expected).mean(axis=0)).max())
    numbers = [
        _largest("probability", apart, rows, tolerance.probability),
        Number("mean shift of probability", shift, tolerance.shift, -1),
    ]
    decisions = []
    for threshold in point.thresholds:
        near = np.abs(expected - threshold) <= tolerance.band
        other = (expected >= threshold) != (actual >= threshold)
        for index, label in enumerate(labels):
            decisions.append(
                DecisionFact(
                    what=f"rows at or above for {label}",
                    threshold=threshold,
                    compared=len(set(rows.tolist())),
                    positive=len(set(rows[expected[:, index] >= threshold].tolist())),
                    changed=len(set(rows[(other & ~near)[:, index]].tolist())),
                    in_band=len(set(rows[(other & near)[:, index]].tolist())),
                )
            )
    return numbers, decisions


def judge_backbone(
    expected: Floats,
    actual: Floats,
    rows: Rows,
    *,
    head: RopeHead,
    boxes_xyxy_px: Floats,
    tolerance: Tolerance,
    point: OperatingPoint,
) -> Outcome:
    """Compare maps (N, C, rows, columns) by themselves, and by what the head says of some boxes.

    A map decides nothing, and which of its numbers matter only the head knows.
    """
    spread = np.maximum(expected.std(axis=(1, 2, 3)), np.finfo(np.float32).tiny)
    apart = np.sqrt(((actual - expected) ** 2).mean(axis=(1, 2, 3))) / spread
    wanted, given = (
        np.concatenate([head(each, boxes_xyxy_px) for each in maps]) for maps in (expected, actual)
    )
    places = (rows[:, None] * len(boxes_xyxy_px) + np.arange(len(boxes_xyxy_px))).ravel()
    numbers, decisions = judge_classifier(
        wanted, given, places, labels=head.labels, tolerance=tolerance, point=point
    )
    return [_largest("map, share of its spread", apart, rows, tolerance.map_share), *numbers], (
        decisions
    )


def judge_detector(
    expected: Floats, actual: Floats, rows: Rows, *, tolerance: Tolerance, point: OperatingPoint
) -> Outcome:
    """Compare candidates (N, candidates, 6): x1, y1, x2, y2 in network px, score, class.

    Boxes count where a threshold could keep them, and of the likeliest in any case: the others
    are flat distributions whose mean is anywhere.
    """
    floor = min(point.thresholds) - tolerance.probability
    counts = expected[..., 4] >= floor
    likeliest = np.argsort(-expected[..., 4], axis=1, kind="stable")[:, :LIKELIEST]
    np.put_along_axis(counts, likeliest, values=True, axis=1)
    apart = np.abs(actual - expected)
    boxes = np.where(counts[..., None], apart[..., :4], 0).max(axis=(1, 2))
    classes = np.where(counts, apart[..., 5], 0).max(axis=1)
    numbers = [
        _largest("score", apart[..., 4].max(axis=1), rows, tolerance.probability),
        _largest("box that counts, px", boxes, rows, tolerance.box_px),
        _largest("class that counts", classes, rows, 0.5),
    ]
    decisions = [
        _persons(expected, actual, rows, threshold, tolerance=tolerance, nms_iou=point.nms_iou)
        for threshold in point.thresholds
    ]
    return numbers, decisions


def _persons(
    expected: Floats,
    actual: Floats,
    rows: Rows,
    threshold: float,
    *,
    tolerance: Tolerance,
    nms_iou: float,
) -> DecisionFact:
    """Who is found by one and not by the other."""
    found: set[tuple[int, int]] = set()
    changed: set[tuple[int, bool, int]] = set()
    in_band: set[tuple[int, bool, int]] = set()
    for row, one, other in zip(rows.tolist(), expected, actual, strict=True):
        kept = [keep(each, threshold=threshold, nms_iou=nms_iou) for each in (one, other)]
        found.update((row, index) for index in kept[0].tolist())
        boxes = (one[kept[0]], other[kept[1]])
        for is_extra, lonely in enumerate(_unmatched(*boxes)):
            for place in lonely:
                candidate, others = boxes[is_extra][place], boxes[1 - is_extra]
                overlap = iou_matrix(candidate[None, :4], others[:, :4]).max(initial=0)
                near = candidate[4] < threshold + tolerance.band or overlap >= nms_iou - NMS_BAND
                key = (row, bool(is_extra), int(kept[is_extra][place]))
                (in_band if near else changed).add(key)
    return DecisionFact(
        what="persons",
        threshold=threshold,
        compared=len(found),
        positive=len(found),
        changed=len(changed),
        in_band=len(in_band),
    )


def keep(candidates: Floats, *, threshold: float, nms_iou: float) -> Rows:
    """Indices of the candidates (N, 6) that a threshold and NMS by class leave, best first."""
    order = np.argsort(-candidates[:, 4], kind="stable")
    left = order[candidates[order, 4] >= threshold]
    kept = []
    while len(left):
        best, rest = left[0], left[1:]
        kept.append(int(best))
        same = candidates[rest, 5] == candidates[best, 5]
        overlap = iou_matrix(candidates[best, :4][None], candidates[rest, :4])[0]
        left = rest[~(same & (overlap > nms_iou))]
    return np.array(kept, np.int64)


def _unmatched(one: Floats, other: Floats) -> tuple[list[int], list[int]]:
    """Places of the boxes on either side that find no partner of their class."""
    overlap = iou_matrix(one[:, :4], other[:, :4]) * (one[:, None, 5] == other[None, :, 5])
    same = best_pairs(overlap)
    left = set(range(len(one))) - {each.one for each in same}
    right = set(range(len(other))) - {each.other for each in same}
    return sorted(left), sorted(right)


def best_pairs(overlap: npt.NDArray[np.float64]) -> list[Pair]:
    """Boxes that are the same person, the most alike first, each box once.

    Args:
        overlap: (N, M) IoU of every box with every other; N and M may be 0.
    """
    left = overlap.copy()
    found: list[Pair] = []
    while left.size and left.max() >= MATCH_IOU:
        row, column = (int(index) for index in np.unravel_index(left.argmax(), left.shape))
        found.append(Pair(row, column, float(left[row, column])))
        left[row, :] = left[:, column] = -1
    return found


def _largest(quantity: str, apart: Floats, rows: Rows, tolerance: float) -> Number:
    worst = int(apart.argmax())
    return Number(quantity, float(apart[worst]), tolerance, int(rows[worst]))


def untold(decisions: Sequence[DecisionFact]) -> Iterator[str]:
    """What the golden outputs cannot tell, in words for the receipt; nothing where they decide."""
    if not any(one.positive > 0 for one in decisions):
        yield (
            "nothing in the golden outputs reaches a threshold, so that no decision was really "
            "compared; export again with pictures of people (--images)"
        )
    elif all(one.what != "persons" and one.positive in (0, one.compared) for one in decisions):
        yield (
            "all golden rows are on the same side of every threshold, so that no decision was "
            "really compared; export again with pictures of both kinds (--images)"
        )


def golden_notes(manifest: Manifest, golden: Golden) -> list[str]:
    """What golden outputs cannot tell about engines, known at export; nothing of a backbone."""
    (output,) = golden.outputs.values()
    tolerance, point = TOLERANCES["fp32"], DEFAULTS[manifest.kind]
    if manifest.mode == "backbone" or not len(output):
        return []
    rows = np.arange(len(output))
    if manifest.kind == "detector":
        _, decisions = judge_detector(output, output, rows, tolerance=tolerance, point=point)
    else:
        labels = manifest.labels
        _, decisions = judge_classifier(
            output, output, rows, labels=labels, tolerance=tolerance, point=point
        )
    return list(untold(decisions))
