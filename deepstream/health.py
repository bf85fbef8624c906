"""What the box can say about itself: which cameras see, what was dropped, what failed."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from ropewatch.view import ViewCondition

# Counted, and no reason to be degraded until the next start: of the first the operator has set the
# limit, who sends too many commands is a reason of its own while it lasts, and for an answer that
# was dropped nobody waits.
CHOSEN: Final = frozenset({"snapshots_over_limit", "dropped_commands", "dropped_answers"})
# Looks are a second apart; what is seen with each of them has no break.
BETWEEN_LOOKS_S: Final = 2.5


class CameraReason(str, Enum):
    """Why a camera is blind. Of those in LOOKING and SHOWING frames come.

    Open incidents stay open then.
    """

    STARTING = "starting"
    LOST = "lost"
    FAILED = "failed"
    ENDED = "ended"
    STOPPED = "stopped"
    OVERLOADED = "overloaded"
    UNJUDGED = "unjudged"
    TOO_SMALL = "too_small"
    DARK = "dark"
    COVERED = "covered"
    FROZEN = "frozen"
    MOVED = "moved"


# In the order in which they are told, where several hold; and what the box's status says.
LOOKING: Final[Mapping[CameraReason, str]] = {
    CameraReason.OVERLOADED: "classifier_overloaded, people wait longer than max_evidence_age_s",
    CameraReason.UNJUDGED: "people are not judged",
    CameraReason.TOO_SMALL: "too_small, nobody in view is large enough to be judged",
}
# By its picture alone; what the box's status says.
SHOWING: Final[Mapping[CameraReason, str]] = {
    CameraReason.DARK: "dark, nobody could be seen in its picture",
    CameraReason.COVERED: "covered, its picture shows next to nothing",
    CameraReason.FROZEN: "frozen, its picture does not change",
    CameraReason.MOVED: "moved, it looks elsewhere than its reference view, see docs/blindness.md",
}
SAID_AT_ONCE: Final = frozenset({CameraReason.OVERLOADED})


@dataclass(frozen=True, slots=True)
class Counts:
    """What the stages have counted of one camera so far.

    Attributes:
        frames: judged frames.
        seen: persons in them.
        judged: persons of whom the classifier gave a score.
        gaps: frames that came later than `max_evidence_age_s` after the one before.
        passed_over: persons whom the classifier was not asked about, since it could not keep up.
        overdue: those of them whose evidence was older than that.
        is_behind: frames wait for the classifier at this moment.
        lasting: persons of the newest frame, not a sum, who have been unknown for long.
        too_small: those of them who are too small are all who are in view.
        view: why nobody can be judged by the picture, at this moment; None while they may.
    """

    frames: int = 0
    seen: int = 0
    judged: int = 0
    gaps: int = 0
    passed_over: int = 0
    overdue: int = 0
    is_behind: bool = False
    lasting: int = 0
    too_small: bool = False
    view: ViewCondition | None = None


@dataclass(slots=True)
class Spell:
    """Something that is seen again and again, without a break as long as it has to last.

    Told once it has lasted that long, and taken back once it was not seen for that long, so
    that nothing flaps.
    """

    since_s: float = -math.inf
    last_s: float = -math.inf

    def note(self, now_s: float, lasting_s: float) -> None:
        """It is seen at this moment."""
        if not self.is_recent(now_s, lasting_s):
            self.since_s = now_s
        self.last_s = now_s

    def is_recent(self, now_s: float, lasting_s: float) -> bool:
        """Say whether it was seen lately."""
        return now_s - self.last_s < max(lasting_s, BETWEEN_LOOKS_S)

    def lasts(self, now_s: float, lasting_s: float) -> bool:
        """Say whether it has gone on for long enough, and is not over."""
        return self.is_recent(now_s, lasting_s) and self.last_s - self.since_s >= lasting_s


def _no_spells() -> dict[CameraReason, Spell]:
    return {reason: Spell() for reason in LOOKING}


@dataclass(slots=True)
class CameraHealth:
    """One camera's last sign of life, on the monotonic clock.

    Attributes:
        live: it runs in real time, so that an end of its stream is a loss.
        gap_s: when frames were last too far apart.
        spells: what keeps it from knowing enough although frames come.
    """

    source_id: str
    started_s: float
    live: bool = False
    last_frame_s: float | None = None
    counts: Counts = Counts()
    gap_s: float = -math.inf
    spells: dict[CameraReason, Spell] = field(default_factory=_no_spells)
    failed: str | None = None
    ended: bool = False
    reported: CameraReason | str | None = "unreported"

    def count(self, counts: Counts, now_s: float, blind_after_s: float) -> None:
        """Compare the counters with those of the last look."""
        if counts.frames != self.counts.frames:
            self.last_frame_s, self.ended = now_s, False
        if counts.gaps != self.counts.gaps:
            self.gap_s = now_s
        if counts.judged != self.counts.judged:
            self.spells[CameraReason.UNJUDGED] = Spell()
        for reason in self._seen(counts):
            self.spells[reason].note(now_s, blind_after_s)
        self.counts = counts

    def _seen(self, counts: Counts) -> Iterator[CameraReason]:
        # A network that loses frames makes gaps as well; the classifier is not to blame then.
        too_far_apart = counts.is_behind and counts.gaps != self.counts.gaps
        if counts.overdue != self.counts.overdue or too_far_apart:
            yield CameraReason.OVERLOADED
        if counts.judged == self.counts.judged and counts.seen != self.counts.seen:
            yield CameraReason.UNJUDGED
        if counts.too_small and counts.frames != self.counts.frames:
            yield CameraReason.TOO_SMALL

    def reason_blind(self, now_s: float, blind_after_s: float) -> CameraReason | None:
        """Say why the camera is blind; None while it is watching."""
        if self.failed is not None:
            return CameraReason.FAILED
        if self.last_frame_s is None:
            waited_s = now_s - self.started_s
            return CameraReason.STARTING if waited_s < blind_after_s else CameraReason.LOST
        if now_s - self.last_frame_s >= blind_after_s:
            return CameraReason.ENDED if self.ended and not self.live else CameraReason.LOST
        if self.counts.view is not None:
            return CameraReason(self.counts.view.value)
        spells = self.spells.items()
        return next((each for each, one in spells if one.lasts(now_s, blind_after_s)), None)

    def is_quiet(self, now_s: float, quiet_s: float) -> bool:
        """Say whether no frame has come for some time."""
        return self.last_frame_s is None or now_s - self.last_frame_s >= quiet_s


@dataclass(slots=True)
class Health:
    """Turns counters into camera and box status; called once a second.

    Attributes:
        cameras: in pad order.
        counts: reads the counters of each camera.
        blind_after_s: seconds without a frame, or of a spell.
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
            camera.count(counts, now_s, self.blind_after_s)
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
            if reason is not None and reason in SHOWING:
                wrong.append(f"camera {camera.source_id}: {SHOWING[reason]}")
            wrong += [f"camera {camera.source_id}: {each}" for each in self._doubts(camera, now_s)]
        wrong += self.conditions()
        return wrong + [f"{name} {count}" for name, count in self.troubles().items()]

    def _doubts(self, camera: CameraHealth, now_s: float) -> list[str]:
        """Say why less is known than should be, until `blind_after_s` after it was last seen.

        An overload is said with the first person who waits for too long, the others once they
        last.
        """
        lasting_s = self.blind_after_s
        doubts = [
            said
            for reason, said in LOOKING.items()
            if camera.spells[reason].lasts(now_s, lasting_s)
            or (reason in SAID_AT_ONCE and camera.spells[reason].is_recent(now_s, lasting_s))
        ]
        if now_s - camera.gap_s < lasting_s:
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
