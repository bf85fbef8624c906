"""Runs an ONNX model where nvinfer runs the engine that was built from it."""

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin.nvinfer.config import InferConfig
from plugins.standin.nvinfer.outputs import DATA_TYPES, OutputLayer
from plugins.standin.nvinfer.preprocess import GRAY, NetworkInput
from ropewatch.errors import ModelError
from ropewatch.manifest import onnx_of_engine

log = logging.getLogger("ropewatch.standin.nvinfer")

Floats = npt.NDArray[np.float32]

THREADS_VARIABLE = "ROPEWATCH_ORT_THREADS"


class Session:
    """A loaded model: its input, its outputs and run()."""

    def __init__(self, config: InferConfig) -> None:
        """Find, load and try the model.

        Raises:
            ModelError: there is no model, it cannot be loaded, or its input is not the one that
                the configuration describes.
        """
        self.onnx = find_model(config)
        self._session = _load(self.onnx)
        self.input = _describe_input(config, self.onnx, self._session)
        batch = self._session.get_inputs()[0].shape[0]
        self._fixed_batch = batch if isinstance(batch, int) else None
        if self._fixed_batch is not None and self._fixed_batch < config.batch_size:
            raise ModelError(
                f"{config.path}: batch-size: {config.batch_size}, want at most "
                f"{self._fixed_batch}, the fixed batch of {self.onnx}; lower batch-size, or "
                f"export the model with a dynamic batch"
            )
        self.outputs = self._try()

    def _try(self) -> tuple[OutputLayer, ...]:
        """Run once on zeros: this tells the shapes, and the first frame is not the slow one."""
        arrays = self.run(np.zeros((1, *self.input.shape), np.float32))
        layers = []
        for index, (info, array) in enumerate(
            zip(self._session.get_outputs(), arrays, strict=True), start=1
        ):
            if array.dtype.name not in DATA_TYPES or not array.ndim or len(array) != 1:
                raise ModelError(
                    f"{self.onnx}: output {info.name} is {array.dtype.name} {array.shape}, want "
                    f"the batch first and one of {', '.join(DATA_TYPES)}; export it again"
                )
            layers.append(OutputLayer(info.name, array.shape[1:], array.dtype.name, index))
        return tuple(layers)

    def run(self, batch: Floats) -> tuple[npt.NDArray[Any], ...]:
        """Infer.

        Args:
            batch: (N, ...) float32 in the network's order, N at least 1 and at most batch-size.

        Returns:
            One contiguous array an output, (N, ...). They are new at each call.
        """
        count = len(batch)
        if self._fixed_batch is not None and count < self._fixed_batch:
            padded = np.zeros((self._fixed_batch, *batch.shape[1:]), np.float32)
            padded[:count] = batch
            batch = padded
        results = self._session.run(None, {self.input.name: batch})
        return tuple(np.ascontiguousarray(array[:count]) for array in results)


def find_model(config: InferConfig) -> Path:
    """Return the ONNX that the engine comes from, else onnx-file, in nvinfer's order.

    Raises:
        ModelError: neither leads to a file.
    """
    if config.model_engine_file is not None:
        try:
            return onnx_of_engine(config.model_engine_file)
        except ModelError as error:
            # nvinfer answers an engine that it cannot use by building from onnx-file.
            if config.onnx_file is None:
                raise ModelError(f"{config.path}: model-engine-file: {error}") from error
            log.warning("onnx-file is taken instead of model-engine-file: %s", error)
    if config.onnx_file is None:
        raise ModelError(
            f"{config.path}: neither model-engine-file nor onnx-file is set, want an engine "
            f"whose ONNX lies beside it, or an ONNX; set model-engine-file"
        )
    if not config.onnx_file.is_file():
        raise ModelError(
            f"{config.path}: onnx-file: {config.onnx_file}: no such file, want an ONNX model; "
            f"correct the path"
        )
    return config.onnx_file


def _load(onnx: Path) -> Any:
    # Read once, at import: without it the wheel leaves a device id in the home folder and
    # reports to its maker (ONNX Runtime 1.31 on Linux).
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # noqa: PLC0415 - after that setting

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads take the cores that decoding needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(
            f"{onnx}: {str(error).splitlines()[0]}, want an ONNX model that ONNX Runtime "
            f"{onnxruntime.__version__} can load; export it again"
        ) from error


def _threads() -> int:
    text = os.environ.get(THREADS_VARIABLE, "")
    if not text:
        return max(1, len(os.sched_getaffinity(0)) - 1)
    if not text.isdigit() or not int(text):
        raise ModelError(f"{THREADS_VARIABLE}: {text}, want a number of 1 or more; correct it")
    return int(text)


def _describe_input(config: InferConfig, onnx: Path, session: Any) -> NetworkInput:
    inputs = session.get_inputs()
    names = ", ".join(item.name for item in inputs)
    if len(inputs) != 1:
        raise ModelError(
            f"{onnx}: {len(inputs)} inputs ({names}), want one image input; others are for "
            f"nvinfer's NvDsInferInitializeInputLayers, which the CPU stand-in does not have"
        )
    if inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
        raise ModelError(
            f"{onnx}: input {names} is {inputs[0].type} {inputs[0].shape}, want float32 with 4 "
            f"dimensions, as nvinfer does; export it again"
        )
    dims = inputs[0].shape[1:]
    if config.network_input_order:
        dims = [dims[2], dims[0], dims[1]]
    wanted = config.infer_dims
    if wanted is None and any(not isinstance(size, int) for size in dims):
        raise ModelError(
            f"{config.path}: infer-dims is not set and the input of {onnx} is {inputs[0].shape}, "
            f"want c;h;w as numbers; set infer-dims"
        )
    for size, want in zip(dims, wanted or dims, strict=True):
        if isinstance(size, int) and size != want:
            raise ModelError(
                f"{config.path}: infer-dims: {';'.join(map(str, wanted or ()))}, want "
                f"{';'.join(map(str, dims))} as the input of {onnx}; correct infer-dims, or "
                f"export the model at that size"
            )
    channels, height, width = wanted or dims
    needed = 1 if config.model_color_format == GRAY else 3
    if channels != needed:
        raise ModelError(
            f"{config.path}: model-color-format: {config.model_color_format} needs {needed} "
            f"channels, and the input of {onnx} has {channels}; correct model-color-format"
        )
    return NetworkInput(
        inputs[0].name, width, height, channels, nhwc=bool(config.network_input_order)
    )
