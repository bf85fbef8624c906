"""What an inference batch was given and gave back, as bytes: to files and to a C function.

Names and layout of the files, and the function's arguments, are those of gstnvinfer.cpp.
"""

import ctypes
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin.nvinfer.config import InferConfig
from plugins.standin.nvinfer.outputs import OutputLayer
from plugins.standin.nvinfer.parser_abi import Layers
from plugins.standin.nvinfer.preprocess import NetworkInput
from ropewatch.errors import ModelError

log = logging.getLogger("ropewatch.standin.nvinfer")

Arrays = tuple[npt.NDArray[Any], ...]
# buffer, network, layers, number of layers, entries in the batch, user data
_Callback = ctypes.CFUNCTYPE(
    None,
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
    *(ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p),
)
_INPUT_FILE = "ip_tensor_dump.bin"
_MAX_NAME = 255

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_pointer.restype = ctypes.c_void_p


class RawOutput:
    """Shows each inference batch to whoever asked, before its results become metadata."""

    def __init__(
        self, config: InferConfig, network: NetworkInput, outputs: tuple[OutputLayer, ...]
    ) -> None:
        entry = OutputLayer(network.name, network.shape, "float32", 0)
        self._layers = Layers(network, (entry, *outputs), inputs=1)
        self._names = (network.name, *(layer.name for layer in outputs))
        self._unique_id = config.gie_unique_id
        self._dumps_input = config.dump_input_tensor != 0
        self.writes = config.raw_output_file_write
        self.callback: Callable[..., None] | None = None
        self.user_data: int | None = None
        self.written = 0

    def take_over(self, old: "RawOutput") -> None:
        """Go on for whoever asked, and with the count of files."""
        self.writes, self.written = old.writes, old.written
        self.callback, self.user_data = old.callback, old.user_data

    def call(self, function: Any, user_data: Any) -> None:
        """Call a C function from now on; both are PyCapsules, as PyGObject sets pointers.

        Raises:
            ModelError: they are no pointers.
        """
        address = _address("raw-output-generated-callback", function)
        self.callback = _Callback(address) if address else None
        self.user_data = _address("raw-output-generated-userdata", user_data)

    def dump_input(self, inputs: npt.NDArray[np.float32]) -> None:
        """Append a batch's first entry, and no other, to the file of inputs."""
        if self._dumps_input:
            _put(Path(_INPUT_FILE), inputs[0], "ab")

    def show(self, inputs: npt.NDArray[np.float32], arrays: Arrays, buffer: int | None) -> None:
        """Write and tell of one batch.

        Args:
            inputs: (N, ...) what the network was given.
            arrays: (N, ...) each, what it gave.
            buffer: address of the GstBuffer; None where it has gone on, as in asynchronous mode.
        """
        shown = (inputs, *arrays)
        if self.writes:
            self._write(shown)
        if self.callback is not None:
            self._layers.point_at(shown)
            network = ctypes.addressof(self._layers.network)
            layers, count = self._layers.vector.begin, len(shown)
            self.callback(buffer, network, layers, count, len(inputs), self.user_data)

    def _write(self, shown: Arrays) -> None:
        for layer, array in zip(self._names, shown, strict=True):
            name = (
                f"gstnvdsinfer_uid-{self._unique_id:02d}_layer-{layer}_batch-{self.written:010d}"
                f"_batchsize-{len(array):02d}.bin"
            )
            cut = name.encode()[:_MAX_NAME].decode("utf-8", "ignore")
            _put(Path(cut.replace("/", "_")), array, "wb")
        self.written += 1


def _put(path: Path, array: npt.NDArray[Any], mode: str) -> None:
    try:
        with path.open(mode) as file:
            file.write(array.tobytes())
    except OSError as error:
        log.warning("raw tensors are not written file=%s reason=%s", path, error)


def _address(name: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        return _pointer(value, None)  # type: ignore[no-any-return]
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{name}: {value!r}: {error}, want a pointer in a PyCapsule; leave it unset in Python"
        ) from error
