"""What an overloaded classifier does to alarms: everybody judged, or people taking turns.

A camera, the graph's queues and a classifier of a given speed are simulated; who is judged, the
budget, smoothing, decision and incidents are the real ones, at their defaults. A frame that comes
when the queues are full is lost, as it is on a box. Scores are 0.1 and 0.9, and 3 % of them are on
the wrong side. Every fourth person unclips for ten seconds, one after the other.

Run from the checkout: python -m benchmarks.overload
"""

import random
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ropewatch.budget import Budget, Entry
from ropewatch.decision import NS_PER_S, to_ns
from ropewatch.incidents import Phase
from ropewatch.monitor import SourceMonitor
from ropewatch.observations import FrameObservation, PersonObservation
from ropewatch.settings import SiteSettings
from ropewatch.spread import Asked, Spread, choose

FPS: Final = 25.0
SECONDS: Final = 60.0
WRONG: Final = 0.03
UNSAFE_S: Final = 10.0
SETTLED_S: Final = 20.0
# A start that comes so long after somebody has clipped in again is still about them.
LATE_S: Final = 5.0
# Frames that fit into the jitter buffer, the muxer and the queue of the tracker together, into the
# queue of the classifier, and into nvinfer.
UPSTREAM, QUEUE, INSIDE = 12, 4, 3


@dataclass(frozen=True, slots=True)
class Classifier:
    """How long a frame takes.

    Attributes:
        frame_s: whatever is in it.
        crop_s: for each person.
        step: people of one inference; all of it is paid for the first of them, if `in_steps`.
        slower: how many times as long at some time.
    """

    frame_s: float = 0.005
    crop_s: float = 0.002
    step: int = 16
    in_steps: bool = False
    slower: Callable[[float], float] = lambda _: 1.0

    def takes_s(self, people: int, at_s: float) -> float:
        """Return the time for a frame."""
        paid = -(-people // self.step) * self.step if self.in_steps else people
        return (self.frame_s + self.crop_s * paid) * self.slower(at_s)


@dataclass(frozen=True, slots=True)
class Judged:
    """A frame that got through.

    Attributes:
        pts_s: when it was captured.
        entered_s: when the classifier took it.
        left_s: when the classifier was done.
        rows: who was judged.
        per_frame: the budget then.
    """

    pts_s: float
    entered_s: float
    left_s: float
    rows: list[bool]
    per_frame: float | None


@dataclass(slots=True)
class Graph:
    """One camera's frames on their way through the queues and the classifier.

    Attributes:
        people: in the picture at a time.
        most: all, auto, or a number.
        done: takes each frame that gets through.
    """

    classifier: Classifier
    people: Callable[[float], int]
    most: int | str = "auto"
    done: Callable[[Judged], None] = lambda _: None
    fps: float = FPS
    muxer_fps: float = FPS
    lost: list[float] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    spread: Spread = field(
        default_factory=lambda: Spread(threshold=0.5, max_evidence_age_ns=NS_PER_S)
    )

    def run(self, seconds: float = SECONDS) -> None:
        """Let the camera run."""
        step = self.classifier.step
        budget = Budget(cameras=1, frames_per_s=self.muxer_fps, step=step)
        upstream: deque[float] = deque()
        queue: deque[tuple[float, float]] = deque()
        inside: deque[Judged] = deque()
        free_s = 0.0
        for now_s, is_frame in self._moments(inside, seconds):
            if not is_frame:
                self.done(inside.popleft())
            elif len(upstream) < UPSTREAM:
                upstream.append(now_s)
            else:
                self.lost.append(now_s)
            while (upstream and len(queue) < QUEUE) or (queue and len(inside) < INSIDE):
                if upstream and len(queue) < QUEUE:
                    queue.append((upstream.popleft(), now_s))
                if queue and len(inside) < INSIDE:
                    pts_s, arrived_s = queue.popleft()
                    rows = self._choose(budget, pts_s, now_s, now_s - arrived_s)
                    free_s = max(free_s, now_s) + self.classifier.takes_s(sum(rows), now_s)
                    inside.append(Judged(pts_s, now_s, free_s, rows, budget.per_frame))
                    self.judged.append(inside[-1])

    def _moments(self, inside: "deque[Judged]", seconds: float) -> Iterator[tuple[float, bool]]:
        """Walk through time: a frame comes, or the classifier is done with one."""
        number = 0
        while number / self.fps < seconds:
            while inside and inside[0].left_s <= number / self.fps:
                yield inside[0].left_s, False
            yield number / self.fps, True
            number += 1

    def _choose(self, budget: Budget, pts_s: float, now_s: float, waited_s: float) -> list[bool]:
        ids = list(range(self.people(pts_s)))
        most = self.most if isinstance(self.most, int) else None
        if self.most == "auto":
            most = budget.most(1)
        (rows,) = choose([Asked(self.spread, ids, to_ns(pts_s))], most)
        needs_per_s = len(ids) * self.spread.turns_per_s
        budget.take(Entry(now_s, waited_s, 1, sum(rows), len(ids) - sum(rows), needs_per_s))
        return rows

    def oldest_s(self, from_s: float, to_s: float = SECONDS) -> float:
        """Return the greatest age of anybody's evidence in the frames of some time."""
        last_s: dict[int, float] = {}
        oldest_s = 0.0
        for frame in self.judged:
            last_s.update({n: frame.pts_s for n, judged in enumerate(frame.rows) if judged})
            if from_s <= frame.pts_s < to_s:
                ages = [frame.pts_s - last_s.get(n, frame.pts_s) for n in range(len(frame.rows))]
                oldest_s = max(oldest_s, *ages)
        return oldest_s


class Site:
    """People in a grid, some of whom unclip, and what becomes of it."""

    def __init__(self, people: int, graph: Graph) -> None:
        self._people, self._graph = people, graph
        self._random = random.Random(people)
        numbers = iter(range(10**9))
        self._monitor = SourceMonitor("cam", _settings(), lambda: str(next(numbers)))
        self.unsafe = {
            n: SETTLED_S + (SECONDS - SETTLED_S - UNSAFE_S) * n / people
            for n in range(0, people, 4)
        }
        self.starts: list[tuple[int, float]] = []
        graph.done = self._take

    def _take(self, frame: Judged) -> None:
        persons = tuple(
            PersonObservation(n, _box(n), 0.9, self._score(n, frame.pts_s) if judged else None)
            for n, judged in enumerate(frame.rows)
        )
        observation = FrameObservation(
            "cam", 0, to_ns(frame.pts_s), None, (1920, 1080), True, persons
        )
        result = self._monitor.update(observation)
        self._graph.spread.learn(result.verdicts)
        for event in result.events:
            if event.phase is Phase.START:
                self.starts.append((event.object_ids[-1], frame.left_s))

    def _score(self, person: int, at_s: float) -> float:
        began_s = self.unsafe.get(person, SECONDS)
        is_unsafe = began_s <= at_s < began_s + UNSAFE_S
        return 0.9 if is_unsafe != (self._random.random() < WRONG) else 0.1

    def delays_s(self) -> dict[int, float]:
        """Return the time from unclipping to the alarm, of those who got one."""
        found: dict[int, float] = {}
        for person, at_s in self.starts:
            began_s = self.unsafe.get(person, SECONDS)
            if 0 <= at_s - began_s < UNSAFE_S + LATE_S:
                found.setdefault(person, at_s - began_s)
        return found

    def false_starts(self) -> int:
        """Count starts of people who were safe."""
        return sum(
            not 0 <= at_s - self.unsafe.get(person, SECONDS) < UNSAFE_S + LATE_S
            for person, at_s in self.starts
        )


def _box(n: int) -> tuple[float, float, float, float]:
    return (20.0 + 150 * (n % 12), 20.0 + 200 * (n // 12), 40.0, 80.0)


def _settings() -> SiteSettings:
    document: dict[str, Any] = {
        "site": "s",
        "box": "b",
        "sources": [{"id": "cam", "uri": "rtsp://cam"}],
        "muxer": {"fps": FPS, "width_px": 1920, "height_px": 1080},
        "detector": {"config_file": "pgie.txt"},
        "tracker": {"ll_config_file": "iou.yml"},
        "classifier": {
            "config_file": "sgie.txt",
            "score_label": "unroped",
            "alert_when": "at_or_above",
        },
        "decision": {"threshold": 0.5},
        "mqtt": {"host": "broker"},
    }
    return SiteSettings.model_validate(document)


def main() -> None:
    """Print the tables."""
    print(
        "| people | classifier | judged | fps | scores/s | oldest evidence | to the alarm |"
        " missed | false |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, classifier in (
        ("2 ms a person", Classifier()),
        ("8 ms a person", Classifier(crop_s=0.008)),
        ("20 ms a person", Classifier(crop_s=0.02)),
        ("16 for 30 ms", Classifier(crop_s=0.03 / 16, in_steps=True)),
    ):
        for people in (5, 20, 60):
            for most in ("all", "auto"):
                print(_row(name, classifier, people, most))


def _row(name: str, classifier: Classifier, people: int, most: str) -> str:
    graph = Graph(classifier, lambda _: people, most)
    site = Site(people, graph)
    graph.run()
    settled = [frame for frame in graph.judged if frame.pts_s >= SETTLED_S]
    lasted_s = SECONDS - SETTLED_S
    delays_s = sorted(site.delays_s().values())
    told = "none"
    if delays_s:
        told = f"{statistics.median(delays_s):.1f} s, {delays_s[-1]:.1f} s"
    return (
        f"| {people} | {name} | {most} | {len(settled) / lasted_s:.1f} "
        f"| {sum(sum(frame.rows) for frame in settled) / lasted_s:.0f} "
        f"| {graph.oldest_s(SETTLED_S):.2f} s | {told} "
        f"| {len(site.unsafe) - len(delays_s)} of {len(site.unsafe)} | {site.false_starts()} |"
    )


if __name__ == "__main__":
    main()
