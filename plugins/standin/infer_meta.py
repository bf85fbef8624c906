"""What nvinfer leaves for those who decode tensors themselves: NvDsInfer* as pyds shows them."""

import ctypes
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin.structs import Field, Float32, Int, Nested, Struct, uint

_MAX_DIMS = 8


__all__ = [
    "NvDsInferAttribute",
    "NvDsInferDataType",
    "NvDsInferDims",
    "NvDsInferDimsCHW",
    "NvDsInferLayerInfo",
    "NvDsInferNetworkInfo",
    "NvDsInferObjectDetectionInfo",
    "NvDsInferSegmentationMeta",
    "NvDsInferTensorMeta",
]


class NvDsInferDataType(IntEnum):
    """Element type of a layer, as far as pyds 1.2.0 has names for them."""

    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3


# All that a layer's dataType may be; the last two are bare numbers in pyds.
_DATA_TYPES = {"float32": 0, "float16": 1, "int8": 2, "int32": 3, "int64": 4, "uint8": 5}


class NvDsInferDims(Struct):
    """A shape without the batch: d holds numDims sizes."""

    __slots__ = ()
    numDims = uint()  # noqa: N815  NVIDIA's name
    d: Nested[list[int]] = Nested(lambda: [0] * _MAX_DIMS)
    numElements = uint()  # noqa: N815  NVIDIA's name


class NvDsInferDimsCHW(Struct):
    """A picture's shape."""

    __slots__ = ()
    c = uint()
    h = uint()
    w = uint()


class NvDsInferNetworkInfo(Struct):
    """A network's input size."""

    __slots__ = ()
    width = uint()
    height = uint()
    channels = uint()


class NvDsInferLayerInfo(Struct):
    """One output: its name, shape, type and, from get_nvds_LayerInfo only, its host address."""

    __slots__ = ()
    dataType = Int()  # noqa: N815  NVIDIA's name
    inferDims = Nested(NvDsInferDims)  # noqa: N815  NVIDIA's name
    bindingIndex = Int()  # noqa: N815  NVIDIA's name
    layerName: Field[str] = Field("")  # noqa: N815  NVIDIA's name
    buffer: Field[Any] = Field(None)
    isInput = Int()  # noqa: N815  NVIDIA's name

    @property
    def dims(self) -> NvDsInferDims:
        """The older name of inferDims."""
        return self.inferDims

    @classmethod
    def of(cls, name: str, array: npt.NDArray[Any], index: int) -> "NvDsInferLayerInfo":
        """Describe an output; `array` has no batch dimension."""
        layer = cls()
        layer.dataType = _DATA_TYPES[array.dtype.name]
        layer.inferDims.numDims = array.ndim
        layer.inferDims.d = list(array.shape) + [0] * (_MAX_DIMS - array.ndim)
        layer.inferDims.numElements = array.size
        layer.bindingIndex = index
        layer.layerName = name
        return layer


class NvDsInferTensorMeta(Struct):
    """A network's outputs for one frame or one object.

    Copies share the arrays, as copies on the device share nvinfer's output buffers.
    """

    __slots__ = ()
    unique_id = uint()
    gpu_id = Int()
    network_info = Nested(NvDsInferNetworkInfo)
    priv_data: Field[Any] = Field(None)
    layers: Field[list[NvDsInferLayerInfo]] = Field(None)
    arrays: Field[list[npt.NDArray[Any]]] = Field(None)

    @classmethod
    def of(
        cls, outputs: dict[str, npt.NDArray[Any]], *, unique_id: int, network_wh: tuple[int, int]
    ) -> "NvDsInferTensorMeta":
        """Make the meta of one frame or object; the arrays have no batch dimension."""
        meta = cls()
        meta.unique_id = unique_id
        meta.network_info.width, meta.network_info.height = network_wh
        meta.network_info.channels = 3
        meta.arrays = [np.ascontiguousarray(array) for array in outputs.values()]
        meta.layers = [
            NvDsInferLayerInfo.of(name, array, index)
            for index, (name, array) in enumerate(zip(outputs, meta.arrays, strict=True))
        ]
        return meta

    @property
    def num_output_layers(self) -> int:
        """How many outputs there are."""
        return len(self.layers or ())

    @property
    def out_buf_ptrs_host(self) -> list[int]:
        """Host address of each output."""
        return [array.ctypes.data for array in self.arrays or ()]

    def output_layers_info(self, index: int) -> NvDsInferLayerInfo:
        """Describe an output, without a usable buffer, as in pyds; see get_nvds_LayerInfo."""
        layer = self.layers[index].copy()
        layer.buffer = None
        return layer

    def layer_with_buffer(self, index: int) -> NvDsInferLayerInfo:
        """Describe an output with its host address, valid as long as this meta."""
        layer = self.layers[index]
        if layer.buffer is None:
            layer.buffer = Pointer(self.arrays[index].ctypes.data)
        return layer


class Pointer:
    """A void*: pyds.get_ptr() gives its address."""

    __slots__ = ("address",)

    def __init__(self, address: int) -> None:
        self.address = address


class NvDsInferObjectDetectionInfo(Struct):
    """A detection of a Python parser, in network pixels."""

    __slots__ = ()
    classId = uint()  # noqa: N815  NVIDIA's name
    left = Float32()
    top = Float32()
    width = Float32()
    height = Float32()
    detectionConfidence = Float32()  # noqa: N815  NVIDIA's name


class NvDsInferAttribute(Struct):
    """What a classifier says of one attribute."""

    __slots__ = ()
    attributeIndex = uint()  # noqa: N815  NVIDIA's name
    attributeValue = uint()  # noqa: N815  NVIDIA's name
    attributeConfidence = Float32()  # noqa: N815  NVIDIA's name
    attributeLabel: Field[str | None] = Field(None)  # noqa: N815  NVIDIA's name

    @property
    def atttributeIndex(self) -> int:  # noqa: N802  NVIDIA's name
        """The misspelt name of attributeIndex, which pyds has as well."""
        return self.attributeIndex


class NvDsInferSegmentationMeta(Struct):
    """The classes of a picture's pixels; pyds.get_segmentation_masks() reads class_map.

    class_map is (height, width) int32, class_probabilities_map (classes, height, width) float32.
    Read directly, pyds shows only the first value of either.
    """

    __slots__ = ()
    classes = uint()
    width = uint()
    height = uint()
    class_map: Field[Any] = Field(None)
    class_probabilities_map: Field[Any] = Field(None)
    priv_data: Field[Any] = Field(None)


def address_of(pointer: Any) -> int:
    """Return the address of a layer's buffer (pyds.get_ptr)."""
    if isinstance(pointer, Pointer):
        return pointer.address
    if isinstance(pointer, int):
        return pointer
    raise TypeError(
        f"pyds.get_ptr: {pointer!r} is {type(pointer).__name__}, want the buffer of a layer from "
        f"pyds.get_nvds_LayerInfo"
    )


def float_at(pointer: Any, index: int) -> float:
    """Read one float32 of a layer (pyds.get_detections)."""
    values = ctypes.cast(address_of(pointer), ctypes.POINTER(ctypes.c_float))
    return float(values[index])
