"""Calls a classifier's parser in a custom library, and finishes its answer as nvinfer does."""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin.nvinfer.classify import Attribute, Verdict
from plugins.standin.nvinfer.config import InferConfig
from plugins.standin.nvinfer.labels import Labels
from plugins.standin.nvinfer.outputs import OutputLayer
from plugins.standin.nvinfer.parser_abi import (
    Layers,
    String,
    Vector,
    find_function,
    free,
    load_library,
)
from plugins.standin.nvinfer.preprocess import NetworkInput

# NvDsInferAttribute; `label` is what strdup gave, or null.
_ATTRIBUTE = np.dtype(
    [("index", "<u4"), ("value", "<u4"), ("confidence", "<f4"), ("pad", "<u4"), ("label", "<u8")]
)


class CustomClassifier:
    """One parse function with the structures that it reads; call it from one thread at a time."""

    def __init__(
        self, config: InferConfig, network: NetworkInput, outputs: tuple[OutputLayer, ...]
    ) -> None:
        """Load the library.

        Raises:
            ModelError: library or function is missing.
        """
        assert config.parse_classifier_func_name is not None
        self._call = find_function(
            load_library(config),
            config,
            key="parse-classifier-func-name",
            name=config.parse_classifier_func_name,
        )
        self._call.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_float] + [ctypes.c_void_p] * 2
        self._layers = Layers(network, outputs)
        self._threshold = config.classifier_threshold

    def __call__(self, arrays: tuple[npt.NDArray[Any], ...], labels: Labels) -> Verdict | None:
        """Parse one frame's or object's outputs.

        Args:
            arrays: one C-contiguous array an output, without the batch.
            labels: the labels file, for attributes that the parser leaves without one. Those it
                labels itself it has to describe itself, too: nvinfer adds nothing to the text.

        Returns:
            The verdict, or None when the parser returned false; nvinfer then goes on with a
            result that nobody wrote.
        """
        self._layers.point_at(arrays)
        found, text = Vector(), String.make()
        try:
            good = self._call(
                ctypes.byref(self._layers.vector),
                ctypes.byref(self._layers.network),
                self._threshold,
                ctypes.byref(found),
                ctypes.byref(text),
            )
            return _verdict(found.read(), text.read(), labels) if good else None
        finally:
            found.release()
            text.release()


def _verdict(raw: bytes, text: str, labels: Labels) -> Verdict:
    attributes = []
    for index, value, confidence, _, address in np.frombuffer(raw, _ATTRIBUTE).tolist():
        label = None
        if address:
            label = ctypes.string_at(address).decode("utf-8", "replace")
            free(address)
        elif index < len(labels) and value < len(labels[index]):
            label = labels[index][value]
            text += f"{label} "
        attributes.append(Attribute(index, value, confidence, label))
    return Verdict(tuple(attributes), text)
