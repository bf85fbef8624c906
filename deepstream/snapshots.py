"""Pictures of incidents: the smooth stage asks, a stage behind a queue encodes, a worker marks.

An alert never waits for its picture. Everything is bounded, and what is not taken is counted.
"""

import hashlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from deepstream.marking import Picture, mark
from deepstream.meta import FrameMeta
from ropewatch.incidents import IncidentEvent, Phase, Snapshot
from ropewatch.settings import SnapshotSettings

log = logging.getLogger("ropewatch.snapshots")

# Of the encoder; the marked picture is encoded once more.
FRAME_QUALITY: Final = 95
MAX_FRAMES_WANTED: Final = 64
MAX_WAITING: Final = 8
STOP_TIMEOUT_S: Final = 5.0
MINUTE_S: Final = 60.0


class Encoder(Protocol):
    """Makes a JPEG of a whole frame."""

    def jpeg(self, frame: FrameMeta) -> bytes:
        """Encode a frame; raises when nothing comes of it."""

    def close(self) -> None:
        """Let go of the device."""


# Takes a picture that somebody has asked for, on the worker's thread.
Taker: TypeAlias = Callable[[Picture], None]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a picture is for: an incident that starts, or somebody who has asked."""

    event: IncidentEvent | None = None
    taker: Taker | None = None


@dataclass(frozen=True, slots=True)
class _Shot:
    pad_index: int
    wish: _Wish
    jpeg: bytes


class Snapshots:
    """Observes: encodes the frames in which an incident started; a worker does the rest.

    Three threads meet here and none waits for another: the smooth stage asks (`want`) and fetches
    what is done (`ready`), the stage on the queue's src pad encodes, and whoever publishes takes
    the bytes (`take`).

    Attributes:
        taken: pictures that were made.
        missed: those that were not, or whose incident was over before.
        over_limit: those that were not because the operator wants no more in a minute.

    Args:
        encoder: of whole frames.
        settings: the bounds.
        sources: number of cameras.
        settle: waits until what was decided so far is on disk, a short time; False when it is not.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        encoder: Encoder,
        settings: SnapshotSettings,
        *,
        sources: int,
        settle: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.taken = 0
        self.missed = 0
        self.over_limit = 0
        self._encoder, self._settings, self._clock = encoder, settings, clock
        self._settle = settle
        self._changed = threading.Condition()
        self._wanted: dict[tuple[int, int], list[_Wish]] = {}
        self._asked: dict[int, list[_Wish]] = {}
        self._recent_s: tuple[deque[float], ...] = tuple(deque() for _ in range(sources))
        self._shots: deque[_Shot] = deque()
        self._done: tuple[list[tuple[str, Snapshot]], ...] = tuple([] for _ in range(sources))
        self._jpegs: dict[str, bytes] = {}
        self._told: set[str] = set()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)

    def start(self) -> None:
        """Start the worker."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, then end the worker."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT_S)

    def close(self) -> None:
        """Let go of the encoder; the pipeline has stopped."""
        self._encoder.close()

    def want(self, pad_index: int, frame_num: int, events: Iterable[IncidentEvent]) -> None:
        """Ask for the picture of each incident that starts in a frame; before it is pushed on."""
        starts = [event for event in events if event.phase is Phase.START]
        if not starts and pad_index not in self._asked:
            return
        with self._changed:
            granted = [_Wish(event) for event in starts if self._grant(pad_index)]
            granted += self._asked.pop(pad_index, [])
            if granted:
                self._wanted[pad_index, frame_num] = granted
            while len(self._wanted) > MAX_FRAMES_WANTED:
                lost = self._wanted.pop(next(iter(self._wanted)))
                self._miss(len(lost), "the frame did not come")

    def ask(self, pad_index: int, taker: Taker) -> bool:
        """Take a picture of a camera's next frame for somebody; False beyond `max_per_minute`."""
        with self._changed:
            if not self._grant(pad_index):
                return False
            self._asked.setdefault(pad_index, []).append(_Wish(taker=taker))
            return True

    def __call__(self, frame: FrameMeta) -> None:
        """Encode the frame if it is wanted."""
        with self._changed:
            wishes = self._wanted.pop(frame.key, None)
        if wishes is None:
            return
        # An encoder that hangs takes all with it that is not on disk, its own start before all.
        if not self._settle():
            with self._changed:
                self._miss(len(wishes), "the start was not on disk in time")
            return
        try:
            jpeg = self._encoder.jpeg(frame)
        except Exception as error:
            with self._changed:
                self._miss(len(wishes), "not encoded", error)
            return
        with self._changed:
            room = MAX_WAITING - len(self._shots)
            self._shots.extend(_Shot(frame.pad_index, wish, jpeg) for wish in wishes[:room])
            self._miss(len(wishes[room:]), "too many at once")
            self._changed.notify()

    def ready(self, pad_index: int) -> list[tuple[str, Snapshot]]:
        """Return, once, the pictures of a camera that were finished, by incident id."""
        with self._changed:
            done = self._done[pad_index].copy()
            self._done[pad_index].clear()
            return done

    def take(self, incident_id: str) -> bytes | None:
        """Return an incident's JPEG, once; None when there is none or it is taken."""
        with self._changed:
            return self._jpegs.pop(incident_id, None)

    def discard(self, incident_id: str) -> None:
        """Forget the picture of an incident that is over."""
        with self._changed:
            self._jpegs.pop(incident_id, None)
            self._miss(1, "the incident was over before")

    def _grant(self, pad_index: int) -> bool:
        recent, now_s = self._recent_s[pad_index], self._clock()
        while recent and now_s - recent[0] >= MINUTE_S:
            recent.popleft()
        if len(recent) >= self._settings.max_per_minute:
            self.over_limit += 1
            return False
        recent.append(now_s)
        return True

    def _miss(self, count: int, why: str, error: Exception | None = None) -> None:
        self.missed += count
        if count and why not in self._told:
            self._told.add(why)
            log.warning("snapshot missed, logged once reason=%s", why, exc_info=error)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._shots or self._stopping)
                if not self._shots:
                    return
                shot = self._shots.popleft()
            try:
                picture = mark(shot.jpeg, shot.wish.event, self._settings)
                if shot.wish.taker is not None:
                    shot.wish.taker(picture)
            except Exception as error:
                with self._changed:
                    self._miss(1, "not marked", error)
                continue
            if shot.wish.event is not None:
                self._finish(shot.pad_index, shot.wish.event, picture)

    def _finish(self, pad_index: int, event: IncidentEvent, picture: Picture) -> None:
        snapshot = Snapshot(
            sha256=hashlib.sha256(picture.jpeg).hexdigest(),
            size_bytes=len(picture.jpeg),
            size_wh_px=picture.size_wh_px,
            pts_ns=event.pts_ns,
        )
        with self._changed:
            self.taken += 1
            self._jpegs[event.incident_id] = picture.jpeg
            self._done[pad_index].append((event.incident_id, snapshot))
