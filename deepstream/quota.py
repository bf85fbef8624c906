"""How many commands the box takes from each sender: a storm of them must not reach the alerts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

BURST: Final = 60
EVERY_S: Final = 1.0
# Who is not obeyed is told so now and then, for whoever has mistaken a name.
STRANGERS_BURST: Final = 5
STRANGERS_EVERY_S: Final = 60.0
LASTING_S: Final = 60.0
STRANGERS: Final = "senders that are not in mqtt.commands.senders"


@dataclass(slots=True)
class _Bucket:
    """What one sender may still send; it fills up with time."""

    burst: int
    every_s: float
    left: float
    filled_s: float
    over_s: float | None = None

    def take(self, now_s: float) -> bool:
        self.left = min(self.burst, self.left + (now_s - self.filled_s) / self.every_s)
        self.filled_s = now_s
        if self.left < 1:
            self.over_s = now_s
            return False
        self.left -= 1
        return True


class Quota:
    """A burst of commands for each sender, then one each second; strangers share a small one.

    Args:
        senders: who is obeyed.
        clock_s: monotonic seconds.
    """

    def __init__(self, senders: Iterable[str], clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        now_s = clock_s()
        self._buckets = {name: _Bucket(BURST, EVERY_S, BURST, now_s) for name in senders}
        # One for all: they could make up names without end.
        self._strangers = _Bucket(STRANGERS_BURST, STRANGERS_EVERY_S, STRANGERS_BURST, now_s)

    def admit(self, sender: str) -> bool:
        """Say whether one more command of a sender is taken."""
        return self._buckets.get(sender, self._strangers).take(self._clock_s())

    def troubles(self) -> list[str]:
        """Say who sends too much, until a minute after they did."""
        now_s = self._clock_s()
        buckets = [*self._buckets.items(), (STRANGERS, self._strangers)]
        return [
            f"commands: too many of {name}, some are dropped"
            for name, bucket in buckets
            if bucket.over_s is not None and now_s - bucket.over_s < LASTING_S
        ]
