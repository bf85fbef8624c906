"""Calls a detection parser in a custom library, through NVIDIA's C++ ABI, without a compiler.

A std::vector is three pointers (begin, end, end of room) in every libstdc++ and libc++. Vectors
that the parser reads point into our memory; the one that it fills starts as three nulls, grows
by the library's operator new, and its memory goes back through operator delete.
"""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin.nvinfer.config import InferConfig
from plugins.standin.nvinfer.outputs import OutputLayer
from plugins.standin.nvinfer.postprocess import Candidates
from plugins.standin.nvinfer.preprocess import NetworkInput
from ropewatch.errors import ModelError

MAX_DIMS = 8
_BYTES_OF = "NvDsInferRopewatchDetectionBytes"

# One detection up to DeepStream 8.0, and with rotation_angle from 9.0.
_LAYOUTS = {
    size: np.dtype([("class_id", "<u4"), ("box", "<f4", 4), ("confidence", "<f4"), *tail])
    for size, tail in ((24, ()), (28, (("rotation", "<f4"),)))
}
_NEWEST = 28


class _Vector(ctypes.Structure):
    _fields_ = (("begin", ctypes.c_void_p), ("end", ctypes.c_void_p), ("room", ctypes.c_void_p))

    @classmethod
    def over(cls, array: Any, size: int) -> "_Vector":
        start = ctypes.addressof(array)
        return cls(start, start + size, start + size)


class _Dims(ctypes.Structure):
    _fields_ = (
        ("count", ctypes.c_uint),
        ("sizes", ctypes.c_uint * MAX_DIMS),
        ("elements", ctypes.c_uint),
    )


class _Layer(ctypes.Structure):
    _fields_ = (
        ("data_type", ctypes.c_int),
        ("dims", _Dims),
        ("binding", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("buffer", ctypes.c_void_p),
        ("is_input", ctypes.c_int),
    )


class _Network(ctypes.Structure):
    _fields_ = (("width", ctypes.c_uint), ("height", ctypes.c_uint), ("channels", ctypes.c_uint))


class _Params(ctypes.Structure):
    _fields_ = (
        ("classes", ctypes.c_uint),
        ("pre", _Vector),
        ("post", _Vector),
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
        assert config.custom_lib_path is not None
        assert config.parse_bbox_func_name is not None
        self._where = f"{config.path}: custom-lib-path: {config.custom_lib_path}"
        library = _load(config.custom_lib_path, self._where)
        self._call = _function(library, config, config.parse_bbox_func_name)
        self._layout = _stated_layout(library, self._where)
        self._checked = self._layout is not None
        self._classes = config.num_detected_classes
        self._layers = (_Layer * len(outputs))(*map(_layer, outputs))
        self._layer_vector = _Vector.over(self._layers, ctypes.sizeof(self._layers))
        self._network = _Network(network.width, network.height, network.channels)
        self._thresholds = _floats([attrs.pre_cluster_threshold for attrs in config.classes])
        self._post = _floats([attrs.post_cluster_threshold for attrs in config.classes])
        self._params = _Params(
            self._classes,
            _Vector.over(self._thresholds, 4 * self._classes),
            _Vector.over(self._post, 4 * self._classes),
        )
        self._params.alias_of_pre = ctypes.addressof(self._params) + _Params.pre.offset
        # The memory belongs to the library's C++ runtime, so its delete has to free it.
        self._free = ctypes.CDLL("libstdc++.so.6")["_ZdlPv"]
        self._free.argtypes = [ctypes.c_void_p]
        self._free.restype = None

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
        for layer, array in zip(self._layers, arrays, strict=True):
            layer.buffer = array.ctypes.data
        found = _Vector()
        try:
            good = self._call(
                ctypes.byref(self._layer_vector),
                ctypes.byref(self._network),
                ctypes.byref(self._params),
                ctypes.byref(found),
            )
            return self._read(found) if good else None
        finally:
            if found.begin:
                self._free(found.begin)

    def _read(self, found: _Vector) -> Candidates:
        size = (found.end or 0) - (found.begin or 0)
        raw = ctypes.string_at(found.begin, size) if size else b""
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


def _load(path: Path, where: str) -> ctypes.CDLL:
    if not path.is_file():
        raise ModelError(f"{where}: no such file, want the parser library; build it or correct it")
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise ModelError(
            f"{where}: {error}, want a library for this machine; rebuild it"
        ) from error


def _function(library: ctypes.CDLL, config: InferConfig, name: str) -> Any:
    try:
        call = library[name]
    except AttributeError as error:
        raise ModelError(
            f"{config.path}: parse-bbox-func-name: {name} is not in {config.custom_lib_path}, "
            f"want a function that the library exports as extern C; see nm -D"
        ) from error
    call.argtypes = [ctypes.c_void_p] * 4
    call.restype = ctypes.c_bool
    return call


def _stated_layout(library: ctypes.CDLL, where: str) -> int | None:
    try:
        size = int(library[_BYTES_OF]())
    except AttributeError:
        return None
    if size not in _LAYOUTS:
        raise ModelError(f"{where}: {_BYTES_OF} says {size}, want 24 or 28; rebuild the library")
    return size


def _layer(output: OutputLayer) -> _Layer:
    layer = _Layer(data_type=output.data_type, binding=output.binding)
    layer.name = output.name.encode()
    layer.dims.count = len(output.shape)
    layer.dims.sizes[: len(output.shape)] = output.shape
    layer.dims.elements = int(np.prod(output.shape, dtype=np.int64))
    return layer


def _floats(values: list[float]) -> Any:
    return (ctypes.c_float * len(values))(*values)
