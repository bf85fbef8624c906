"""How long incident messages take, from the frame that they are about to the broker's answer."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

NEWEST: Final = 1000


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Nearest-rank percentiles, in seconds."""

    p50_s: float
    p95_s: float
    p99_s: float


class Latencies:
    """The newest 1,000 of a run; not for several threads.

    Attributes:
        count: all of the run.
    """

    def __init__(self) -> None:
        self.count = 0
        self._newest: deque[float] = deque(maxlen=NEWEST)

    def add(self, seconds: float) -> None:
        """Take one; a negative one, when a clock was set in between, is no latency."""
        if seconds >= 0:
            self.count += 1
            self._newest.append(seconds)

    def percentiles(self) -> Percentiles | None:
        """Return those of the newest; None before the first."""
        if not self._newest:
            return None
        rising = sorted(self._newest)
        return Percentiles(*(rising[math.ceil(p * len(rising)) - 1] for p in (0.5, 0.95, 0.99)))
