"""What the frame rate does to incidents, for each smoothing strategy.

One person stands still, their scores are 0.1 and 0.9 without any noise, and all settings but the
strategy are at their defaults. The scene begins at 20 phases of the frame interval, since a camera
does not wait for it. The figures in docs/time.md come from here.

Run from the checkout: python -m benchmarks.frame_rates
"""

from typing import Final

from ropewatch.decision import NS_PER_S, PersonDecision, Rule
from ropewatch.judging import DecisionSettings, SmoothingSettings
from ropewatch.settings import AlertWhen
from ropewatch.smoothing import make_smoother

RATES_FPS: Final = (5, 10, 15, 25, 30)
STRATEGIES: Final = ("reference", "track", "window")
PHASES: Final = 20
TURN_S: Final = 5.0
BOX: Final = [[100.0, 100.0, 150.0, 220.0]]


def delays_s(strategy: str, fps: float, *, unsafe_first: bool) -> list[float]:
    """Time from the turn to the start or the end of the incident, one for each phase."""
    return [
        changed_s - TURN_S
        for phase in range(PHASES)
        if (changed_s := _change_s(strategy, fps, phase / PHASES / fps, unsafe_first)) is not None
    ]


def _change_s(strategy: str, fps: float, phase_s: float, unsafe_first: bool) -> float | None:
    smoother = make_smoother(SmoothingSettings.model_validate({"strategy": strategy}))
    decision = PersonDecision(Rule.of(DecisionSettings(threshold=0.5), AlertWhen.AT_OR_ABOVE))
    for number in range(round(2 * TURN_S * fps)):
        ts_s = phase_s + number / fps
        score = 0.9 if (ts_s < TURN_S) == unsafe_first else 0.1
        smoothed = float(smoother.smooth(BOX, [score], ts_s, [1])[0])
        decision.take(score, smoothed, round(ts_s * NS_PER_S))
        if ts_s >= TURN_S and decision.unsafe != unsafe_first:
            return ts_s
    return None


def longest_harmless_burst(strategy: str, fps: float) -> int:
    """How many wrong scores in a row the median hides from somebody who is safe."""
    for burst in range(1, round(2 * fps)):
        smoother = make_smoother(SmoothingSettings.model_validate({"strategy": strategy}))
        scores = [0.1] * round(2 * fps) + [0.9] * burst + [0.1] * round(2 * fps)
        smoothed = [smoother.smooth(BOX, [p], n / fps, [1])[0] for n, p in enumerate(scores)]
        if max(smoothed) >= 0.5:
            return burst - 1
    raise AssertionError("a burst of two seconds turns no median, want one that does")


def main() -> None:
    """Print the table."""
    print("| strategy | fps | to the start | to the end | wrong scores hidden |")
    print("|---|---|---|---|---|")
    for strategy in STRATEGIES:
        for fps in RATES_FPS:
            opened = delays_s(strategy, fps, unsafe_first=False)
            closed = delays_s(strategy, fps, unsafe_first=True)
            hidden = longest_harmless_burst(strategy, fps)
            print(
                f"| `{strategy}` | {fps} | {min(opened):.2f} to {max(opened):.2f} s "
                f"| {min(closed):.2f} to {max(closed):.2f} s | {hidden}, {hidden / fps:.2f} s |"
            )


if __name__ == "__main__":
    main()
