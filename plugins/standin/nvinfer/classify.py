"""nvinfer's own classifier parser: the best class of each output, without any softmax."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin.nvinfer.labels import Labels


@dataclass(frozen=True, slots=True)
class Attribute:
    """One output's verdict: which output, which class, its number, its label or None."""

    index: int
    value: int
    confidence: float
    label: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """All attributes of one object and the text that is shown for them."""

    attributes: tuple[Attribute, ...] = ()
    text: str = ""


def classify(arrays: tuple[npt.NDArray[Any], ...], labels: Labels, *, threshold: float) -> Verdict:
    """Take the first largest value of each output that is above both 0 and the threshold.

    Args:
        arrays: one an output, without the batch; classes are the first dimension, and as in
            nvinfer only the first value of each is read as a probability.
        labels: one row an output.
        threshold: strict.
    """
    attributes = []
    text = ""
    floor = np.float32(max(threshold, 0.0))
    for index, array in enumerate(arrays):
        values = array.reshape(-1)[: array.shape[0] if array.ndim else 1]
        if not len(values):
            continue
        passing = np.where(values > floor, values, -np.inf)
        best = int(np.argmax(passing))
        if not passing[best] > floor:
            continue
        row = labels[index] if index < len(labels) else ()
        label = row[best] if best < len(row) else None
        attributes.append(Attribute(index, best, float(values[best]), label))
        # An empty label counts as found and leaves its space, which is enough to attach.
        text += f"{label} " if label is not None else ""
    return Verdict(tuple(attributes), text)
