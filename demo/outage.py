"""`scripts/demo --outage`: the broker is killed in the middle of the run and comes back."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from demo.broker import PrivateBroker
from ropewatch.payloads import IncidentMessage

AWAY_S: Final = 10.0
# Stream time. From here on incidents start and end while the broker is away, and enough of the
# clip is left for the box to find it again.
FROM_S: Final = 14.0
LATE_AFTER_S: Final = 2.0
# A consumer's pauses double, so the one that the broker's return falls into is as long as that.
RECONNECT_S: Final = AWAY_S + 6.0


def broker_config(folder: Path) -> str:
    """Return what lets a broker keep its consumers' sessions when it is killed.

    Args:
        folder: for its database; it is made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return (
        "persistence true\n"
        f"persistence_location {folder}/\n"
        "autosave_on_changes true\n"
        "autosave_interval 1\n"
        # Started by root it would become a user who cannot write there.
        "user root\n"
    )


class Outage:
    """Kills a broker once, and starts it again after a while."""

    def __init__(self, broker: PrivateBroker) -> None:
        self._broker = broker
        self._began: str | None = None
        self._back_s: float | None = None
        self._thread = threading.Thread(target=self._away)

    def look(self, message: IncidentMessage) -> None:
        """Begin with the first message from the middle of the clip on."""
        if self._began is None and message.data.pts_ns >= FROM_S * 1e9:
            self._began = time.strftime("%H:%M:%S")
            print(f"{self._began}  broker killed, back in {AWAY_S:g} s", flush=True)
            self._broker.kill()
            self._thread.start()

    def reconnecting_s(self) -> float:
        """Return for how long a subscriber may still be on its way back, in seconds."""
        if self._began is None:
            return 0.0
        self._thread.join()
        assert self._back_s is not None
        return max(self._back_s + RECONNECT_S - time.monotonic(), 0.0)

    def figures(self, messages: Sequence[IncidentMessage]) -> dict[str, str]:
        """Return what became of the messages, caption to value."""
        late = late_ms(messages)
        longest = f", the longest waited {max(late) / 1e3:.1f} s" if late else ""
        return {
            "broker killed": f"at {self._began} for {AWAY_S:g} s" if self._began else "never",
            "incident messages marked late": f"{len(late)}{longest}",
        }

    def _away(self) -> None:
        time.sleep(AWAY_S)
        self._broker.start()
        self._back_s = time.monotonic()
        print(f"{time.strftime('%H:%M:%S')}  broker is back", flush=True)


def late_ms(messages: Sequence[IncidentMessage]) -> list[int]:
    """Return how long each late message has waited."""
    deliveries = [message.data.delivery for message in messages]
    return [one.queued_ms for one in deliveries if one is not None and one.late]
