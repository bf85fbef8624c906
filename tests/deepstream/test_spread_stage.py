"""Whom the spread stage chooses; people are their track ids here, frames lists of them."""

from collections.abc import Iterator, Sequence
from typing import Literal

import pytest

from deepstream.meta import FrameMeta
from deepstream.probes.crops import FramesInFlight
from deepstream.probes.spread import ArriveStage, SpreadStage
from ropewatch.budget import Budget
from ropewatch.spread import Spread

S = 10**9
FPS = 25


class Door:
    """Metadata that is only track ids."""

    def persons(self, frame: FrameMeta) -> Iterator[int]:
        yield from frame.view

    def object_id(self, person: int) -> int:
        return person


class Bench:
    """A live camera, pad 0, and a file, pad 1, in front of a classifier."""

    def __init__(self, most: int | Literal["auto", "all"]) -> None:
        self.now_s = 100.0
        self.arrived: FramesInFlight[float] = FramesInFlight()
        self.chosen: FramesInFlight[list[bool]] = FramesInFlight()
        self.budget = Budget(cameras=1, frames_per_s=FPS, step=4)
        spreads = (_spread(), _spread())
        self.arrive = ArriveStage(self.arrived, clock=lambda: self.now_s)
        self.stage = SpreadStage(
            door=Door(),  # type: ignore[arg-type]  # what the stage needs of it
            most=most,
            spreads=() if most == "all" else spreads,
            live=(True, False),
            budget=self.budget,
            arrived=self.arrived,
            chosen=self.chosen,
            clock=lambda: self.now_s,
        )
        self.number = 0

    def batch(self, people: int, *, waits_s: float, every_s: float = 1 / FPS) -> list[list[bool]]:
        """Let a frame of each source through; return who is judged, where somebody chose."""
        frames = [_frame(pad, self.number, range(people)) for pad in (0, 1)]
        self.number += 1
        for frame in frames:
            self.arrive(frame)
        self.now_s += waits_s
        self.stage.take_batch(frames)
        self.now_s += every_s - waits_s
        return [self.chosen.pop(frame.key) or [] for frame in frames]


def _spread() -> Spread:
    return Spread(threshold=0.5, max_evidence_age_ns=S)


def _frame(pad: int, number: int, people: Sequence[int]) -> FrameMeta:
    return FrameMeta(pad, number, number * S // FPS, None, True, 0, people)


def _overload(bench: Bench) -> list[list[bool]]:
    """Let 20 people be judged for 5 ms each."""
    rows = bench.batch(20, waits_s=0.0001)
    for _ in range(60):
        takes_s = 0.005 * (sum(rows[0]) or 20)
        is_behind = takes_s > 1 / FPS
        rows = bench.batch(
            20, waits_s=0.08 if is_behind else 0.0001, every_s=max(takes_s, 1 / FPS)
        )
    return rows


def test_live_people_take_turns_and_those_of_files_do_not() -> None:
    bench = Bench("auto")
    assert bench.batch(20, waits_s=0.0001) == [[True] * 20, []]

    live, file = _overload(bench)

    assert 1 <= sum(live) < 20
    assert file == []
    assert bench.stage.spreads[0].passed_over > 0


def test_a_number_holds_for_each_frame_of_files_too() -> None:
    live, file = _overload(Bench(3))

    assert (sum(live), sum(file)) == (3, 3)


def test_everybody_always_is_left_alone_and_the_queue_still_told() -> None:
    bench = Bench("all")

    assert _overload(bench) == [[], []]
    assert bench.budget.is_short
    assert bench.budget.queue_s == pytest.approx(0.08)
    assert bench.budget.per_frame is None
    assert len(bench.arrived) == len(bench.chosen) == 0


def test_the_beginning_and_end_of_taking_turns_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "ropewatch.classifier")
    bench = Bench("auto")
    _overload(bench)
    for _ in range(90 * FPS):
        bench.batch(2, waits_s=0.0001)

    assert [record.message.split(",")[0] for record in caplog.records] == [
        "cannot keep up",
        "keeps up again",
    ]
