"""What an incident rests on, so that it explains itself: scores, crop, track ids, crossings."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from ropewatch.decision import Rule
from ropewatch.observations import BoxLtwh, PersonObservation

MAX_POINTS: Final = 96
"""Three seconds at 30 fps: more than the default windows, and a few kilobytes in a message."""


@dataclass(frozen=True, slots=True)
class TrailPoint:
    """One frame in which the person was seen.

    Attributes:
        pts_ns: stream time of the frame.
        score: raw score of this very frame; None when the classifier did not look.
        smoothed: the smoothed score that stood then: fresh with a score, cached without one,
            None when there was none young enough.
    """

    pts_ns: int
    score: float | None
    smoothed: float | None


@dataclass(frozen=True, slots=True)
class TrackStart:
    """A track id of a person, and when they were first seen under it."""

    object_id: int
    since_pts_ns: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """The reason trail of one incident event.

    Attributes:
        trail: the newest frames, oldest first.
        crop_ltwh_px: what the classifier looked at for the newest score; None where unknown.
        tracks: track ids, oldest first; empty if untracked.
        crossed: numbers of people whose box lay over this one's since they were first seen.
            Where the tracker swapped ids, evidence from before may be theirs.
        rule: what it was compared with; None in recordings made before it was kept.
    """

    trail: tuple[TrailPoint, ...]
    crop_ltwh_px: BoxLtwh | None
    tracks: tuple[TrackStart, ...]
    crossed: tuple[int, ...]
    rule: Rule | None = None


@dataclass(slots=True)
class EvidenceLog:
    """Collects one person's evidence, bounded in time and number.

    Attributes:
        window_ns: frames older than this against the newest are dropped; in the monitor's time,
            which never goes backward.
    """

    window_ns: int
    _points: "deque[tuple[int, TrailPoint]]" = field(
        default_factory=lambda: deque(maxlen=MAX_POINTS)
    )
    _crop_ltwh_px: BoxLtwh | None = None
    _tracks: list[TrackStart] = field(default_factory=list)
    _crossed: list[int] = field(default_factory=list)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Track ids, oldest first."""
        return tuple(track.object_id for track in self._tracks)

    def saw_track(self, object_id: int, pts_ns: int) -> None:
        """Note the track id of a frame."""
        is_newest = bool(self._tracks) and self._tracks[-1].object_id == object_id
        if not is_newest and object_id not in self.object_ids:
            self._tracks.append(TrackStart(object_id, pts_ns))

    def saw_crossing(self, person: int) -> None:
        """Note that another person's box lies over this one's."""
        if person not in self._crossed:
            self._crossed.append(person)

    def add(
        self,
        observation: PersonObservation,
        *,
        judged: bool,
        smoothed: float | None,
        pts_ns: int,
        now_ns: int,
    ) -> None:
        """Note one frame with this person.

        Args:
            observation: the person in it.
            judged: whether its score was taken as evidence.
            smoothed: the smoothed score that stands now.
            pts_ns: stream time.
            now_ns: the monitor's time.
        """
        score = observation.score if judged else None
        if judged:
            self._crop_ltwh_px = observation.crop_ltwh_px
        self._points.append((now_ns, TrailPoint(pts_ns, score, smoothed)))
        while now_ns - self._points[0][0] > self.window_ns:
            self._points.popleft()

    def evidence(self, rule: Rule, *, window_ns: int) -> Evidence:
        """Return what was collected.

        Args:
            rule: what it is compared with.
            window_ns: no older frames than this against the newest.
        """
        newest_ns = self._points[-1][0] if self._points else 0
        return Evidence(
            trail=tuple(point for ns, point in self._points if newest_ns - ns <= window_ns),
            crop_ltwh_px=self._crop_ltwh_px,
            tracks=tuple(self._tracks),
            crossed=tuple(self._crossed),
            rule=rule,
        )
