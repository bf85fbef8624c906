"""NVIDIA's C++ ABI for parse functions in a custom library, without a compiler.

A std::vector is three pointers (begin, end, end of room) in every libstdc++ and libc++. Vectors
that a function reads point into our memory; one that it fills starts as three nulls, grows by the
library's operator new, and its memory goes back through operator delete. A std::string that it
fills has the layout of libstdc++ since GCC 5.
"""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin.nvinfer.config import InferConfig
from plugins.standin.nvinfer.outputs import OutputLayer
from plugins.standin.nvinfer.preprocess import NetworkInput
from ropewatch.errors import ModelError

_MAX_DIMS = 8

# Memory of the library's C++ runtime and of its strdup goes back where it came from.
_delete = ctypes.CDLL("libstdc++.so.6")["_ZdlPv"]
_free = ctypes.CDLL(None)["free"]
for _function in (_delete, _free):
    _function.argtypes = [ctypes.c_void_p]
    _function.restype = None


def free(address: int) -> None:
    """Free what malloc or strdup gave."""
    _free(address)


class Vector(ctypes.Structure):
    """A std::vector of anything."""

    _fields_ = (("begin", ctypes.c_void_p), ("end", ctypes.c_void_p), ("room", ctypes.c_void_p))

    @classmethod
    def over(cls, array: Any, size: int) -> "Vector":
        """Make one of `size` bytes that a function may read; it must not outlive the array."""
        start = ctypes.addressof(array)
        return cls(start, start + size, start + size)

    def read(self) -> bytes:
        """Copy the elements."""
        size = (self.end or 0) - (self.begin or 0)
        return ctypes.string_at(self.begin, size) if size else b""

    def release(self) -> None:
        """Give the memory of a vector back that a function filled."""
        if self.begin:
            _delete(self.begin)


class String(ctypes.Structure):
    """A std::string; make() before a function fills it."""

    _fields_ = (
        ("text", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        # Short texts stand here, and for longer ones their room.
        ("inside", ctypes.c_char * 16),
    )

    @classmethod
    def make(cls) -> "String":
        """Make an empty one; it must not be copied, since it points into itself."""
        made = cls()
        made.text = made._address_inside()
        return made

    def read(self) -> str:
        """Copy the text."""
        return ctypes.string_at(self.text, self.size).decode("utf-8", "replace")

    def release(self) -> None:
        """Give the memory of a long text back."""
        if self.text != self._address_inside():
            _delete(self.text)

    def _address_inside(self) -> int:
        return ctypes.addressof(self) + String.inside.offset


class _Dims(ctypes.Structure):
    _fields_ = (
        ("count", ctypes.c_uint),
        ("sizes", ctypes.c_uint * _MAX_DIMS),
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


class Layers:
    """Layers and network as functions of a library are given them.

    The first `inputs` of the layers are inputs; parse functions get outputs only.
    """

    def __init__(
        self, network: NetworkInput, layers: tuple[OutputLayer, ...], *, inputs: int = 0
    ) -> None:
        self._layers = (_Layer * len(layers))(*map(_layer, layers))
        for layer in self._layers[:inputs]:
            layer.is_input = 1
        self.vector = Vector.over(self._layers, ctypes.sizeof(self._layers))
        self.network = _Network(network.width, network.height, network.channels)

    def point_at(self, arrays: tuple[npt.NDArray[Any], ...]) -> None:
        """Let the layers show arrays, C-contiguous: one entry's or a whole batch's."""
        for layer, array in zip(self._layers, arrays, strict=True):
            layer.buffer = array.ctypes.data


def _layer(output: OutputLayer) -> _Layer:
    layer = _Layer(data_type=output.data_type, binding=output.binding)
    layer.name = output.name.encode()
    layer.dims.count = len(output.shape)
    layer.dims.sizes[: len(output.shape)] = output.shape
    layer.dims.elements = int(np.prod(output.shape, dtype=np.int64))
    return layer


def load_library(config: InferConfig) -> ctypes.CDLL:
    """Load the library of custom-lib-path.

    Raises:
        ModelError: it is missing or of another machine.
    """
    path, where = config.custom_lib_path, f"{config.path}: custom-lib-path"
    if path is None or not path.is_file():
        raise ModelError(
            f"{where}: {path}: no such file, want the parser library; build it or correct it"
        )
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise ModelError(
            f"{where}: {path}: {error}, want a library for this machine; rebuild it"
        ) from error


def find_function(library: ctypes.CDLL, config: InferConfig, *, key: str, name: str) -> Any:
    """Find the function that a key names; it returns bool, and its arguments are the caller's.

    Raises:
        ModelError: the library has none of that name.
    """
    try:
        call = library[name]
    except AttributeError as error:
        raise ModelError(
            f"{config.path}: {key}: {name} is not in {config.custom_lib_path}, want a function "
            f"that the library exports as extern C; see nm -D"
        ) from error
    call.restype = ctypes.c_bool
    return call
