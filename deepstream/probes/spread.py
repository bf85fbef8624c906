"""Spread stage: whom the classifier judges where it cannot judge everybody."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from deepstream.meta import FrameMeta, MetaDoor
from deepstream.probes.crops import FramesInFlight
from ropewatch.budget import Budget, Entry
from ropewatch.spread import Asked, Spread, choose

log = logging.getLogger("ropewatch.classifier")


@dataclass(slots=True)
class ArriveStage:
    """Observes: notes when a frame reaches the queue in front of the classifier."""

    arrived: FramesInFlight[float]
    clock: Callable[[], float] = time.monotonic

    def __call__(self, frame: FrameMeta) -> None:
        """Note the time."""
        self.arrived.put(frame.key, self.clock())


@dataclass(slots=True)
class SpreadStage:
    """Observes the classifier's queue, and chooses whom it judges; on the SGIE's sink pad.

    Attributes:
        most: people of each frame; all: everybody. auto: as many as the budget says, of the
            frames of live sources; nobody else's frames have a rate to keep.
        spreads: one for each source, that knows who needs it most; empty where all are judged.
        live: which sources run in real time.
        budget: learns from what live frames have waited; None without live sources.
        arrived: when frames reached the queue.
        chosen: what the expand stage goes by.
    """

    door: MetaDoor
    most: int | Literal["auto", "all"]
    spreads: tuple[Spread, ...]
    live: tuple[bool, ...]
    budget: Budget | None
    arrived: FramesInFlight[float]
    chosen: FramesInFlight[list[bool]]
    clock: Callable[[], float] = time.monotonic
    _is_cut: bool = False

    def take_batch(self, frames: Sequence[FrameMeta]) -> None:
        """Choose for all frames of a batch together."""
        now_s = self.clock()
        waits_s = [
            now_s - at_s
            for frame in frames
            if (at_s := self.arrived.pop(frame.key)) is not None and self.live[frame.pad_index]
        ]
        asked = [(frame, self._ask(frame)) for frame in frames] if self.spreads else []
        if self.most == "auto":
            asked = [(frame, each) for frame, each in asked if self.live[frame.pad_index]]
        counted = self._choose(asked)
        if self.budget is not None and waits_s:
            entry = Entry(now_s, max(waits_s), len(waits_s), *counted)
            self.budget.take(entry)
            self._tell(self.budget)

    def _ask(self, frame: FrameMeta) -> Asked:
        object_ids = [self.door.object_id(person) for person in self.door.persons(frame)]
        return Asked(self.spreads[frame.pad_index], object_ids, frame.pts_ns)

    def _choose(self, asked: Sequence[tuple[FrameMeta, Asked]]) -> tuple[int, int, float]:
        """Choose; return how many are judged and passed over, and the scores a second they need.

        Zeros where the budget has no say.
        """
        if isinstance(self.most, int):
            for frame, each in asked:
                self.chosen.put(frame.key, choose([each], self.most)[0])
            return 0, 0, 0.0
        most = None if self.budget is None else self.budget.most(len(asked))
        chosen = choose([each for _, each in asked], most)
        judged = watched = 0
        needs_per_s = 0.0
        for (frame, each), rows in zip(asked, chosen, strict=True):
            self.chosen.put(frame.key, rows)
            judged += sum(rows)
            people = each.spread.watched(each.object_ids)
            watched += people
            needs_per_s += people * each.spread.turns_per_s
        return judged, max(watched - judged, 0), needs_per_s

    def _tell(self, budget: Budget) -> None:
        per_frame = budget.per_frame
        if (per_frame is not None) == self._is_cut:
            return
        self._is_cut = per_frame is not None
        if per_frame is None:
            log.info("keeps up again, everybody is judged in every frame")
        else:
            log.warning("cannot keep up, people take turns crops_per_frame=%.1f", per_frame)
