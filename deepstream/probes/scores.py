"""Where the smooth stage gets its scores: from persons' crops, or from whole frames and a head."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from deepstream.meta import FrameMeta, MetaDoor
from deepstream.probes.crops import ExpandedFrame, FramesInFlight
from ropewatch.boxes import crop_boxes, ltwh_to_xyxy
from ropewatch.labels import check_class_count
from ropewatch.observations import BoxLtwh
from ropewatch.rope_head import RopeHead
from ropewatch.settings import ExpansionSettings


@dataclass(frozen=True, slots=True)
class Look:
    """What the classifier said of a person, and what it looked at."""

    score: float
    crop_ltwh_px: BoxLtwh


@dataclass(frozen=True, slots=True)
class Looks:
    """The classifier's work on one frame.

    Attributes:
        detector_ran: on this frame.
        persons: in metadata order; None for whom it gave no score on this very frame.
    """

    detector_ran: bool
    persons: tuple[Look | None, ...]


class Scores(Protocol):
    """Reads what the classifier made of a frame."""

    @property
    def abandoned(self) -> int:
        """Frames that went into the classifier and never came out."""

    def __call__(self, frame: FrameMeta, persons: Sequence[Any]) -> Looks:
        """Take the scores of a frame; once for each frame, on the classifier's way out.

        Raises:
            ModelError: the network has another number of classes than its labels.
        """


@dataclass(frozen=True, slots=True)
class ScoreLabel:
    """The label that the threshold is about.

    Attributes:
        file: that has the labels, for messages.
        labels: in class order.
        index: position of the site's score_label among them.
    """

    file: Path
    labels: tuple[str, ...]
    index: int

    def score(self, probabilities: npt.NDArray[np.float32]) -> float | None:
        """Pick the label's probability out of (labels,) float32; None where it is no number."""
        check_class_count(self.file, self.labels, len(probabilities))
        value = float(probabilities[self.index])
        # A score that is no number is no evidence; it must not pass as a safe one.
        return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class CropScores:
    """Crop mode: tensor metadata of each person whom nvinfer has cropped and judged."""

    door: MetaDoor
    in_flight: FramesInFlight[ExpandedFrame]
    label: ScoreLabel

    @property
    def abandoned(self) -> int:
        """Frames whose crops nobody asked for."""
        return self.in_flight.abandoned

    def __call__(self, frame: FrameMeta, persons: Sequence[Any]) -> Looks:
        """Take the scores of a frame, and its crops out of those in flight."""
        expanded = self.in_flight.pop(frame.key)
        # A person whose crop is not known is not judged: a score of the bare box, or of
        # somebody else's, must neither alarm nor clear. The other stages have counted it.
        if expanded is None or len(expanded.crops_ltwh_px) != len(persons):
            ran = frame.detector_ran if expanded is None else expanded.detector_ran
            return Looks(ran, (None,) * len(persons))
        pairs = zip(persons, expanded.crops_ltwh_px, strict=True)
        return Looks(
            expanded.detector_ran, tuple(self._look(person, crop) for person, crop in pairs)
        )

    def _look(self, person: Any, crop: BoxLtwh) -> Look | None:
        probabilities = self.door.probabilities(person)
        score = None if probabilities is None else self.label.score(probabilities)
        return None if score is None else Look(score, crop)


@dataclass(frozen=True, slots=True)
class FrameScores:
    """Frame mode: the backbone's token map of the frame, and the head over the grown boxes.

    The head runs here, in the probe: it takes milliseconds, and frames keep their order.

    Attributes:
        frame_wh_px: muxer output.
        network_wh_px: the backbone's input, to which nvinfer stretches the frame.
    """

    door: MetaDoor
    head: RopeHead
    label: ScoreLabel
    expansion: ExpansionSettings
    frame_wh_px: tuple[int, int]
    network_wh_px: tuple[int, int]

    @property
    def abandoned(self) -> int:
        """None: nothing is kept between two pads here."""
        return 0

    def __call__(self, frame: FrameMeta, persons: Sequence[Any]) -> Looks:
        """Judge everybody in a frame; nobody on a frame that the backbone skipped."""
        features = self.door.token_map(frame)
        # nvinfer with raw outputs alone leaves bInferDone as the detector set it
        # (gstnvinfer_meta_utils.cpp, DeepStream 9.1).
        if features is None or not persons:
            return Looks(frame.detector_ran, (None,) * len(persons))
        boxes = np.array([self.door.box(person) for person in persons], np.float32)
        crops = crop_boxes(
            boxes,
            expansion=self.expansion,
            frame_wh_px=self.frame_wh_px,
            network_wh_px=self.network_wh_px,
            # Nothing is scaled for each person, so no scaler has a say.
            limit_scale=False,
        )
        to_network = np.divide(self.network_wh_px * 2, self.frame_wh_px * 2)
        rois = (ltwh_to_xyxy(crops) * to_network).astype(np.float32)
        rows = zip(self.head(features, rois), crops.tolist(), strict=True)
        return Looks(frame.detector_ran, tuple(self._look(*row) for row in rows))

    def _look(self, probabilities: npt.NDArray[np.float32], crop: list[float]) -> Look | None:
        score = self.label.score(probabilities)
        return None if score is None else Look(score, (crop[0], crop[1], crop[2], crop[3]))
