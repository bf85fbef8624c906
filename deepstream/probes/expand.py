"""Expand stage: the classifier sees more than the person's box."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepstream.meta import FrameMeta, MetaDoor
from deepstream.probes.crops import ExpandedFrame, FramesInFlight
from ropewatch.boxes import crop_boxes
from ropewatch.observations import BoxLtwh
from ropewatch.settings import ExpansionSettings
from ropewatch.spread import Spread


@dataclass(slots=True)
class ExpandStage:
    """Operates: grows each person's box on the SGIE's sink pad, and spreads its work.

    nvinfer reads rect_params when it crops and never clips, so the crop geometry keeps every
    box inside the frame (`ropewatch.boxes.crop_boxes`).

    Attributes:
        frame_wh_px: muxer output.
        network_wh_px: the classifier's input, for the scaler's limits.
        limit_scale: False where the nvinfer config scales on the GPU, which has no such limit.
        spreads: chooses whom to judge, one for each source; empty where all are.
    """

    door: MetaDoor
    in_flight: FramesInFlight
    expansion: ExpansionSettings
    frame_wh_px: tuple[int, int]
    network_wh_px: tuple[int, int]
    limit_scale: bool = True
    spreads: tuple[Spread, ...] = ()

    def __call__(self, frame: FrameMeta) -> None:
        """Expand the persons of one frame."""
        persons = list(self.door.persons(frame))
        boxes = tuple(self.door.box(person) for person in persons)
        crops = self._crops(boxes)
        # Remembered before anything is changed: restore must find it whatever happens next.
        self.in_flight.put(frame.key, ExpandedFrame(boxes, crops, frame.detector_ran))
        chosen = self._chosen(frame, persons)
        for person, crop, is_chosen in zip(persons, crops, chosen, strict=True):
            if is_chosen:
                self.door.set_box(person, crop)
            else:
                self.door.park(person)

    def _chosen(self, frame: FrameMeta, persons: list[Any]) -> list[bool]:
        if not self.spreads:
            return [True] * len(persons)
        object_ids = [self.door.object_id(person) for person in persons]
        return self.spreads[frame.pad_index].choose(object_ids, frame.pts_ns)

    def _crops(self, boxes: tuple[BoxLtwh, ...]) -> tuple[BoxLtwh, ...]:
        crops = crop_boxes(
            np.array(boxes, np.float32).reshape(-1, 4),
            expansion=self.expansion,
            frame_wh_px=self.frame_wh_px,
            network_wh_px=self.network_wh_px,
            limit_scale=self.limit_scale,
        )
        return tuple((row[0], row[1], row[2], row[3]) for row in crops.tolist())
