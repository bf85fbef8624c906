"""What the graph saw: plain data handed from the pipeline to the core.

Boxes are in muxer-output pixels, left, top, width, height.
`pts_ns` is stream time of the source, `ntp_ns` Unix time; docs/time.md defines both.
"""

from dataclasses import dataclass
from typing import Final

BoxLtwh = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class PersonObservation:
    """One person in one frame.

    Attributes:
        object_id: the tracker's id, unique in its source only; None when untracked.
        box_ltwh_px: the tracker's box, clipped to the frame (the detector's without a tracker).
        confidence: the detector's number between 0 and 1; None where the tracker predicted
            the box without a detection.
        score: probability of the site's `score_label` when the classifier ran on this very
            frame; None when it did not. A cached verdict is never put here.
        crop_ltwh_px: what the classifier looked at; None when it did not run.
    """

    object_id: int | None
    box_ltwh_px: BoxLtwh
    confidence: float | None
    score: float | None
    crop_ltwh_px: BoxLtwh | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What is known of the picture itself, from small samples of it: `ropewatch.view`.

    Attributes:
        still_s: for how long it has not changed at all; 0 while it changes.
        hidden: nobody could be seen in it: it is dark, or without structure.
    """

    still_s: float = 0.0
    hidden: bool = False


CLEAR: Final = View()


@dataclass(frozen=True, slots=True)
class FrameObservation:
    """One frame of one source, with its people in metadata order.

    Attributes:
        source_id: the site's name of the camera.
        frame_num: counts from 0 for each source.
        pts_ns: stream time.
        ntp_ns: Unix time, or None where the source gave none.
        frame_wh_px: size of the muxer output.
        detector_ran: False on frames that the detector skipped (`interval`).
        persons: may be empty.
        view: of the samples up to this frame.
    """

    source_id: str
    frame_num: int
    pts_ns: int
    ntp_ns: int | None
    frame_wh_px: tuple[int, int]
    detector_ran: bool
    persons: tuple[PersonObservation, ...]
    view: View = CLEAR
