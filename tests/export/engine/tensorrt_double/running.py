"""What stands behind the names when an engine runs: ONNX Runtime, and pycuda as far as we call it.

Memory of the "GPU" is an address with bytes behind it, which only `memcpy_*` reach, so that an
output that nobody copied stays what it was.
"""

import itertools
import types
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx

from export.engine.onnx_runner import OnnxRunner
from tests.export.engine.tensorrt_double.building import ELEMENTS, MAGIC, note_of, onnx_of

NUMPY = {"FLOAT": np.float32, "INT32": np.int32, "INT64": np.int64, "HALF": np.float16}


class Memory:
    """Addresses and what is there."""

    def __init__(self) -> None:
        self.held: dict[int, bytearray] = {}
        self.contexts = 0
        self._next = itertools.count(4096, 4096)

    def allocate(self, size: int) -> int:
        assert size > 0, "cuMemAlloc refuses no bytes"
        address = next(self._next)
        self.held[address] = bytearray(size)
        return address


class Allocation:
    """`pycuda.driver.DeviceAllocation`."""

    def __init__(self, memory: Memory, size: int) -> None:
        self._memory, self._address = memory, memory.allocate(size)

    def __int__(self) -> int:
        return self._address

    def free(self) -> None:
        del self._memory.held[self._address]


def make_pycuda(memory: Memory, *, gpus: int = 1) -> Any:
    """Make `pycuda.driver` with as much as `export.engine` calls."""
    module: Any = types.ModuleType("pycuda.driver")
    module.Error = type("Error", (Exception,), {})

    class Context:
        def push(self) -> None:
            memory.contexts += 1

        @staticmethod
        def pop() -> None:
            memory.contexts -= 1

        def detach(self) -> None:
            pass

    class Device:
        def __init__(self, number: int) -> None:
            if number >= gpus:
                raise module.Error("cuDeviceGet failed: invalid device ordinal")

        def retain_primary_context(self) -> Context:
            return Context()

        def name(self) -> str:
            return "Orin"

        def compute_capability(self) -> tuple[int, int]:
            return 8, 7

    class Stream:
        handle = 1

        def synchronize(self) -> None:
            pass

    def htod(device: Allocation, host: Any, stream: Stream) -> None:
        content = host.tobytes()
        memory.held[int(device)][: len(content)] = content

    def dtoh(host: Any, device: Allocation, stream: Stream) -> None:
        content = bytes(memory.held[int(device)][: host.nbytes])
        host[...] = np.frombuffer(content, host.dtype).reshape(host.shape)

    module.init = lambda: None
    module.get_driver_version = lambda: 12060
    module.Device, module.Stream = Device, Stream
    module.mem_alloc = lambda size: Allocation(memory, size)
    module.memcpy_htod_async, module.memcpy_dtoh_async = htod, dtoh
    return module


def running(memory: Memory) -> Mapping[str, type]:
    """Behaviours of the classes that run an engine of the double, by name."""

    class IExecutionContext:
        def __init__(self, engine: Any) -> None:
            self._owner = engine
            self._shapes: dict[str, tuple[int, ...]] = {}
            self._addresses: dict[str, int] = {}

        def set_input_shape(self, name: str, shape: Any) -> bool:
            low, _best, high = self._owner._limits[name]
            fits = len(shape) == len(low) and all(
                a <= b <= c for a, b, c in zip(low, shape, high, strict=True)
            )
            if fits:
                self._shapes[name] = tuple(shape)
            return fits

        def get_tensor_shape(self, name: str) -> Any:
            if name in self._shapes:
                return self._shapes[name]
            batch = next(iter(self._shapes.values()), (-1,))[0]
            return [batch if side < 0 else side for side in self._owner._tensors[name][1]]

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self._addresses[name] = memory
            return True

        def execute_async_v3(self, stream_handle: int) -> bool:
            assert stream_handle
            feeds = {
                name: np.frombuffer(
                    bytes(memory.held[self._addresses[name]]), NUMPY[element]
                ).reshape(self._shapes[name])
                for name, (_mode, _shape, element) in self._owner._tensors.items()
                if name in self._shapes
            }
            for name, output in self._owner._runner.run(feeds).items():
                content = output.tobytes()
                memory.held[self._addresses[name]][: len(content)] = content
            return True

    class ICudaEngine:
        _trt: Any

        def __init__(self, content: bytes) -> None:
            model = onnx.load_from_string(onnx_of(content))
            with TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                onnx.save(model, path)
                self._runner = OnnxRunner(path)
            self._limits = {
                name: limits
                for profile in note_of(content)["profiles"]
                for name, limits in profile.items()
            }
            self._tensors: dict[str, Any] = {}
            for mode, values in (("INPUT", model.graph.input), ("OUTPUT", model.graph.output)):
                for value in values:
                    tensor = value.type.tensor_type
                    shape = [d.dim_value or -1 for d in tensor.shape.dim]
                    self._tensors[value.name] = (mode, shape, ELEMENTS[tensor.elem_type])

        @property
        def num_io_tensors(self) -> int:
            return len(self._tensors)

        def get_tensor_name(self, index: int) -> str:
            return list(self._tensors)[index]

        def get_tensor_mode(self, name: str) -> Any:
            return self._trt.TensorIOMode[self._tensors[name][0]]

        def get_tensor_dtype(self, name: str) -> Any:
            return self._trt.DataType[self._tensors[name][2]]

        def get_tensor_profile_shape(self, name: str, profile_index: int) -> Any:
            assert profile_index == 0
            return [tuple(shape) for shape in self._limits[name]]

        def create_execution_context(self) -> Any:
            return self._trt.IExecutionContext(self)

    class Runtime:
        _trt: Any

        def __init__(self, logger: Any) -> None:
            self._logger = logger

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
            if not serialized_engine.startswith(MAGIC):
                error = self._trt.ILogger.Severity.ERROR
                self._logger.log(error, "Serialization assertion magicTag failed")
                return None
            return self._trt.ICudaEngine(serialized_engine)

    return {cls.__name__: cls for cls in (IExecutionContext, ICudaEngine, Runtime)}
