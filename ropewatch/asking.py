"""Asks a box to do something and waits for its answer; `ropewatch command` on a terminal."""

import argparse
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import to_json

from ropewatch.client import Received, Subscriber
from ropewatch.commands import EXPIRY_S, PACKET_MAX_BYTES, Answer, AnswerStatus
from ropewatch.errors import BrokerError, SettingsError
from ropewatch.listen import subscriber_of
from ropewatch.payloads import Payload
from ropewatch.reading import parse
from ropewatch.topics import ANSWER, ROOT

TIMEOUT_S: Final = 10.0
# At most: lengths, expiry, correlation data, content type.
PROPERTIES_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Line:
    """Who asks which box.

    Attributes:
        site: the box's site.
        box: the box.
        sender: who asks; one of the box's `mqtt.commands.senders`.
    """

    site: str
    box: str
    sender: str

    @property
    def answers(self) -> str:
        """The topic of the answers, for `Subscriber`."""
        return ANSWER.of(site=self.site, box=self.box, sender=self.sender)


def ask(
    subscriber: Subscriber,
    line: Line,
    verb: str,
    content: Mapping[str, Any],
    *,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Send a command and return the answer; a change that is taken back is told later.

    Args:
        subscriber: connected, to the topic `line.answers`.
        line: who asks whom.
        verb: ping, snapshot, acknowledge, set or confirm.
        content: of the command; a `request_id` is made where it has none.
        timeout_s: how long to wait for the answer.

    Raises:
        BrokerError: there is no answer, or the command is too large to be asked.
    """
    correlation = secrets.token_bytes(8)
    topic = f"{ROOT}/{line.site}/{line.box}/command/{line.sender}/{verb}"
    payload = to_json({"request_id": secrets.token_hex(8), **content})
    # Else the broker drops it and says so to nobody.
    size_bytes = len(payload) + len(topic) + len(line.answers) + PROPERTIES_BYTES
    if size_bytes > PACKET_MAX_BYTES:
        raise BrokerError(
            f"command: {size_bytes} bytes with its topic, want {PACKET_MAX_BYTES} at most; send "
            "fewer zones, or corners with fewer digits"
        )
    subscriber.send(
        topic,
        payload,
        expiry_s=min(EXPIRY_S, max(int(timeout_s), 1)),
        response_topic=line.answers,
        correlation=correlation,
    )
    end_s = time.monotonic() + timeout_s
    while (left_s := end_s - time.monotonic()) > 0:
        received = subscriber.next(left_s)
        if received is None or received.correlation != correlation:
            continue
        answer = _read(line, received)
        if isinstance(answer, Answer):
            return answer
    raise BrokerError(
        f"{line.site}/{line.box}: no answer within {timeout_s:g} s, want a box that is on and has "
        f"{line.sender} in mqtt.commands.senders, and a broker that lets {line.sender} ask; "
        "look at the box's status, and at the broker's access list"
    )


def _read(line: Line, received: Received) -> Payload | None:
    try:
        return parse(received.topic, received.payload)
    except ValueError as error:
        raise BrokerError(
            f"{line.site}/{line.box}: {error}, want an answer that this ropewatch knows; use the "
            "version of the box"
        ) from None


def command(args: argparse.Namespace) -> int:
    """Ask, print the answer as JSON, and return 1 when it is no.

    Args:
        args: as `ropewatch.cli` parses them.

    Raises:
        BrokerError: the broker is absent or refuses, or the box does not answer.
        SettingsError: the content is no JSON object.
    """
    try:
        content = json.loads(args.content)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise SettingsError(
            f"--content: {args.content}, want a JSON object such as "
            '{"camera": "gate", "decision": {"threshold": 0.5}}; quote it for the shell'
        )
    line = Line(args.site_name, args.box, args.sender)
    with subscriber_of(args, (line.answers,)) as subscriber:
        answer = ask(subscriber, line, args.verb, content, timeout_s=args.timeout_s or TIMEOUT_S)
    print(answer.model_dump_json(exclude_none=True))
    return 1 if answer.status is AnswerStatus.REJECTED else 0
