"""Expand stage: the classifier sees more than the person's box."""

from dataclasses import dataclass, field

from deepstream.meta import FrameMeta, MetaDoor
from deepstream.probes.crops import ExpandedFrame, FramesInFlight
from ropewatch.boxes import crop_list
from ropewatch.observations import BoxLtwh
from ropewatch.settings import ExpansionSettings


@dataclass(slots=True)
class ExpandStage:
    """Operates: grows each person's box on the SGIE's sink pad, and parks who is passed over.

    nvinfer reads rect_params when it crops and never clips, so the crop geometry keeps every
    box inside the frame (`ropewatch.boxes.crop_boxes`).

    Attributes:
        frame_wh_px: muxer output.
        network_wh_px: the classifier's input, for the scaler's limits.
        limit_scale: False where the nvinfer config scales on the GPU, which has no such limit.
        chosen: whom the spread stage has chosen; everybody of a frame that it does not know.
    """

    door: MetaDoor
    in_flight: FramesInFlight[ExpandedFrame]
    expansion: ExpansionSettings
    frame_wh_px: tuple[int, int]
    network_wh_px: tuple[int, int]
    limit_scale: bool = True
    chosen: FramesInFlight[list[bool]] = field(default_factory=FramesInFlight)

    def __call__(self, frame: FrameMeta) -> None:
        """Expand the persons of one frame."""
        persons = list(self.door.persons(frame))
        boxes = tuple(self.door.box(person) for person in persons)
        crops = self._crops(boxes)
        # Remembered before anything is changed: restore must find it whatever happens next.
        self.in_flight.put(frame.key, ExpandedFrame(boxes, crops, frame.detector_ran))
        chosen = self.chosen.pop(frame.key) or [True] * len(persons)
        for person, crop, is_chosen in zip(persons, crops, chosen, strict=True):
            if is_chosen:
                self.door.set_box(person, crop)
            else:
                self.door.park(person)

    def _crops(self, boxes: tuple[BoxLtwh, ...]) -> tuple[BoxLtwh, ...]:
        return tuple(
            crop_list(
                boxes,
                expansion=self.expansion,
                frame_wh_px=self.frame_wh_px,
                network_wh_px=self.network_wh_px,
                limit_scale=self.limit_scale,
            )
        )
