"""What the box can say about itself: which cameras see, what was dropped, what failed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum


class CameraReason(str, Enum):
    """Why a camera is blind."""

    STARTING = "starting"
    LOST = "lost"
    FAILED = "failed"
    ENDED = "ended"


@dataclass(slots=True)
class CameraHealth:
    """One camera's last sign of life, on the monotonic clock."""

    source_id: str
    started_s: float
    last_frame_s: float | None = None
    frames: int = 0
    failed: str | None = None
    ended: bool = False
    reported: CameraReason | str | None = "unreported"

    def reason_blind(self, now_s: float, blind_after_s: float) -> CameraReason | None:
        """Say why the camera is blind; None while it is watching."""
        if self.failed is not None:
            return CameraReason.FAILED
        if self.last_frame_s is None:
            waited_s = now_s - self.started_s
            return CameraReason.STARTING if waited_s < blind_after_s else CameraReason.LOST
        if now_s - self.last_frame_s >= blind_after_s:
            return CameraReason.ENDED if self.ended else CameraReason.LOST
        return None


@dataclass(slots=True)
class Health:
    """Turns counters into camera and box status; called once a second.

    Attributes:
        cameras: in pad order.
        frames: reads the number of judged frames of each camera.
        blind_after_s: seconds without a frame.
        clock: monotonic seconds.
    """

    cameras: tuple[CameraHealth, ...]
    frames: Callable[[], list[int]]
    blind_after_s: float
    clock: Callable[[], float] = time.monotonic
    counters: dict[str, Callable[[], int]] = field(default_factory=dict)

    def look(self) -> list[tuple[CameraHealth, CameraReason | None]]:
        """Read the frame counters; return the cameras whose condition changed."""
        now_s = self.clock()
        changed = []
        for camera, frames in zip(self.cameras, self.frames(), strict=True):
            if frames != camera.frames:
                camera.frames, camera.last_frame_s = frames, now_s
            reason = camera.reason_blind(now_s, self.blind_after_s)
            if reason != camera.reported:
                camera.reported = reason
                changed.append((camera, reason))
        return changed

    def reasons(self) -> list[str]:
        """Say what is wrong with the box; empty while it is well."""
        now_s = self.clock()
        wrong = []
        for camera in self.cameras:
            reason = camera.reason_blind(now_s, self.blind_after_s)
            if reason in {CameraReason.LOST, CameraReason.FAILED}:
                wrong.append(f"camera {camera.source_id} {reason.value}")
        wrong += [
            f"{name} {count}" for name, read in self.counters.items() if (count := read()) > 0
        ]
        return wrong
