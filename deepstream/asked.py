"""A command as it came, and whether it may be carried out."""

import hashlib
from collections.abc import Container
from dataclasses import dataclass

from pydantic_core import from_json

from deepstream.inbound import Inbound
from ropewatch.commands import EXPIRY_S, Answer, Code, PingRequest, Refused
from ropewatch.settings import SiteSettings
from ropewatch.topics import ANSWER

TEXT_MAX = 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """A command with what its answers need.

    Attributes:
        sender: who asks, by the topic.
        verb: what is asked, by the topic.
        request_id: None where there is none to read.
        text: the payload, or its beginning, for the audit.
        digest: of verb and payload, by which the same command is known.
        home: the sender's topic of answers.
        topic: where to answer; `home` or below.
        correlation: of the command.
    """

    sender: str
    verb: str
    request_id: str | None
    text: str
    digest: bytes
    home: str
    topic: str
    correlation: bytes | None


def read(message: Inbound, site: SiteSettings) -> Asked:
    """Take a message apart; it is not judged."""
    *_, sender, verb = message.topic.split("/")
    home = ANSWER.of(site=site.site, box=site.box, sender=sender)
    wanted = message.response_topic or home
    ours = wanted == home or (wanted.startswith(f"{home}/") and not set(wanted) & set("+#"))
    return Asked(
        sender=sender,
        verb=verb,
        request_id=_request_id(message.payload),
        text=message.payload.decode(errors="replace")[:TEXT_MAX],
        digest=hashlib.sha256(verb.encode() + b"\n" + message.payload).digest(),
        home=home,
        # Answers go nowhere else: a box must not be made to speak for somebody else.
        topic=wanted if ours else home,
        correlation=message.correlation,
    )


def again(answer: Answer, digest: bytes) -> Asked:
    """Return a command of an earlier run by its answer; what it had for answers is gone."""
    home = ANSWER.of(site=answer.site, box=answer.box, sender=answer.sender)
    return Asked(answer.sender, answer.verb, answer.request_id, "", digest, home, home, None)


def check(asked: Asked, message: Inbound, senders: Container[str], *, waited_s: float) -> None:
    """Let a command pass, or not.

    Args:
        asked: the command.
        message: as it came.
        senders: who is obeyed.
        waited_s: how long ago it came.

    Raises:
        Refused: of a sender who may not, maybe old, or to be answered to somebody else.
    """
    if asked.sender not in senders:
        raise Refused(Code.NOT_ALLOWED, f"{asked.sender}: not in mqtt.commands.senders")
    if message.retained:
        raise Refused(Code.RETAINED, "retained, want a command for now; take retain out")
    if message.expiry_s is None or message.expiry_s > EXPIRY_S:
        raise Refused(
            Code.NO_EXPIRY,
            f"message expiry {message.expiry_s or 'not set'}, want {EXPIRY_S} seconds at most",
        )
    if waited_s > message.expiry_s:
        raise Refused(Code.NO_EXPIRY, f"the box came to it after {waited_s:.0f} s; ask again")
    if message.response_topic not in {None, asked.topic}:
        raise Refused(Code.RESPONSE_TOPIC, f"{message.response_topic}: want {asked.home} or below")


def _request_id(payload: bytes) -> str | None:
    """Return the id of a command, which may be none otherwise."""
    try:
        content = from_json(payload)
        return PingRequest(request_id=content["request_id"]).request_id
    except (ValueError, TypeError, KeyError):
        return None
