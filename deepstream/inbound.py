"""What comes to the box from the broker, and who takes it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message as it came.

    Attributes:
        topic: in full.
        payload: as sent.
        retained: sent to be kept, so it may be old.
        expiry_s: what was left of its life when it came; None for ever.
        response_topic: where the answer is wanted.
        correlation: what the answer has to bring back.
    """

    topic: str
    payload: bytes
    retained: bool
    expiry_s: int | None
    response_topic: str | None
    correlation: bytes | None


class Listener(Protocol):
    """Takes messages of some topics.

    Attributes:
        filter: which.
    """

    filter: str

    def take(self, message: Inbound) -> None:
        """Take a message, on the network's thread; must not wait."""
