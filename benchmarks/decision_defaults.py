"""What the delays of the decision cost and buy, on simulated scores.

A person who is safe gives wrong scores at a given rate and in bursts of a given mean length;
from how often that starts an incident come the false starts per person-hour. A person who
becomes unsafe gives right scores with the same kind of gaps; from that comes the delay.
The smoothing and the decision are the real ones, the scores are not: real errors depend on the
scene. The figures in docs/decisions/0001-decision-defaults.md come from here.

Run from the checkout: python -m benchmarks.decision_defaults
"""

import argparse
import random
from collections.abc import Iterator

import numpy as np

from ropewatch.decision import NS_PER_S, PersonDecision, Rule
from ropewatch.judging import DecisionSettings
from ropewatch.settings import AlertWhen
from ropewatch.smoothing import MedianSmoother

OPEN_AFTER_S = (0.0, 0.25, 0.5, 1.0, 2.0)
CLOSE_AFTER_S = (0.0, 0.5, 1.0, 2.0, 4.0)
SAFE_S, UNSAFE_S = 5.0, 15.0
BOX = [[100.0, 100.0, 150.0, 220.0]]


def wrong_scores(rng: random.Random, frames: int, rate: float, burst: float) -> Iterator[bool]:
    """Say for each frame whether its score is on the wrong side (a two-state Markov chain)."""
    leave = 1 / burst
    enter = leave * rate / (1 - rate)
    wrong = rng.random() < rate
    for _ in range(frames):
        yield wrong
        wrong = rng.random() >= leave if wrong else rng.random() < enter


def smoothed(alert_side: Iterator[bool], fps: float) -> list[float]:
    """Reference smoothing of scores that are 0.9 on the alert side and 0.1 off it."""
    smoother = MedianSmoother()
    return [
        float(smoother.smooth(BOX, np.array([0.9 if alert else 0.1]), number / fps)[0])
        for number, alert in enumerate(alert_side)
    ]


def starts(
    scores: list[float], fps: float, open_after_s: float, close_after_s: float
) -> list[int]:
    """Frame numbers at which an incident starts."""
    settings = DecisionSettings(
        threshold=0.5, open_after_s=open_after_s, close_after_s=close_after_s
    )
    decision = PersonDecision(Rule.of(settings, AlertWhen.AT_OR_ABOVE))
    numbers = []
    for number, score in enumerate(scores):
        was = decision.unsafe
        decision.take(score, score, round(number / fps * NS_PER_S))
        if decision.unsafe and not was:
            numbers.append(number)
    return numbers


def main() -> None:
    """Print one table for false starts, one for delays, one for split incidents."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, default=3.0, help="default: %(default)s")
    parser.add_argument("--fps", type=float, default=10.0, help="default: %(default)s")
    parser.add_argument("--rate", type=float, default=0.05, help="wrong scores; %(default)s")
    args = parser.parse_args()
    frames = int(args.hours * 3600 * args.fps)
    print(f"{args.rate:.0%} wrong scores, {args.fps:g} fps, {args.hours:g} person-hours a cell")
    for burst in (1.0, 3.0, 10.0):
        rng = random.Random(1)
        safe = smoothed(wrong_scores(rng, frames, args.rate, burst), args.fps)
        gaps = list(wrong_scores(rng, frames, args.rate, burst))
        unsafe = smoothed((not wrong for wrong in gaps), args.fps)
        turning = smoothed(
            (
                not wrong and n % _turn(args.fps) >= SAFE_S * args.fps
                for n, wrong in enumerate(gaps)
            ),
            args.fps,
        )
        print(f"bursts of {burst / args.fps:g} s on average")
        for open_after_s in OPEN_AFTER_S:
            false_starts = len(starts(safe, args.fps, open_after_s, 2.0)) / args.hours
            print(f"  open_after_s {open_after_s:<4g} false starts/h {false_starts:7.1f}", end="")
            print(f"   delay s {_delays(turning, args.fps, open_after_s)}")
        for close_after_s in CLOSE_AFTER_S:
            pieces = len(starts(unsafe, args.fps, 0.5, close_after_s)) / args.hours
            print(f"  close_after_s {close_after_s:<4g} one hour unsafe: {pieces:6.1f} incidents")


def _turn(fps: float) -> int:
    return int((SAFE_S + UNSAFE_S) * fps)


def _delays(turning: list[float], fps: float, open_after_s: float) -> str:
    """Median and 95th percentile of the time from turning unsafe to the start."""
    delays = []
    for begin in range(0, len(turning) - _turn(fps) + 1, _turn(fps)):
        numbers = starts(turning[begin : begin + _turn(fps)], fps, open_after_s, 2.0)
        # The median may still hold the end of the turn before; that start is not this one's.
        found = [number / fps - SAFE_S for number in numbers if number >= SAFE_S * fps]
        delays.append(found[0] if found else UNSAFE_S)
    return f"median {np.median(delays):.2f}, 95 % {np.quantile(delays, 0.95):.2f}"


if __name__ == "__main__":
    main()
