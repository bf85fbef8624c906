"""What one column says of the pictures, and how two columns differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from export.detections import pair
from export.engine.judging import Pair

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Person:
    """One person in one picture.

    Attributes:
        box_xyxy_px: in pixels of the muxer's frame.
        confidence: the detector's number.
        probability: the classifier's, of the site's score_label; None when it was not asked.
        crop_ltwh_px: what the classifier looked at; None as well.
    """

    box_xyxy_px: Box
    confidence: float
    probability: float | None = None
    crop_ltwh_px: Box | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One link of the chain.

    Attributes:
        key: pytorch, onnx, graph or engine.
        title: for people.
        note: what was run, or why nothing was.
        persons: by picture; None when nothing was run.
    """

    key: str
    title: str
    note: str
    persons: Mapping[str, Sequence[Person]] | None


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Largest differences between two columns that count as none."""

    box_px: float
    confidence: float
    probability: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two columns over all pictures; the largest differences are of the matched persons.

    A difference is None where nothing could be compared.
    """

    one: str
    other: str
    tolerance: Tolerance
    matched: int = 0
    missed: int = 0
    extra: int = 0
    box_px: float | None = None
    confidence: float | None = None
    probability: float | None = None

    @property
    def same_persons(self) -> bool:
        """Whether boxes and confidences agree."""
        return (
            not self.missed
            and not self.extra
            and _within(self.box_px, self.tolerance.box_px)
            and _within(self.confidence, self.tolerance.confidence)
        )

    @property
    def same_verdicts(self) -> bool:
        """Whether probabilities agree."""
        return _within(self.probability, self.tolerance.probability)

    @property
    def agree(self) -> bool:
        """Whether everything does."""
        return self.same_persons and self.same_verdicts


def _within(difference: float | None, tolerance: float) -> bool:
    # Not "greater than": a NaN must fail as well.
    return difference is None or difference <= tolerance


def pairs(one: Sequence[Person], other: Sequence[Person]) -> list[Pair]:
    """The same persons of one picture in two columns."""
    return pair([person.box_xyxy_px for person in one], [person.box_xyxy_px for person in other])


def compare(one: Column, other: Column, tolerance: Tolerance) -> Comparison:
    """Compare two columns that were both run."""
    assert one.persons is not None
    assert other.persons is not None
    result = Comparison(one.key, other.key, tolerance)
    for name, mine in one.persons.items():
        theirs = other.persons.get(name, ())
        same = pairs(mine, theirs)
        result = replace(
            result,
            matched=result.matched + len(same),
            missed=result.missed + len(mine) - len(same),
            extra=result.extra + len(theirs) - len(same),
        )
        for each in same:
            left, right = mine[each.one], theirs[each.other]
            apart = np.abs(np.subtract(left.box_xyxy_px, right.box_xyxy_px))
            result = replace(
                result,
                box_px=_larger(result.box_px, float(apart.max())),
                confidence=_larger(result.confidence, abs(left.confidence - right.confidence)),
                probability=_larger(
                    result.probability, _apart(left.probability, right.probability)
                ),
            )
    return result


def _apart(one: float | None, other: float | None) -> float | None:
    if one is None and other is None:
        return None
    # One was asked and the other was not: as different as can be.
    return 1.0 if one is None or other is None else abs(one - other)


def _larger(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return float(np.maximum(one, other))
