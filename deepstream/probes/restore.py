"""Restore stage: everyone downstream of the classifier sees the person's own box again."""

from dataclasses import dataclass

from deepstream.meta import FrameMeta, MetaDoor
from deepstream.probes.crops import ExpandedFrame, FramesInFlight


@dataclass(slots=True)
class RestoreStage:
    """Operates: writes back, bit for bit, what the expand stage changed.

    Runs on the SGIE's src pad, before the smooth stage, also for persons that the SGIE skipped.
    """

    door: MetaDoor
    in_flight: FramesInFlight[ExpandedFrame]

    def __call__(self, frame: FrameMeta) -> None:
        """Restore the persons of one frame.

        Raises:
            LookupError: the frame was not expanded, or has other persons now.
        """
        saved = self.in_flight.peek(frame.key)
        persons = list(self.door.persons(frame))
        # First, whatever comes: nobody downstream may miss somebody who was passed over.
        for person in persons:
            self.door.unpark(person)
        if saved is None or len(saved.boxes_ltwh_px) != len(persons):
            raise LookupError(
                f"frame {frame.key}: {len(persons)} persons, want those that were expanded"
            )
        for person, box in zip(persons, saved.boxes_ltwh_px, strict=True):
            self.door.set_box(person, box)
