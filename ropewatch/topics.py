"""Every topic of a box: one table for what sends, what reads, the documents and AsyncAPI."""

import re
from dataclasses import dataclass
from typing import Final

from ropewatch.commands import EXPIRY_S, REQUESTS, Answer
from ropewatch.payloads import (
    SCHEMA_VERSION,
    BoxStatus,
    CameraState,
    CameraStatus,
    ClockMessage,
    IncidentMessage,
    Payload,
)
from ropewatch.section import NAME_PATTERN
from ropewatch.telemetry_payloads import Telemetry

ROOT: Final = f"ropewatch/v{SCHEMA_VERSION.partition('.')[0]}"
JSON: Final = "application/json"
CLOUDEVENTS_JSON: Final = "application/cloudevents+json"
JPEG: Final = "image/jpeg"
DAY_S: Final = 24 * 3600

_NAMES: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Topic:
    """One kind of message and how it travels.

    Attributes:
        name: of the kind; also of its JSON Schema under configs/schema.
        below: levels below site and box, names in braces.
        payload: model of the content; None where that is no JSON.
        what: one line for people.
        qos: 0, 1 or 2.
        retain: kept by the broker for new subscribers.
        expiry_s: the broker forgets it after this long; None never.
        content_type: MQTT 5 property.
        received: it goes to the box, which receives it.
    """

    name: str
    below: str
    payload: type[Payload] | None
    what: str
    qos: int = 1
    retain: bool = False
    expiry_s: int | None = None
    content_type: str = JSON
    received: bool = False

    @property
    def address(self) -> str:
        """The whole topic, names in braces."""
        return f"{ROOT}/{{site}}/{{box}}/{self.below}"

    @property
    def filter(self) -> str:
        """What to subscribe to for all boxes and cameras."""
        return _NAMES.sub("+", self.address)

    def of(self, **names: str) -> str:
        """Return the topic of one box and camera."""
        return self.address.format(**names)

    def names(self, text: str) -> dict[str, str] | None:
        """Return the names in a topic, by level; None where it is not of this kind."""
        found = _pattern(self).fullmatch(text)
        return None if found is None else found.groupdict()


INCIDENT: Final = Topic(
    "incident",
    "camera/{camera}/incident",
    IncidentMessage,
    "start, update and end of an incident",
    # Never retained: a late subscriber must not take an old start for a new one.
    expiry_s=7 * DAY_S,
    content_type=CLOUDEVENTS_JSON,
)
CAMERA_STATE: Final = Topic(
    "camera_state",
    "camera/{camera}/state",
    CameraState,
    "open incidents, and how many people are safe, unsafe, unknown",
    retain=True,
)
CAMERA_STATUS: Final = Topic(
    "camera_status",
    "camera/{camera}/status",
    CameraStatus,
    "`watching` or `blind`, and why",
    retain=True,
)
STATUS: Final = Topic(
    "status",
    "status",
    BoxStatus,
    "`online`, `degraded` or `offline`, with reasons, backend, versions, counters",
    retain=True,
)
SNAPSHOT: Final = Topic(
    "snapshot",
    "camera/{camera}/snapshot/{incident_id}",
    None,
    "a JPEG of the incident's start, if the site wants them",
    expiry_s=DAY_S,
    content_type=JPEG,
)
CLOCK: Final = Topic(
    "clock",
    "clock",
    ClockMessage,
    "how wrong earlier times of this run were, once the box's clock is corrected",
    expiry_s=7 * DAY_S,
    content_type=CLOUDEVENTS_JSON,
)
TELEMETRY: Final = Topic(
    "telemetry",
    "telemetry",
    Telemetry,
    "rates, latencies, queue, temperatures, free disk",
    qos=0,
    expiry_s=60,
)
ANSWER: Final = Topic(
    "answer",
    "response/{sender}",
    Answer,
    "what the box says to a command",
    expiry_s=EXPIRY_S,
)
COMMANDS: Final = tuple(
    Topic(
        f"command_{verb.value}",
        f"command/{{sender}}/{verb.value}",
        model,
        f"to the box: {(model.__doc__ or '').partition('.')[0].lower()}",
        expiry_s=EXPIRY_S,
        received=True,
    )
    for verb, model in REQUESTS.items()
)
TOPICS: Final = (
    INCIDENT,
    SNAPSHOT,
    CAMERA_STATE,
    CAMERA_STATUS,
    STATUS,
    CLOCK,
    TELEMETRY,
    ANSWER,
    *COMMANDS,
)


def topic_of(text: str) -> Topic | None:
    """Return which of the table's topics this is; None if it is none of them."""
    return next((topic for topic in TOPICS if topic.names(text) is not None), None)


def _pattern(topic: Topic) -> re.Pattern[str]:
    return re.compile(_NAMES.sub(rf"(?P<\1>{NAME_PATTERN.strip('^$')})", topic.address))


def client_id(site: str, box: str) -> str:
    """Return what a box is called at the broker; a slash is in no name, so no two share one."""
    return f"ropewatch/{site}/{box}"
