"""Notices that Home Assistant has started, and says everything anew to it."""

from typing import Final

from deepstream.inbound import Inbound
from deepstream.outbox import Outbox

ONLINE: Final = b"online"


class Birth:
    """Listens to Home Assistant's birth message.

    Discovery, status and states are retained; but a broker may have lost them, and entities that
    are told of without their availability stay unavailable.

    Args:
        topic: where Home Assistant says `online`.
        outbox: has the states.
    """

    def __init__(self, topic: str, outbox: Outbox) -> None:
        self.filter = topic
        self._outbox = outbox

    def take(self, message: Inbound) -> None:
        """Say all states again when Home Assistant has started; it also says when it stops."""
        if message.payload == ONLINE:
            self._outbox.say_again()
