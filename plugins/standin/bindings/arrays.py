"""pyds: tensors, masks, flow vectors and frames as numbers and numpy arrays."""

from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin import buffer_meta
from plugins.standin.analytics_meta import NvDsOpticalFlowMeta
from plugins.standin.infer_meta import (
    NvDsInferLayerInfo,
    NvDsInferSegmentationMeta,
    NvDsInferTensorMeta,
    Pointer,
    address_of,
    float_at,
)

__all__ = [
    "get_detections",
    "get_nvds_LayerInfo",
    "get_nvds_buf_surface",
    "get_nvds_buf_surface_gpu",
    "get_optical_flow_vectors",
    "get_ptr",
    "get_segmentation_masks",
    "unmap_nvds_buf_surface",
]


def get_nvds_LayerInfo(  # noqa: N802  NVIDIA's name
    meta: NvDsInferTensorMeta, index: int
) -> NvDsInferLayerInfo:
    """Describe an output with the host address of its values, valid as long as the meta."""
    return meta.layer_with_buffer(index)


def get_ptr(ptr: Pointer | int) -> int:
    """Return the address of a layer's buffer."""
    return address_of(ptr)


def get_detections(ptr: Pointer | int, index: int) -> float:
    """Read one float32 of a layer's buffer."""
    return float_at(ptr, index)


def get_segmentation_masks(data: NvDsInferSegmentationMeta) -> npt.NDArray[np.int32]:
    """Copy the class of each pixel, (height, width) int32, -1 where none."""
    return np.array(data.class_map, np.int32).reshape(data.height, data.width)


def get_optical_flow_vectors(data: NvDsOpticalFlowMeta) -> npt.NDArray[np.float32]:
    """Copy the vectors block by block, (rows * cols * 2) float32: across and down in turn."""
    vectors = np.array(data.data, np.float32).reshape(-1)
    if vectors.size != data.rows * data.cols * 2:
        raise ValueError(
            f"NvDsOpticalFlowMeta.data: {vectors.size} values, want rows x cols x 2 = "
            f"{data.rows * data.cols * 2}"
        )
    return vectors


def get_nvds_buf_surface(gst_buffer: int, batch_id: int) -> npt.NDArray[np.uint8]:
    """Return a frame's own pixels, (H, W, 4) uint8; what is painted there is seen downstream.

    Raises:
        RuntimeError: the frames are not RGBA, or there is no such frame.
    """
    batch = buffer_meta.get(gst_buffer)
    surfaces = batch.surfaces if batch is not None else []
    if not 0 <= batch_id < len(surfaces):
        raise RuntimeError(
            f"get_nvds_buf_surface: no frame {batch_id}, want one of {len(surfaces)} in the batch"
        )
    surface = surfaces[batch_id]
    if not surface.is_rgba:
        raise RuntimeError(
            f"get_nvds_buf_surface: the frames are {surface.format}, want RGBA; put "
            f"nvvideoconvert and the caps video/x-raw(memory:NVMM), format=RGBA before the probe"
        )
    return surface.rgba()  # type: ignore[no-any-return]


def unmap_nvds_buf_surface(_gst_buffer: int, _batch_id: int) -> None:
    """Do nothing: there is no mapping to undo; on Jetson a missing call leaks."""


def get_nvds_buf_surface_gpu(_gst_buffer: int, _batch_id: int) -> Any:
    """Refuse: there is no device memory.

    Raises:
        RuntimeError: always, as on Jetson.
    """
    raise RuntimeError("get_nvds_buf_surface_gpu: no device memory here; use get_nvds_buf_surface")
