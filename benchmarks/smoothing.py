"""How much faster the vectorised smoother is than the straightforward one.

Run from the checkout: python -m benchmarks.smoothing
"""

import argparse
import random
import time
from collections.abc import Callable

import numpy as np

from ropewatch.smoothing import MedianSmoother
from tests.core.reference_smoother import Box, ReferenceSmoother

WANT = 20.0


def scene(people: int, frames: int, fps: float) -> list[tuple[list[Box], list[float], float]]:
    """People who sway a little, each with a score, frame by frame."""
    rng = random.Random(1)
    homes = [(rng.uniform(0, 1200), rng.uniform(0, 640)) for _ in range(people)]
    made = []
    for number in range(frames):
        at = [(x + rng.uniform(-2, 2), y + rng.uniform(-2, 2)) for x, y in homes]
        boxes = [(x, y, x + 40, y + 100) for x, y in at]
        made.append((boxes, [rng.random() for _ in boxes], number / fps))
    return made


def seconds_per_frame(smooth: Callable[[int], object], *, fill: int, frames: int) -> float:
    """Fill the buffer, then take the processor time of the frames after it."""
    for number in range(fill):
        smooth(number)
    began = time.process_time()
    for number in range(fill, frames):
        smooth(number)
    return (time.process_time() - began) / (frames - fill)


def main() -> int:
    """Print both times and their ratio; 1 when the ratio is below the promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--fps", type=float, default=30.0, help="default: %(default)s")
    args = parser.parse_args()
    fill = int(args.fps)  # twice the window of 0.5 s: the buffer is full
    frames = scene(args.people, fill + 20, args.fps)
    arrays = [(np.array(boxes), np.array(raw), ts_s) for boxes, raw, ts_s in frames]
    ours, reference = MedianSmoother(), ReferenceSmoother()

    fast = seconds_per_frame(lambda i: ours.smooth(*arrays[i]), fill=fill, frames=len(frames))
    reference.buffer = [(ts_s, boxes, raw) for boxes, raw, ts_s in frames[:fill]]
    slow = seconds_per_frame(lambda i: reference.smooth(*frames[fill + i]), fill=0, frames=5)

    ratio = slow / fast
    print(
        f"{args.people} people a frame, {args.fps:g} fps, full buffers: "
        f"straightforward {slow * 1e3:.1f} ms, vectorised {fast * 1e3:.2f} ms, "
        f"{ratio:.0f} times faster (want {WANT:g})"
    )
    return 0 if ratio >= WANT else 1


if __name__ == "__main__":
    raise SystemExit(main())
