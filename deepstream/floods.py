"""Who listens to what, and where the box stops to listen for a while: too much comes there.

The broker's word that it has an alert comes behind all else that it sends to the box. Thousands of
messages each second would hold up the alerts for many seconds, so the box stops to listen there.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deepstream.inbound import Inbound, Listener

log = logging.getLogger("ropewatch.mqtt")

WINDOW_S: Final = 1.0
MAX_PER_WINDOW: Final = 200
MAX_BYTES_PER_WINDOW: Final = 2 * 1024 * 1024
CLOSED_S: Final = 30.0


@dataclass(slots=True)
class _Door:
    """One listener, and what came to it lately."""

    listener: Listener
    since_s: float = 0.0
    count: int = 0
    size_bytes: int = 0
    closed_s: float | None = None

    def is_flooded(self, message: Inbound, now_s: float) -> bool:
        if now_s - self.since_s >= WINDOW_S:
            self.since_s, self.count, self.size_bytes = now_s, 0, 0
        self.count += 1
        self.size_bytes += len(message.payload)
        return self.count > MAX_PER_WINDOW or self.size_bytes > MAX_BYTES_PER_WINDOW

    def is_over(self, now_s: float) -> bool:
        return self.closed_s is not None and now_s - self.closed_s >= CLOSED_S


class Listeners:
    """The listeners of a box, over all of its connections.

    Args:
        clock_s: monotonic seconds.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._doors: dict[str, _Door] = {}
        self._lock = threading.Lock()

    def add(self, listener: Listener) -> None:
        """Hand over what comes on some topics; before the first connection."""
        self._doors[listener.filter] = _Door(listener)

    @property
    def filters(self) -> tuple[str, ...]:
        """All that somebody listens to, at the moment or not."""
        return tuple(self._doors)

    def open(self) -> list[str]:
        """Return what is listened to at the moment."""
        with self._lock:
            return [name for name, door in self._doors.items() if door.closed_s is None]

    def reopen(self) -> list[str]:
        """Return what was closed long enough ago, and is listened to again."""
        now_s = self._clock_s()
        with self._lock:
            again = [name for name, door in self._doors.items() if door.is_over(now_s)]
            for name in again:
                self._doors[name].closed_s = None
        return again

    def hand_over(self, name: str, message: Inbound) -> bool:
        """Give a message to the listener of a filter; False when it is not to listen any more."""
        door = self._doors[name]
        with self._lock:
            if door.closed_s is not None:
                return True
            now_s = self._clock_s()
            if door.is_flooded(message, now_s):
                door.closed_s = now_s
                log.warning("too much is received, not listened to topic=%s", name)
                return False
        door.listener.take(message)
        return True

    def troubles(self) -> list[str]:
        """Say what is wrong at this moment; empty while all is well."""
        with self._lock:
            return [
                f"nothing is received on {name} for {CLOSED_S:g} s, too much came"
                for name, door in self._doors.items()
                if door.closed_s is not None
            ]
