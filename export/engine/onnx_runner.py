"""An ONNX on the CPU by ONNX Runtime, as the gate runs an engine; a box need not have it."""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ropewatch.errors import ModelError


def has_onnx_runtime() -> bool:
    """Whether it is installed."""
    return importlib.util.find_spec("onnxruntime") is not None


class OnnxRunner:
    """Runs one ONNX file with two threads.

    Args:
        onnx: to load.

    Raises:
        ModelError: ONNX Runtime does not take it.
    """

    def __init__(self, onnx: Path) -> None:
        # Read once, at import: without it the wheel reports to its maker (1.31 on Linux).
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime  # noqa: PLC0415 (after that setting)

        self.version: str = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        try:
            self._session = onnxruntime.InferenceSession(
                str(onnx), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            # Its exceptions have no common base but Exception.
            raise ModelError(
                f"{onnx}: {error}; want an ONNX that ONNX Runtime takes; export it again"
            ) from error

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Every output by name.

        Raises:
            ModelError: the model does not take the inputs.
        """
        names = [output.name for output in self._session.get_outputs()]
        try:
            return dict(zip(names, self._session.run(names, dict(feeds)), strict=True))
        except Exception as error:
            raise ModelError(f"ONNX Runtime: {error}") from error
