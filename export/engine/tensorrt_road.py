"""TensorRT's Python API, as releases 10.3, 10.16 and 11.1 have it in common.

Read from the bindings in NVIDIA/TensorRT, python/src at v10.3.0, v10.16 and v11.1; the tests hold
every call here against the names of each. Nothing here ran in TensorRT so far.
"""

import hashlib
import logging
from collections.abc import Callable
from typing import Any, Final

from export.engine.recipes import Rung, is_always_typed
from export.engine.roads import BuildError, Order
from ropewatch.engine_manifest import Machine
from ropewatch.errors import ModelError
from ropewatch.files import replace_file

_log = logging.getLogger("ropewatch.engine")
# What a person reads of a log of hundreds of lines.
_MOST_LINES: Final = 3
# Half precision loses what these sum up; they stay in fp32 under the FP16 flag.
KEPT_FP32: Final = ("NORMALIZATION", "SOFTMAX")


class TensorRtRoad:
    """Builds in this process.

    Args:
        trt: the module `tensorrt`.
        machine: of the same release.
        monitor: makes the progress monitor of one build out of `trt.IProgressMonitor`.
    """

    name: Final = "python"

    def __init__(
        self, trt: Any, machine: Machine, *, monitor: "Callable[[Any], Any] | None" = None
    ) -> None:
        self._trt = trt
        self._always_typed = is_always_typed(machine.tensorrt_release)
        self._monitor = monitor

    def flags(self, rung: Rung) -> tuple[str, ...]:
        """Return what differs from TensorRT's defaults."""
        flags = ["TF32 off"] if rung.precision == "fp32" else []
        if rung.typed or self._always_typed:
            flags.append("strongly typed")
        if rung.fp16:
            flags += ["FP16", "OBEY_PRECISION_CONSTRAINTS"]
            flags += [f"{kind} in FP32" for kind in KEPT_FP32]
        return tuple(flags)

    def build(self, order: Order) -> None:
        """Write the engine; see Road.

        Raises:
            BuildError: TensorRT did not make one.
            KeyboardInterrupt: the operator stopped it.
        """
        log = make_log(self._trt)
        builder = self._trt.Builder(log)
        network = builder.create_network(self._creation_flags(order.rung))
        parser = self._trt.OnnxParser(network, log)
        _parse(parser, order)
        self._check_interface(network, order)
        config = self._configure(builder, network, order)
        monitor = self._monitor(self._trt) if self._monitor is not None else None
        if monitor is not None:
            config.progress_monitor = monitor
        plan = builder.build_serialized_network(network, config)
        if monitor is not None and monitor.stopped:
            raise KeyboardInterrupt
        if plan is None:
            raise BuildError(
                f"{order.source.path}: TensorRT {self._trt.__version__} built no engine by "
                f"{order.rung.name}, want one; it says: {log.summary()}"
            )
        replace_file(order.engine, bytes(plan))
        self._keep_timings(config, order)

    def _creation_flags(self, rung: Rung) -> int:
        # TensorRT 11 has the flag still, deprecated: every network is strongly typed there.
        if not rung.typed or self._always_typed:
            return 0
        return 1 << int(self._trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)

    def _check_interface(self, network: Any, order: Order) -> None:
        """Nvinfer fills float inputs only, and our readers take float outputs (facts 3.6)."""
        tensors = [network.get_input(place) for place in range(network.num_inputs)]
        tensors += [network.get_output(place) for place in range(network.num_outputs)]
        for tensor in tensors:
            if tensor.dtype != self._trt.DataType.FLOAT:
                raise BuildError(
                    f"{order.source.path}: {tensor.name} is {tensor.dtype}, want FP32 inputs and "
                    f"outputs as nvinfer does; export the model again"
                )

    def _configure(self, builder: Any, network: Any, order: Order) -> Any:
        trt, rung = self._trt, order.rung
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, order.workspace_bytes)
        if rung.precision == "fp32":
            # On by default since Ampere; it keeps 10 bits of the mantissa.
            config.clear_flag(trt.BuilderFlag.TF32)
        if rung.fp16:
            config.set_flag(trt.BuilderFlag.FP16)
            config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
            self._hold_fp32(network)
        self._add_profile(builder, config, network, order)
        self._load_timings(config, order)
        return config

    def _hold_fp32(self, network: Any) -> None:
        kinds = {self._trt.LayerType.__members__[name] for name in KEPT_FP32}
        for place in range(network.num_layers):
            layer = network.get_layer(place)
            if layer.type in kinds:
                layer.precision = self._trt.DataType.FLOAT
                for output in range(layer.num_outputs):
                    layer.set_output_type(output, self._trt.DataType.FLOAT)

    def _add_profile(self, builder: Any, config: Any, network: Any, order: Order) -> None:
        inputs = [network.get_input(place) for place in range(network.num_inputs)]
        open_inputs = [tensor.name for tensor in inputs if -1 in tuple(tensor.shape)]
        if not open_inputs:
            return
        profile = builder.create_optimization_profile()
        for name in open_inputs:
            shape = order.shapes[name]
            profile.set_shape(name, shape.min, shape.opt, shape.max)
        if config.add_optimization_profile(profile) < 0:
            raise BuildError(
                f"{order.source.path}: TensorRT refuses the shapes {dict(order.shapes)}, want "
                f"what the ONNX takes; choose another --max-batch"
            )

    def _load_timings(self, config: Any, order: Order) -> None:
        try:
            content = order.timing_cache.read_bytes()
        except OSError:
            content = b""
        cache = config.create_timing_cache(content)
        # None: written by another release, or damaged. Timings are measured anew then.
        cache = cache if cache is not None else config.create_timing_cache(b"")
        if not config.set_timing_cache(cache, False):
            config.set_timing_cache(config.create_timing_cache(b""), False)

    def _keep_timings(self, config: Any, order: Order) -> None:
        cache = config.get_timing_cache()
        if cache is None:
            return
        try:
            replace_file(order.timing_cache, bytes(cache.serialize()))
        except OSError as error:
            _log.warning("timing cache not kept: file=%s reason=%s", order.timing_cache, error)


def _parse(parser: Any, order: Order) -> None:
    content = order.source.path.read_bytes()
    # What is parsed is what the manifest describes, whatever happened since it was compared.
    if hashlib.sha256(content).hexdigest() != order.source.manifest.onnx.sha256:
        raise ModelError(
            f"{order.source.path}: changed while it was built, want it as its manifest says; "
            f"start again"
        )
    if parser.parse(content):
        return
    errors = [parser.get_error(place) for place in range(parser.num_errors)]
    told = "; ".join(f"{error.node_name()} {error.desc()}".strip() for error in errors)
    raise BuildError(
        f"{order.source.path}: TensorRT's parser says: {told}, want operators that it takes; "
        f"export the model again"
    )


def make_log(trt: Any) -> Any:
    """Make a `trt.ILogger` that writes to our log; `summary()` tells the last errors."""
    levels = {
        trt.ILogger.INTERNAL_ERROR: logging.ERROR,
        trt.ILogger.ERROR: logging.ERROR,
        trt.ILogger.WARNING: logging.WARNING,
        trt.ILogger.INFO: logging.DEBUG,
    }

    class Log(trt.ILogger):
        """TensorRT's log into ours; remembers the errors. TensorRT calls it from its threads."""

        def __init__(self) -> None:
            # pybind11 wants its own constructor called, not super()'s.
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            level = levels.get(severity)
            if level is None:
                return
            if level == logging.ERROR:
                self.errors.append(msg)
            _log.log(level, "tensorrt: %s", msg)

        def summary(self) -> str:
            return " | ".join(self.errors[-_MOST_LINES:]) or "nothing"

    return Log()
