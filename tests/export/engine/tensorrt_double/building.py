"""What stands behind the names when an engine is built: TensorRT's rules that we meet."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import onnx

MAGIC = b"engine of the double\n"
# Layers that onnx-tensorrt makes of these operators; the rest may be anything else.
LAYERS = {"LayerNormalization": "NORMALIZATION", "Softmax": "SOFTMAX", "Shape": "SHAPE"}
ELEMENTS = {1: "FLOAT", 6: "INT32", 7: "INT64", 10: "HALF"}


class ILogger:
    """Base of loggers; the builder calls `log`."""

    _trt: Any
    Severity: Any

    def log(self, severity: Any, msg: str) -> None:
        raise RuntimeError('Tried to call pure virtual function "ILogger::log"')


class IProgressMonitor:
    """Base of monitors."""

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        raise RuntimeError("pure virtual")

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise RuntimeError("pure virtual")

    def phase_finish(self, phase_name: str) -> None:
        raise RuntimeError("pure virtual")


class IHostMemory(bytes):
    """A buffer; bytes are one in every Python."""

    @property
    def nbytes(self) -> int:
        return len(self)


class ITensor:
    """An input, an output or what lies between."""

    _trt: Any

    def __init__(self, name: str, shape: Sequence[int], element: str) -> None:
        self._name, self._shape, self._element = name, tuple(shape), element

    @property
    def name(self) -> str:
        return self._name

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def dtype(self) -> Any:
        return self._trt.DataType[self._element]


class ILayer:
    """A layer with its precision, where the release lets one set it."""

    _trt: Any

    def __init__(self, name: str, kind: str) -> None:
        self._name, self._kind = name, kind
        self._precision: Any = None
        self._output_types: dict[int, Any] = {}

    @property
    def name(self) -> str:
        return self._name

    @property
    def type(self) -> Any:
        return self._trt.LayerType[self._kind]

    @property
    def num_outputs(self) -> int:
        return 1

    @property
    def precision(self) -> Any:
        return self._precision

    @precision.setter
    def precision(self, value: Any) -> None:
        self._precision = value

    def set_output_type(self, index: int, dtype: Any) -> None:
        self._output_types[index] = dtype


class INetworkDefinition:
    """What the parser fills."""

    def __init__(self, flags: int) -> None:
        self._flags = flags
        self._layers: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._onnx = b""

    @property
    def num_layers(self) -> int:
        return len(self._layers)

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    def get_layer(self, index: int) -> Any:
        return self._layers[index]

    def get_input(self, index: int) -> Any:
        return self._inputs[index]

    def get_output(self, index: int) -> Any:
        return self._outputs[index]


class ParserError:
    """Why the parser stopped."""

    def __init__(self, text: str) -> None:
        self._text = text

    def desc(self) -> str:
        return self._text

    def node_name(self) -> str:
        return ""


class OnnxParser:
    """Reads with onnx; a custom domain stands for an operator that TensorRT does not take."""

    _trt: Any

    def __init__(self, network: Any, logger: Any) -> None:
        self._network = network
        self._errors: list[Any] = []

    def parse(self, model: bytes, path: str | None = None) -> bool:
        try:
            graph = onnx.load_from_string(bytes(model)).graph
        except Exception as error:
            self._errors.append(self._trt.ParserError(f"no ONNX: {error}"))
            return False
        for node in graph.node:
            if node.domain:
                self._errors.append(self._trt.ParserError(f"no importer for {node.op_type}"))
                return False
            kind = LAYERS.get(node.op_type, "ELEMENTWISE")
            self._network._layers.append(self._trt.ILayer(node.name, kind))
        for goal, values in (
            (self._network._inputs, graph.input),
            (self._network._outputs, graph.output),
        ):
            for value in values:
                tensor = value.type.tensor_type
                shape = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
                element = ELEMENTS[tensor.elem_type]
                goal.append(self._trt.ITensor(value.name, shape, element))
        self._network._onnx = bytes(model)
        return True

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index]


class IOptimizationProfile:
    """Shapes by input."""

    def __init__(self) -> None:
        self._shapes: dict[str, Any] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002 (theirs)
        self._shapes[input] = [list(min), list(opt), list(max)]


class ITimingCache:
    """Counts the builds that it has seen."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def serialize(self) -> Any:
        return IHostMemory(self._content + b"+")


class IBuilderConfig:
    """Flags and limits."""

    _trt: Any

    def __init__(self) -> None:
        # TF32 is on unless it is cleared, as in TensorRT.
        self._flags = {self._trt.BuilderFlag.TF32}
        self._pools: dict[Any, int] = {}
        self._profiles: list[Any] = []
        self._cache: Any = None
        self._monitor: Any = None

    def set_flag(self, flag: Any) -> None:
        assert flag in self._trt.BuilderFlag
        self._flags.add(flag)

    def clear_flag(self, flag: Any) -> None:
        self._flags.discard(flag)

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        self._pools[pool] = pool_size

    def add_optimization_profile(self, profile: Any) -> int:
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
        content = bytes(serialized_timing_cache)
        return None if content.startswith(b"broken") else self._trt.ITimingCache(content)

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self._cache = cache
        return True

    def get_timing_cache(self) -> Any:
        return self._cache

    @property
    def progress_monitor(self) -> Any:
        return self._monitor

    @progress_monitor.setter
    def progress_monitor(self, value: Any) -> None:
        self._monitor = value


class Builder:
    """Makes an "engine" of a network, or refuses as TensorRT does: None, and an error logged."""

    _trt: Any

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def create_network(self, flags: int = 0) -> Any:
        return self._trt.INetworkDefinition(flags)

    def create_builder_config(self) -> Any:
        return self._trt.IBuilderConfig()

    def create_optimization_profile(self) -> Any:
        return self._trt.IOptimizationProfile()

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        for complaint in self._complaints(network, config):
            self._logger.log(self._trt.ILogger.Severity.ERROR, complaint)
            return None
        if config._monitor is not None and not _report(config._monitor):
            return None
        note = {
            "tensorrt": self._trt.__version__,
            "onnx_sha256": hashlib.sha256(network._onnx).hexdigest(),
            "strongly_typed": self._is_strongly_typed(network),
            "flags": sorted(flag.name for flag in config._flags),
            "workspace_bytes": config._pools.get(self._trt.MemoryPoolType.WORKSPACE),
            "profiles": [profile._shapes for profile in config._profiles],
            "precisions": {
                layer._name: layer._precision.name
                for layer in network._layers
                if layer._precision is not None
            },
        }
        return IHostMemory(MAGIC + json.dumps(note).encode() + b"\n" + network._onnx)

    def _is_strongly_typed(self, network: Any) -> bool:
        flag = self._trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return int(self._trt.__version__.split(".")[0]) >= 11 or bool(network._flags >> flag & 1)

    def _complaints(self, network: Any, config: Any) -> Iterator[str]:
        dynamic = {tensor._name for tensor in network._inputs if -1 in tensor._shape}
        shaped = {name for profile in config._profiles for name in profile._shapes}
        if dynamic - shaped:
            yield f"Network has dynamic inputs, no optimization profile: {dynamic - shaped}"
        precise = {"FP16", "INT8", "BF16"} & {flag.name for flag in config._flags}
        if self._is_strongly_typed(network):
            if precise:
                yield f"{precise} are not supported with strongly typed networks"
            if any(layer._precision is not None for layer in network._layers):
                yield "layer precision is not supported with strongly typed networks"


def _report(monitor: Any) -> bool:
    monitor.phase_start("Building Engine", None, 2)
    monitor.phase_start("Tactic selection", "Building Engine", 3)
    goes_on = all(monitor.step_complete("Tactic selection", step) for step in range(3))
    monitor.phase_finish("Tactic selection")
    goes_on = goes_on and all(monitor.step_complete("Building Engine", step) for step in range(2))
    monitor.phase_finish("Building Engine")
    return goes_on


def note_of(engine: bytes) -> dict[str, Any]:
    """How an engine of the double was built."""
    assert engine.startswith(MAGIC)
    note: dict[str, Any] = json.loads(engine[len(MAGIC) :].split(b"\n", 1)[0])
    return note


def onnx_of(engine: bytes) -> bytes:
    """The ONNX that an engine of the double is."""
    return engine[len(MAGIC) :].split(b"\n", 1)[1]


BUILDING = {
    cls.__name__: cls
    for cls in (
        *(ILogger, IProgressMonitor, IHostMemory, ITensor, ILayer, INetworkDefinition),
        *(ParserError, OnnxParser, IOptimizationProfile, ITimingCache, IBuilderConfig, Builder),
    )
}
