"""What the box can say about itself: which cameras see, what was dropped, what failed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

# Counted, and nothing wrong: the operator has set the limit.
CHOSEN: Final = frozenset({"snapshots_over_limit"})


class CameraReason(str, Enum):
    """Why a camera is blind."""

    STARTING = "starting"
    LOST = "lost"
    FAILED = "failed"
    ENDED = "ended"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Counts:
    """What the stages have counted of one camera so far.

    Attributes:
        frames: judged frames.
        seen: persons in them.
        judged: persons of whom the classifier gave a score.
        gaps: frames that came later than `max_evidence_age_s` after the one before.
        overdue: persons who were passed over although their evidence was older than that.
        lasting: persons of the newest frame, not a sum, who have been unknown for long.
    """

    frames: int = 0
    seen: int = 0
    judged: int = 0
    gaps: int = 0
    overdue: int = 0
    lasting: int = 0


@dataclass(slots=True)
class CameraHealth:
    """One camera's last sign of life, on the monotonic clock.

    Attributes:
        live: it runs in real time, so that an end of its stream is a loss.
        unjudged_since_s: when people were first seen of whom the classifier gave no score.
        gap_s: when frames were last too far apart.
        overdue_s: when somebody last waited too long for the classifier.
    """

    source_id: str
    started_s: float
    live: bool = False
    last_frame_s: float | None = None
    counts: Counts = Counts()
    unjudged_since_s: float | None = None
    gap_s: float = -math.inf
    overdue_s: float = -math.inf
    failed: str | None = None
    ended: bool = False
    reported: CameraReason | str | None = "unreported"

    def count(self, counts: Counts, now_s: float) -> None:
        """Compare the counters with those of the last look."""
        if counts.frames != self.counts.frames:
            self.last_frame_s, self.ended = now_s, False
        if counts.judged != self.counts.judged:
            self.unjudged_since_s = None
        elif counts.seen != self.counts.seen and self.unjudged_since_s is None:
            self.unjudged_since_s = now_s
        if counts.gaps != self.counts.gaps:
            self.gap_s = now_s
        if counts.overdue != self.counts.overdue:
            self.overdue_s = now_s
        self.counts = counts

    def reason_blind(self, now_s: float, blind_after_s: float) -> CameraReason | None:
        """Say why the camera is blind; None while it is watching."""
        if self.failed is not None:
            return CameraReason.FAILED
        if self.last_frame_s is None:
            waited_s = now_s - self.started_s
            return CameraReason.STARTING if waited_s < blind_after_s else CameraReason.LOST
        if now_s - self.last_frame_s >= blind_after_s:
            return CameraReason.ENDED if self.ended and not self.live else CameraReason.LOST
        return None

    def is_quiet(self, now_s: float, quiet_s: float) -> bool:
        """Say whether no frame has come for some time."""
        return self.last_frame_s is None or now_s - self.last_frame_s >= quiet_s


@dataclass(slots=True)
class Health:
    """Turns counters into camera and box status; called once a second.

    Attributes:
        cameras: in pad order.
        counts: reads the counters of each camera.
        blind_after_s: seconds without a frame, or without a score of the people in it.
        clock: monotonic seconds.
        counters: what was dropped, refused or failed, by name.
        conditions: says what else is wrong at this moment.
    """

    cameras: tuple[CameraHealth, ...]
    counts: Callable[[], list[Counts]]
    blind_after_s: float
    clock: Callable[[], float] = time.monotonic
    counters: dict[str, Callable[[], int]] = field(default_factory=dict)
    conditions: Callable[[], list[str]] = list

    def look(self) -> list[tuple[int, CameraReason | None]]:
        """Read the counters; return position and condition of each camera that changed."""
        now_s = self.clock()
        changed = []
        for index, (camera, counts) in enumerate(zip(self.cameras, self.counts(), strict=True)):
            camera.count(counts, now_s)
            reason = camera.reason_blind(now_s, self.blind_after_s)
            if reason != camera.reported:
                camera.reported = reason
                changed.append((index, reason))
        return changed

    def reasons(self) -> list[str]:
        """Say what is wrong with the box; empty while it is well."""
        now_s = self.clock()
        wrong = []
        for camera in self.cameras:
            reason = camera.reason_blind(now_s, self.blind_after_s)
            if reason in {CameraReason.STARTING, CameraReason.LOST, CameraReason.FAILED}:
                wrong.append(f"camera {camera.source_id} {reason.value}")
            since_s = camera.unjudged_since_s
            if since_s is not None and now_s - since_s >= self.blind_after_s:
                wrong.append(f"camera {camera.source_id}: people are not judged")
            wrong += [f"camera {camera.source_id}: {each}" for each in self._doubts(camera, now_s)]
        wrong += self.conditions()
        return wrong + [f"{name} {count}" for name, count in self.troubles().items()]

    def _doubts(self, camera: CameraHealth, now_s: float) -> list[str]:
        """Say why less is known than should be; for `blind_after_s` after it was last seen."""
        doubts = []
        if now_s - camera.overdue_s < self.blind_after_s:
            doubts.append("classifier_overloaded, people wait longer than max_evidence_age_s")
        if now_s - camera.gap_s < self.blind_after_s:
            doubts.append("frames_too_far_apart, further than max_evidence_age_s")
        if camera.counts.lasting:
            doubts.append("unknown_lasting, people are unknown for longer than unknown_after_s")
        return doubts

    def troubles(self) -> dict[str, int]:
        """Return what was dropped, refused or failed, and was not wanted so; without the zeros."""
        counted = self.read().items()
        return {name: count for name, count in counted if count > 0 and name not in CHOSEN}

    def read(self) -> dict[str, int]:
        """Return all counters."""
        return {name: read() for name, read in self.counters.items()}
