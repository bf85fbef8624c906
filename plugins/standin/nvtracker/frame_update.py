"""Writes tracks into a frame's metadata, step by step as the nvtracker plugin does."""

import logging
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from plugins.standin.metadata import (
    UNTRACKED_OBJECT_ID,
    NvDsFrameMeta,
    NvDsObjectMeta,
    NvOSD_RectParams,
    NvOSD_TextParams,
)
from plugins.standin.nvtracker.association import Detections, StreamTracker, Track
from plugins.standin.tracker_meta import (
    NvDsTargetMiscDataFrame,
    NvDsTargetMiscDataObject,
    NvDsTargetMiscDataStream,
)

log = logging.getLogger("ropewatch.standin.nvtracker")

Floats = npt.NDArray[np.float32]

# What NVIDIA's plugin writes where it does not know: no detection, no confidence of the tracker.
PREDICTED_CONFIDENCE = -0.1
_TRACKER_CONFIDENCE = -0.1
_TEXT_RISE_PX = 20
_LOW_BITS = 2**32 - 1


@dataclass(slots=True)
class _Look:
    """How objects of a class look, from the first one seen: for objects that are predicted."""

    rect: NvOSD_RectParams
    text: NvOSD_TextParams
    shown: str
    label: str
    component_id: int


class FrameUpdater:
    """The plugin's part of the work.

    Boxes go to the tracker and come back in its own size, `tracker_wh`, as 32-bit floats: with a
    size that is no power of two of the frame's they come back a last digit away.
    """

    def __init__(
        self,
        *,
        tracker_wh: tuple[int, int],
        class_ids: tuple[int, ...] = (),
        show_id: bool = True,
    ) -> None:
        self._tracker_wh = tracker_wh
        self._class_ids = frozenset(class_ids)
        self.show_id = show_id
        self._looks: dict[int, _Look] = {}
        self._first_ids: dict[int, int] = {}

    def forget_first_id(self, pad_index: int) -> None:
        """Let the next id of a source be the one that counts as 0, where ids begin there."""
        self._first_ids.pop(pad_index, None)

    def update(
        self,
        frame: NvDsFrameMeta,
        tracker: StreamTracker,
        *,
        frame_wh: tuple[int, int],
        max_objects: int,
        from_zero: bool = False,
    ) -> None:
        """Give one frame's objects their ids and boxes, remove those without, add predicted ones.

        Args:
            frame: the frame.
            tracker: its stream's tracker.
            frame_wh: muxer output in pixels.
            max_objects: the tracker is shown no more objects than this.
            from_zero: the first id that the source ever had, or had since its end, counts as 0.
        """
        shown = [meta for meta in frame.objects if self._operates_on(meta)][:max_objects]
        for meta in shown:
            self._remember(meta)
        to_tracker = np.array(self._tracker_wh, np.float32) / np.array(frame_wh, np.float32)
        to_frame = np.array(frame_wh, np.float32) / np.array(self._tracker_wh, np.float32)
        found = _detections(shown, np.tile(to_tracker, 2))
        for track in tracker.update(
            found, detected=bool(frame.bInferDone), frame_num=frame.frame_num
        ):
            unclipped = track.box_ltwh * np.tile(to_frame, 2)
            clipped = clip(unclipped, frame_wh)
            if track.detection is None and clipped is None:
                continue
            own = unclipped if tracker.config.unclip or clipped is None else clipped
            number = self._mapped(frame.pad_index, track.object_id, from_zero=from_zero)
            self._write(frame, replace(track, object_id=number), own, clipped, shown)
        if not self._class_ids:
            frame.objects[:] = [
                meta for meta in frame.objects if meta.object_id != UNTRACKED_OBJECT_ID
            ]

    def past_of(
        self, tracker: StreamTracker, *, stream_id: int, frame_wh: tuple[int, int]
    ) -> NvDsTargetMiscDataStream:
        """Make the past-frame structures of a stream's newest frame, in the frame's pixels."""
        scale = np.array(frame_wh, np.float32) / np.array(self._tracker_wh, np.float32)
        stream = NvDsTargetMiscDataStream()
        stream.streamID = stream.surfaceStreamID = stream_id
        for past in tracker.past:
            target = NvDsTargetMiscDataObject()
            target.uniqueId, target.classId = past.object_id, past.class_id
            if past.class_id in self._looks:
                target.objLabel = self._looks[past.class_id].label
            for seen in past.frames:
                item = NvDsTargetMiscDataFrame()
                item.frameNum, item.age = seen.frame_num, seen.age
                item.confidence = _TRACKER_CONFIDENCE
                box = item.tBbox
                box.left, box.top, box.width, box.height = (
                    seen.box_ltwh * np.tile(scale, 2)
                ).tolist()
                target.frames.append(item)
            stream.objects.append(target)
        stream.numAllocated = len(stream.objects)
        return stream

    def _mapped(self, pad_index: int, object_id: int, *, from_zero: bool) -> int:
        first = self._first_ids.setdefault(pad_index, object_id)
        if not from_zero:
            return object_id
        # The upper half stays; one that is older than the first wraps, as in C.
        return (object_id & ~_LOW_BITS) + ((object_id - first) & _LOW_BITS)

    def _operates_on(self, meta: NvDsObjectMeta) -> bool:
        return not self._class_ids or meta.class_id in self._class_ids

    def _remember(self, meta: NvDsObjectMeta) -> None:
        if meta.class_id not in self._looks:
            self._looks[meta.class_id] = _Look(
                meta.rect_params.copy(),
                meta.text_params.copy(),
                meta.text_params.stand_in_text() or "",
                meta.obj_label,
                meta.unique_component_id,
            )

    def _write(
        self,
        frame: NvDsFrameMeta,
        track: Track,
        own: Floats,
        clipped: Floats | None,
        shown: list[NvDsObjectMeta],
    ) -> None:
        if track.detection is None:
            assert clipped is not None
            meta = self._predicted(frame, track)
            _set_boxes(meta, own, clipped)
            frame.objects.append(meta)
        else:
            meta = shown[track.detection]
            meta.object_id = track.object_id
            if clipped is None:
                _remove(frame, meta)
                return
            if meta.class_id != track.class_id:
                # The boxes stay the detection's, also where they leave the frame.
                log.warning(
                    "class mismatch, the box is not updated object=%s detected=%s tracked=%s",
                    meta.object_id,
                    meta.class_id,
                    track.class_id,
                )
            else:
                _set_boxes(meta, own, clipped)
        self._write_text(meta)

    def _predicted(self, frame: NvDsFrameMeta, track: Track) -> NvDsObjectMeta:
        meta = NvDsObjectMeta()
        meta.base_meta.batch_meta = frame.base_meta.batch_meta
        meta.class_id = track.class_id
        meta.object_id = track.object_id
        meta.confidence = PREDICTED_CONFIDENCE
        look = self._looks.get(track.class_id)
        if look is not None:
            meta.rect_params = look.rect
            meta.text_params = look.text
            meta.text_params.display_text = look.shown
            meta.obj_label = look.label
            meta.unique_component_id = look.component_id
        return meta

    def _write_text(self, meta: NvDsObjectMeta) -> None:
        text, rect = meta.text_params, meta.rect_params
        text.stand_in_style(rect.left, rect.top, font_size=10, rise_px=_TEXT_RISE_PX)
        if self.show_id:
            # printf writes a null text as (null), in 127 bytes at most.
            shown = text.stand_in_text()
            line = f"{'(null)' if shown is None else shown} {meta.object_id}"
            text.display_text = line.encode()[:127].decode("utf-8", "ignore")


def clip(box: Floats, frame_wh: tuple[int, int]) -> Floats | None:
    """Clip one box in the plugin's order; None where nothing of it is in the frame.

    A negative left or top takes from width or height, unlike in nvinfer.
    """
    left, top, width, height = box
    if left < 0:
        width, left = width + left, np.float32(0)
    if top < 0:
        height, top = height + top, np.float32(0)
    frame_w, frame_h = np.float32(frame_wh[0]), np.float32(frame_wh[1])
    if left >= frame_w or top >= frame_h or width <= 0 or height <= 0:
        return None
    if left + width > frame_w:
        width = frame_w - left
    if top + height > frame_h:
        height = frame_h - top
    return np.array([left, top, width, height], np.float32)


def _detections(shown: list[NvDsObjectMeta], scale: Floats) -> Detections:
    boxes = np.array(
        [
            (rect.left, rect.top, rect.width, rect.height)
            for rect in (meta.rect_params for meta in shown)
        ],
        np.float32,
    ).reshape(-1, 4)
    return Detections(
        boxes * scale,
        np.array([meta.class_id for meta in shown], np.int64),
        np.array([meta.confidence for meta in shown], np.float32),
    )


def _set_boxes(meta: NvDsObjectMeta, tracked: Floats, clipped: Floats) -> None:
    rect, own = meta.rect_params, meta.tracker_bbox_info.org_bbox_coords
    rect.left, rect.top, rect.width, rect.height = clipped.tolist()
    own.left, own.top, own.width, own.height = tracked.tolist()
    meta.tracker_confidence = _TRACKER_CONFIDENCE


def _remove(frame: NvDsFrameMeta, meta: NvDsObjectMeta) -> None:
    frame.objects[:] = [other for other in frame.objects if other is not meta]
