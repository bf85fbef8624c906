"""Another model while nvinfer runs: what a new configuration or engine may change, and when.

Follows gstnvinfer_impl.cpp: a thread loads and checks, the streaming thread takes the new model
before its next batch, and both outcomes are told by the signal model-updated.
"""

import dataclasses
import functools
import logging
import threading
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

from plugins.standin.nvinfer.config import (
    GROUP_RECTANGLES,
    InferConfig,
    load_config,
    with_substitute,
)
from plugins.standin.nvinfer.inference import Inference
from plugins.standin.nvinfer.worker import Worker
from ropewatch.errors import ModelError

log = logging.getLogger("ropewatch.standin.nvinfer")

# What belongs to the model; everything else belongs to the element and stays.
_FROM_FILE = (
    "onnx_file",
    "model_engine_file",
    "infer_dims",
    "network_input_order",
    "output_blob_names",
    "parse_classifier_func_name",
    "model_color_format",
    "net_scale_factor",
    "offsets",
    "mean_file",
    "cluster_mode",
)
_KEPT_IF_MISSING = ("labelfile_path", "custom_lib_path", "parse_bbox_func_name")
_SUFFIXES = (".txt", ".yml", ".yaml")


class Status(IntEnum):
    """The first argument of model-updated: NvDsInferStatus."""

    SUCCESS = 0
    CONFIG_FAILED = 1
    UNKNOWN_ERROR = 10


Notify = Callable[[Status, str, str], None]


def config_of_engine(old: InferConfig, engine: Path) -> InferConfig:
    """Return what model-engine-file, set while running, changes.

    As in nvinfer, only colours, scale, offsets and mean come along from the old model's keys:
    infer-dims, the input order and a classifier's parser are forgotten, and cluster-mode becomes
    0, which NVIDIA's builds replace by NMS with topk 20 and IoU 0.5.
    """
    return with_substitute(
        dataclasses.replace(
            old,
            model_engine_file=engine.absolute(),
            onnx_file=None,
            infer_dims=None,
            network_input_order=0,
            output_blob_names=(),
            parse_classifier_func_name=None,
            cluster_mode=GROUP_RECTANGLES,
        )
    )


def config_of_file(old: InferConfig, path: Path) -> InferConfig:
    """Return what config-file-path, set while running, changes.

    Classes and their thresholds, batch size, ids, filters and padding stay those of the old file.

    Raises:
        ModelError: the file cannot be read, or nvinfer would not read it.
    """
    if path.suffix not in _SUFFIXES:
        raise ModelError(
            f"{path}: nvinfer reads no such file while it runs, want a name that ends in "
            f"{', '.join(_SUFFIXES)}; rename it"
        )
    new = load_config(path, {"unique-id": old.gie_unique_id, "batch-size": old.batch_size})
    changes = {name: getattr(new, name) for name in _FROM_FILE}
    changes |= {name: getattr(new, name) or getattr(old, name) for name in _KEPT_IF_MISSING}
    return with_substitute(dataclasses.replace(old, path=path, **changes))


class ModelUpdates:
    """Loads new models beside the one in use; one at a time waits to be taken."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._loader = Worker("nvinfer-model-load")
        self._lock = threading.Lock()
        self._ready: tuple[Inference, str] | None = None

    def request(self, path: str, current: Inference, *, engine: bool) -> None:
        """Load a model in the background; an empty path asks for nothing."""
        if path:
            self._loader.put(functools.partial(self._load, path, current, engine=engine))

    def take(self) -> tuple[Inference, str] | None:
        """Return a new model and the path that it was asked for by, once."""
        with self._lock:
            ready, self._ready = self._ready, None
            return ready

    def stop(self) -> None:
        """End the thread."""
        self._loader.stop()

    def _load(self, path: str, current: Inference, *, engine: bool) -> None:
        with self._lock:
            waiting = self._ready is not None
        if waiting:
            reason = "Trying to update model too frequently"
            self._notify(Status.UNKNOWN_ERROR, path, reason)
            return
        make = config_of_engine if engine else config_of_file
        step = "Initialization of new model params failed"
        try:
            config = make(current.config, Path(path))
            step = "Creation new model context failed"
            inference = Inference(config)
        except Exception as error:
            if not isinstance(error, ModelError):
                log.exception("new model failed path=%s", path)
            self._notify(Status.CONFIG_FAILED, path, f"{step}: {error}")
            return
        old, new = current.session.input, inference.session.input
        if (old.width, old.height) != (new.width, new.height):
            reason = (
                f"New model's settings doesn't match current model: its input is "
                f"{new.width}x{new.height}, want {old.width}x{old.height}"
            )
            self._notify(Status.CONFIG_FAILED, path, reason)
            return
        with self._lock:
            self._ready = (inference, path)
