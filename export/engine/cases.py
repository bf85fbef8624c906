"""Golden inputs in the sizes that an engine takes, each with the outputs that belong to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ropewatch.golden import Floats, Golden
from ropewatch.manifest import Manifest

# The inputs of a classifier in frame mode beside its pictures.
ROIS: Final = "rois"
IMAGE_INDEX: Final = "image_index"

Rows = npt.NDArray[np.int64]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Case:
    """One run of an engine.

    Attributes:
        feeds: every input by name, with the first dimension that was asked for.
        expected: every output by name.
        rows: (N,) which golden row each row of the outputs repeats; N may be 0.
    """

    feeds: Mapping[str, npt.NDArray[Any]]
    expected: Mapping[str, Floats]
    rows: Rows


def cases(golden: Golden, manifest: Manifest, shapes: Shapes) -> Iterator[Case]:
    """Runs of one size that together hold every golden row; the last ones are filled up.

    Rows that fill up repeat other ones, so that each place in a batch has to answer rightly.

    Args:
        golden: of the model.
        manifest: of the model.
        shapes: of each input by name.
    """
    feeds = golden.feeds(manifest)
    image = manifest.inputs[0].name
    pictures, size = len(golden.pixels), shapes[image][0]
    for start in range(0, pictures, size):
        chosen = (start + np.arange(size)) % pictures
        if not golden.inputs:
            expected = {name: value[chosen] for name, value in golden.outputs.items()}
            yield Case({image: feeds[image][chosen]}, expected, chosen)
            continue
        boxes = np.flatnonzero(np.isin(golden.inputs[IMAGE_INDEX], chosen))
        count = shapes[ROIS][0] if len(boxes) else 0
        for first in range(0, len(boxes), count) if count else (0,):
            rows = boxes[(first + np.arange(count)) % max(1, len(boxes))]
            index = golden.inputs[IMAGE_INDEX][rows]
            place = np.array([int(np.flatnonzero(chosen == one)[0]) for one in index], np.int64)
            yield Case(
                {
                    image: feeds[image][chosen],
                    ROIS: feeds[ROIS][rows],
                    IMAGE_INDEX: place.astype(feeds[IMAGE_INDEX].dtype),
                },
                {name: value[rows] for name, value in golden.outputs.items()},
                rows,
            )
