"""Calls a detection parser in a custom library, and looks at what came back."""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin.nvinfer.config import InferConfig
from plugins.standin.nvinfer.outputs import OutputLayer
from plugins.standin.nvinfer.parser_abi import Layers, Vector, find_function, load_library
from plugins.standin.nvinfer.postprocess import Candidates
from plugins.standin.nvinfer.preprocess import NetworkInput
from ropewatch.errors import ModelError

_BYTES_OF = "NvDsInferRopewatchDetectionBytes"

# One detection up to DeepStream 8.0, and with rotation_angle from 9.0.
_LAYOUTS = {
    size: np.dtype([("class_id", "<u4"), ("box", "<f4", 4), ("confidence", "<f4"), *tail])
    for size, tail in ((24, ()), (28, (("rotation", "<f4"),)))
}
_NEWEST = 28


class _Params(ctypes.Structure):
    _fields_ = (
        ("classes", ctypes.c_uint),
        ("pre", Vector),
        ("post", Vector),
        ("alias_of_pre", ctypes.c_void_p),
    )


class CustomParser:
    """One parse function with the structures that it reads; call it from one thread at a time."""

    def __init__(
        self, config: InferConfig, network: NetworkInput, outputs: tuple[OutputLayer, ...]
    ) -> None:
        """Load the library.

        Raises:
            ModelError: library or function is missing, or the library is of an unknown layout.
        """
        assert config.parse_bbox_func_name is not None
        self._where = f"{config.path}: custom-lib-path: {config.custom_lib_path}"
        library = load_library(config)
        self._call = find_function(
            library, config, key="parse-bbox-func-name", name=config.parse_bbox_func_name
        )
        self._call.argtypes = [ctypes.c_void_p] * 4
        self._layout = _stated_layout(library, self._where)
        self._checked = self._layout is not None
        self._classes = config.num_detected_classes
        self._layers = Layers(network, outputs)
        self._thresholds = _floats([attrs.pre_cluster_threshold for attrs in config.classes])
        self._post = _floats([attrs.post_cluster_threshold for attrs in config.classes])
        self._params = _Params(
            self._classes,
            Vector.over(self._thresholds, 4 * self._classes),
            Vector.over(self._post, 4 * self._classes),
        )
        self._params.alias_of_pre = ctypes.addressof(self._params) + _Params.pre.offset

    def __call__(self, arrays: tuple[npt.NDArray[Any], ...]) -> Candidates | None:
        """Parse one frame's outputs.

        Args:
            arrays: one C-contiguous array an output, without the batch.

        Returns:
            The candidates, or None when the parser returned false; nvinfer then goes on with a
            result that nobody wrote.

        Raises:
            ModelError: what came back has no known layout.
        """
        self._layers.point_at(arrays)
        found = Vector()
        try:
            good = self._call(
                ctypes.byref(self._layers.vector),
                ctypes.byref(self._layers.network),
                ctypes.byref(self._params),
                ctypes.byref(found),
            )
            return self._read(found.read()) if good else None
        finally:
            found.release()

    def _read(self, raw: bytes) -> Candidates:
        layout = self._layout or _NEWEST
        if raw and not self._checked:
            self._check(raw, layout)
        rows = np.frombuffer(raw, _LAYOUTS[layout])
        return Candidates(
            rows["class_id"].astype(np.int64), rows["box"].copy(), rows["confidence"].copy()
        )

    def _check(self, raw: bytes, layout: int) -> None:
        """Refuse a vector that makes no sense in the layout; only the first one is looked at."""
        plausible = len(raw) % layout == 0
        if plausible:
            rows = np.frombuffer(raw, _LAYOUTS[layout])
            plausible = bool((rows["class_id"] < 2**16).all() and np.isfinite(rows["box"]).all())
        if not plausible:
            raise ModelError(
                f"{self._where}: its detections ({len(raw)} bytes) are not of the {layout} byte "
                f"layout of DeepStream 9, want a parser built with that SDK's headers; rebuild it "
                f"(of the older 24 byte layout only libraries that export {_BYTES_OF} are taken)"
            )
        self._checked = True


def _stated_layout(library: ctypes.CDLL, where: str) -> int | None:
    try:
        size = int(library[_BYTES_OF]())
    except AttributeError:
        return None
    if size not in _LAYOUTS:
        raise ModelError(f"{where}: {_BYTES_OF} says {size}, want 24 or 28; rebuild the library")
    return size


def _floats(values: list[float]) -> Any:
    return (ctypes.c_float * len(values))(*values)
