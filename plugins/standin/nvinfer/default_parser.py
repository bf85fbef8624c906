"""nvinfer's own detection parser, for DetectNet grids: outputs named like bbox and cov."""

from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin.nvinfer.config import InferConfig
from plugins.standin.nvinfer.outputs import OutputLayer
from plugins.standin.nvinfer.postprocess import Candidates
from plugins.standin.nvinfer.preprocess import NetworkInput
from ropewatch.errors import ModelError

_NORM = np.float32(35.0)


class DefaultParser:
    """Decodes a grid: coverage (C, GH, GW) and boxes (4C, GH, GW), both float32."""

    def __init__(
        self, config: InferConfig, network: NetworkInput, outputs: tuple[OutputLayer, ...]
    ) -> None:
        """Find the two outputs.

        Raises:
            ModelError: there are none; the model wants a parser of its own.
        """
        self._cov = _last_named("cov", config, outputs)
        self._box = _last_named("bbox", config, outputs)
        self._thresholds = np.array(
            [attrs.pre_cluster_threshold for attrs in config.classes], np.float32
        )
        self._limits = np.array([network.width, network.height] * 2, np.float32)
        _, rows, columns = outputs[self._box].shape
        stride_x = -(-network.width // columns)
        stride_y = -(-network.height // rows)
        self._x = (np.arange(columns) * stride_x + 0.5).astype(np.float32) / _NORM
        self._y = (np.arange(rows) * stride_y + 0.5).astype(np.float32) / _NORM

    def __call__(self, arrays: tuple[npt.NDArray[Any], ...]) -> Candidates | None:
        """Parse one frame's outputs."""
        coverage, boxes = arrays[self._cov], arrays[self._box]
        count = min(len(coverage), len(self._thresholds))
        coverage = coverage[:count]
        class_ids, rows, columns = np.nonzero(~(coverage < self._thresholds[:count, None, None]))
        values = [boxes[4 * class_ids + part, rows, columns] for part in range(4)]
        x, y = self._x[columns], self._y[rows]
        corners = np.stack(
            [
                (values[0] - x) * -_NORM,
                (values[1] - y) * -_NORM,
                (values[2] + x) * _NORM,
                (values[3] + y) * _NORM,
            ],
            axis=1,
        )
        # A value between the last pixel and the edge stays: nvinfer compares with the edge.
        corners = np.where(corners >= self._limits, self._limits - 1, corners)
        corners = np.maximum(corners, np.float32(0))
        sides = corners[:, 2:] - corners[:, :2]
        # A side that is no number is not below 0 and stays, as in C.
        good = ~(sides < 0).any(axis=1)
        found = np.hstack([corners[:, :2], sides])
        return Candidates(
            class_ids[good].astype(np.int64),
            found[good].astype(np.float32),
            coverage[class_ids, rows, columns][good],
        )


def _last_named(part: str, config: InferConfig, outputs: tuple[OutputLayer, ...]) -> int:
    found = [
        index
        for index, layer in enumerate(outputs)
        if part in layer.name and len(layer.shape) == 3 and layer.dtype == "float32"
    ]
    if not found:
        names = ", ".join(layer.name for layer in outputs)
        raise ModelError(
            f"{config.path}: parse-bbox-func-name is not set with custom-lib-path, and nvinfer's "
            f"own parser wants float32 outputs (C, H, W) named like bbox and cov, the model has "
            f"{names}; name a parser library and its function"
        )
    return found[-1]
