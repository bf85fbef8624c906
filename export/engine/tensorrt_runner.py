"""One engine run by TensorRT with pycuda, for the parity gate; the graph runs it by nvinfer."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from export.engine.machine import import_pycuda, import_tensorrt
from export.engine.tensorrt_road import make_log
from ropewatch.errors import BackendError, ModelError

# Context profile: engines of ours have one.
_PROFILE = 0
_DTYPES: dict[str, np.dtype[Any]] = {
    "FLOAT": np.dtype(np.float32),
    "HALF": np.dtype(np.float16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
}


class TensorRtRunner:
    """Loads an engine and runs it on the first GPU, one call after the other.

    The calls are those that TensorRT 10.3 to 11 have in common: tensors by name, shapes on the
    context, execute_async_v3. It has never run with TensorRT itself.

    Args:
        engine: file of this machine's TensorRT release.

    Raises:
        BackendError: no TensorRT, no pycuda, or no GPU.
        ModelError: TensorRT does not take the file.
    """

    def __init__(self, engine: Path) -> None:
        self._trt = import_tensorrt()
        self._cuda = import_pycuda()
        self._name = engine.name
        self._primary = self._enter_gpu()
        try:
            self._load(engine)
        except BaseException:
            self.close()
            raise

    def _enter_gpu(self) -> Any:
        """Make the GPU's primary context current, which TensorRT and pycuda then share."""
        try:
            self._cuda.init()
            primary = self._cuda.Device(0).retain_primary_context()
            primary.push()
        except self._cuda.Error as error:
            raise BackendError(
                f"cuda: {' '.join(str(error).split())}, want a GPU that the driver shows here; "
                f"run this on the box"
            ) from error
        return primary

    def _load(self, engine: Path) -> None:
        trt = self._trt
        # Kept: an engine must not outlive its runtime, nor that its logger.
        self._log = make_log(trt)
        self._runtime = trt.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(engine.read_bytes())
        if self._engine is None:
            raise ModelError(
                f"{engine}: TensorRT {trt.__version__} does not load it ({self._log.summary()}), "
                f"want an engine of this release and GPU; build it again with `ropewatch engine "
                f"build`"
            )
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise ModelError(
                f"{engine}: no execution context ({self._log.summary()}), want enough free "
                f"memory; stop other programs and try again"
            )
        self._stream = self._cuda.Stream()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the GPU's memory back; a second call does nothing."""
        if self._primary is None:
            return
        # What holds memory of the GPU goes while its context is current.
        self._stream = self._context = self._engine = self._runtime = None
        self._primary.pop()
        self._primary.detach()
        self._primary = None

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Every output by name, in the engine's own dtype.

        Raises:
            ModelError: other inputs than the engine's, a shape outside its profile, or a failure.
        """
        engine = self._engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        is_input = self._trt.TensorIOMode.INPUT
        inputs = [name for name in names if engine.get_tensor_mode(name) == is_input]
        if set(inputs) != set(feeds):
            raise ModelError(f"{self._name}: inputs {sorted(inputs)}, want {sorted(feeds)}")
        with contextlib.ExitStack() as stack:
            for name in inputs:
                self._set_input(name, np.ascontiguousarray(feeds[name]), stack)
            outputs = {name: self._set_output(name, stack) for name in names if name not in feeds}
            if not self._context.execute_async_v3(self._stream.handle):
                raise ModelError(
                    f"{self._name}: execution failed: {self._log.summary()}; build it again "
                    f"with `ropewatch engine build`"
                )
            for host, device in outputs.values():
                self._cuda.memcpy_dtoh_async(host, device, self._stream)
            self._stream.synchronize()
        return {name: host for name, (host, _device) in outputs.items()}

    def _set_input(self, name: str, value: npt.NDArray[Any], stack: contextlib.ExitStack) -> None:
        dtype = self._dtype(name)
        if dtype != value.dtype:
            raise ModelError(f"{self._name}: input {name} is {dtype}, want {value.dtype}")
        shape = tuple(self._engine.get_tensor_profile_shape(name, _PROFILE)[-1])
        if not self._context.set_input_shape(name, value.shape):
            raise ModelError(
                f"{self._name}: input {name} does not take {value.shape}, want up to {shape}"
            )
        device = self._allocate(value.nbytes, stack)
        self._cuda.memcpy_htod_async(device, value, self._stream)
        self._address(name, device)

    def _set_output(self, name: str, stack: contextlib.ExitStack) -> tuple[npt.NDArray[Any], Any]:
        """The output's place on the host, filled with NaN where it can be, and on the device."""
        dtype = self._dtype(name)
        shape = tuple(self._context.get_tensor_shape(name))
        if min(shape, default=0) < 0:
            raise ModelError(f"{self._name}: output {name} is {shape}, want a shape that is known")
        # What is not written must not look like an answer.
        host = np.full(shape, np.nan if dtype.kind == "f" else 0, dtype)
        device = self._allocate(host.nbytes, stack)
        self._cuda.memcpy_htod_async(device, host, self._stream)
        self._address(name, device)
        return host, device

    def _dtype(self, name: str) -> np.dtype[Any]:
        element = self._engine.get_tensor_dtype(name).name
        if element not in _DTYPES:
            raise ModelError(f"{self._name}: {name} is {element}, want one of {list(_DTYPES)}")
        return _DTYPES[element]

    def _allocate(self, size_bytes: int, stack: contextlib.ExitStack) -> Any:
        # TensorRT wants an address for an empty tensor, too.
        device = self._cuda.mem_alloc(max(1, size_bytes))
        stack.callback(device.free)
        return device

    def _address(self, name: str, device: Any) -> None:
        if not self._context.set_tensor_address(name, int(device)):
            raise ModelError(f"{self._name}: {name}: no address could be set")
