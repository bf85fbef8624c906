"""Restore stage: everyone downstream of the classifier sees the person's own box again."""

from dataclasses import dataclass
from typing import Any

from deepstream.meta import MetaDoor
from deepstream.probes.crops import FramesInFlight


@dataclass(slots=True)
class RestoreStage:
    """Operates: writes back, bit for bit, the boxes that the expand stage saved.

    Runs on the SGIE's src pad, before the smooth stage, also for persons that the SGIE skipped.
    """

    door: MetaDoor
    in_flight: FramesInFlight
    unmatched_frames: int = 0

    def __call__(self, buffer: Any) -> None:
        """Restore the persons of every frame in the batch."""
        for frame in self.door.frames(buffer):
            saved = self.in_flight.peek(frame.key)
            persons = list(self.door.persons(frame))
            if saved is None or len(saved.boxes_ltwh_px) != len(persons):
                self.unmatched_frames += 1
                raise LookupError(
                    f"frame {frame.key}: {len(persons)} persons, want those that were expanded"
                )
            for person, box in zip(persons, saved.boxes_ltwh_px, strict=True):
                self.door.set_box(person, box)
