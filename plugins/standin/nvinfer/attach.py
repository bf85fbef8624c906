"""Turns results into metadata, step by step as nvinfer does."""

from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin.metadata import (
    UNTRACKED_OBJECT_ID,
    NvDsBatchMeta,
    NvDsClassifierMeta,
    NvDsFrameMeta,
    NvDsInferTensorMeta,
    NvDsLabelInfo,
    NvDsMetaType,
    NvDsObjectMeta,
    NvDsUserMeta,
    NvOSD_TextParams,
)
from plugins.standin.nvinfer.classify import Verdict
from plugins.standin.nvinfer.config import ClassConfig, InferConfig
from plugins.standin.nvinfer.labels import Labels
from plugins.standin.nvinfer.outputs import OutputLayer
from plugins.standin.nvinfer.postprocess import Candidates
from plugins.standin.nvinfer.preprocess import NetworkInput
from ropewatch.preprocess import Placement

Floats = npt.NDArray[np.float32]

_TEXT_RISE_PX = 10
_FULL_FRAME_CLASS = -1


def scale_back(boxes_ltwh: Floats, placed: Placement) -> Floats:
    """Undo the placement: (N, 4) float32 network pixels to crop pixels, left and top not below 0.

    Negative left and top become 0 and width and height stay, so such a box moves inwards.
    """
    ratios = np.array([placed.ratio_x, placed.ratio_y] * 2)
    offsets = np.array([placed.offset_left, placed.offset_top, 0, 0], np.float32)
    boxes: Floats = ((boxes_ltwh - offsets) / ratios).astype(np.float32)
    boxes[:, :2] = np.maximum(boxes[:, :2], np.float32(0))
    return boxes


def fit_region(
    box: Floats, attrs: ClassConfig, frame_wh: tuple[int, int], *, crop: bool
) -> Floats | None:
    """Apply size filters and the region of interest to one box; None drops it.

    Args:
        box: (4,) float32 left, top, width, height.
        attrs: the box's class.
        frame_wh: the surface's size, also for a secondary detector's crop-relative boxes.
        crop: crop-objects-to-roi-boundary.
    """
    left, top, width, height = box
    if width < attrs.detected_min_w or height < attrs.detected_min_h:
        return None
    if 0 < attrs.detected_max_w < width or 0 < attrs.detected_max_h < height:
        return None
    upper = np.float32(attrs.roi_top_offset)
    # Unsigned in C: an offset taller than the frame wraps and cuts nothing.
    lower = np.float32((frame_wh[1] - attrs.roi_bottom_offset) % 2**32)
    if not crop:
        return None if top < upper or top + height > lower else box
    top = max(top, upper)
    if left + width >= frame_wh[0]:
        width = np.float32(frame_wh[0]) - left
    if top + height > lower:
        height = lower - top
    return np.array([left, top, width, height], np.float32)


def attach_detections(
    frame: NvDsFrameMeta,
    found: Candidates,
    config: InferConfig,
    labels: Labels,
    *,
    placed: Placement,
    frame_wh: tuple[int, int],
    parent: NvDsObjectMeta | None = None,
) -> None:
    """Append one object for each box that passes; a secondary detector's go to the frame too."""
    frame.bInferDone = 1
    boxes = scale_back(found.boxes_ltwh, placed)
    for class_id, box, confidence in zip(
        found.class_ids.tolist(), boxes, found.confidences.tolist(), strict=True
    ):
        if class_id in config.filter_out_class_ids:
            continue
        attrs = config.classes[class_id]
        kept = fit_region(box, attrs, frame_wh, crop=config.crop_objects_to_roi_boundary)
        if kept is None:
            continue
        if parent is not None and config.on_objects:
            kept[0] += np.float32(parent.rect_params.left)
            kept[1] += np.float32(parent.rect_params.top)
        label = labels[class_id][0] if class_id < len(labels) else None
        meta = _detection(kept, attrs, label)
        meta.base_meta.batch_meta = frame.base_meta.batch_meta
        meta.unique_component_id = config.gie_unique_id
        meta.class_id = class_id
        meta.confidence = confidence
        meta.parent = parent
        frame.objects.append(meta)


def _detection(box: Floats, attrs: ClassConfig, label: str | None) -> NvDsObjectMeta:
    meta = NvDsObjectMeta()
    meta.object_id = UNTRACKED_OBJECT_ID
    rect, original = meta.rect_params, meta.detector_bbox_info.org_bbox_coords
    left, top, width, height = box.tolist()
    rect.left, rect.top, rect.width, rect.height = left, top, width, height
    original.left, original.top, original.width, original.height = left, top, width, height
    rect.border_width = 3
    rect.border_color.set(*attrs.border_color)
    if attrs.bg_color is not None:
        rect.has_bg_color = 1
        rect.bg_color.set(*attrs.bg_color)
    if label is not None:
        meta.obj_label = label
        meta.text_params.display_text = label
    _style_text(meta.text_params, left, top)
    return meta


def attach_verdict(
    meta: NvDsObjectMeta, verdict: Verdict, config: InferConfig, *, batch: NvDsBatchMeta | None
) -> None:
    """Append a classifier meta; without attributes or text nothing is attached."""
    if not verdict.attributes or not verdict.text:
        return
    classifier = NvDsClassifierMeta()
    classifier.base_meta.batch_meta = batch
    classifier.unique_component_id = config.gie_unique_id
    classifier.stand_in_classifier_type = config.classifier_type or ""
    for attribute in verdict.attributes:
        info = NvDsLabelInfo()
        info.base_meta.batch_meta = batch
        info.label_id = attribute.index
        info.result_class_id = attribute.value
        info.result_prob = attribute.confidence
        if attribute.label is not None:
            info.result_label = attribute.label
        classifier.labels.append(info)
    shown = meta.text_params.stand_in_text()
    if shown is None:
        shown = ""
        _style_text(meta.text_params, meta.rect_params.left, meta.rect_params.top)
    meta.text_params.display_text = f"{shown} {verdict.text}"
    meta.classifiers.append(classifier)


def attach_frame_verdict(
    frame: NvDsFrameMeta, verdict: Verdict, config: InferConfig, *, frame_wh: tuple[int, int]
) -> None:
    """Make an object of the whole frame and hang a primary classifier's verdict on it."""
    frame.bInferDone = 1
    if not verdict.attributes or not verdict.text:
        return
    meta = NvDsObjectMeta()
    meta.base_meta.batch_meta = frame.base_meta.batch_meta
    meta.unique_component_id = config.gie_unique_id
    meta.object_id = UNTRACKED_OBJECT_ID
    meta.class_id = _FULL_FRAME_CLASS
    rect = meta.rect_params
    rect.left = rect.top = 0.0
    rect.width, rect.height = map(float, frame_wh)
    rect.border_width = 6
    rect.border_color.set(1.0, 0.0, 0.0, 1.0)
    rect.bg_color.set(1.0, 1.0, 0.0, 0.4)
    meta.text_params.display_text = ""
    _style_text(meta.text_params, 0.0, 0.0)
    frame.objects.append(meta)
    attach_verdict(meta, verdict, config, batch=frame.base_meta.batch_meta)


def attach_tensors(
    user_metas: list[NvDsUserMeta],
    arrays: tuple[npt.NDArray[Any], ...],
    layers: tuple[OutputLayer, ...],
    config: InferConfig,
    network: NetworkInput,
    *,
    batch: NvDsBatchMeta | None,
) -> None:
    """Append the raw outputs of one frame or object, without the batch, to its user metas."""
    outputs = {layer.name: array for layer, array in zip(layers, arrays, strict=True)}
    meta = NvDsInferTensorMeta.of(
        outputs,
        unique_id=config.gie_unique_id,
        network_wh=(network.width, network.height),
    )
    meta.network_info.channels = network.channels
    user_metas.append(NvDsUserMeta.of(NvDsMetaType.NVDSINFER_TENSOR_OUTPUT_META, meta, batch))


def _style_text(text: NvOSD_TextParams, left: float, top: float) -> None:
    text.stand_in_style(left, top, font_size=11, rise_px=_TEXT_RISE_PX)
