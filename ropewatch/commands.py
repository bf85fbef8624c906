"""What may be asked of a box over MQTT, and what it answers; no MQTT, no clock.

A command goes to `command/SENDER/VERB` below the box's topic, its answer to `response/SENDER`.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Final, TypeAlias

from pydantic import Field, StringConstraints, ValidationError
from pydantic_core import from_json

from ropewatch.faults import describe
from ropewatch.judging import (
    DecisionOverrides,
    OverrideSettings,
    SmoothingOverrides,
    ZoneSettings,
)
from ropewatch.payloads import (
    SCHEMA_VERSION,
    Payload,
    Rfc3339,
    Seconds,
    Version,
)
from ropewatch.section import Name
from ropewatch.settings import SiteSettings, SourceSettings

# A command that has waited is not carried out: who sent it has given up.
EXPIRY_S: Final = 30
# With topic and properties: a dozen zones of 100 corners with all digits, or 150 of ten.
PACKET_MAX_BYTES: Final = 64 * 1024
FAULTS_MAX: Final = 10

RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Verb(str, Enum):
    """What may be asked."""

    PING = "ping"
    SNAPSHOT = "snapshot"
    ACKNOWLEDGE = "acknowledge"
    SET = "set"
    CONFIRM = "confirm"


class PingRequest(Payload):
    """Answer, and nothing else."""

    request_id: RequestId = Field(
        description="Of the sender's making, unique among theirs: a command that comes twice is "
        "carried out once."
    )


class SnapshotRequest(PingRequest):
    """Take a picture of a camera now."""

    camera: Name


class AcknowledgeRequest(PingRequest):
    """Say that somebody looks after an incident."""

    incident_id: str = Field(min_length=1, max_length=64)
    note: str = Field("", max_length=200, description="For whoever reads the incident later.")


class SetRequest(PingRequest):
    """Change how a camera is judged; taken back unless confirmed."""

    camera: Name
    decision: DecisionOverrides = Field(
        DecisionOverrides(),
        description="As overrides.decision in the site file; what is left out stays.",
    )
    smoothing: SmoothingOverrides = Field(
        SmoothingOverrides(), description="As overrides.smoothing; what is left out stays."
    )
    zones: tuple[ZoneSettings, ...] | None = Field(
        None, description="Instead of all zones of the camera; left out: they stay."
    )
    confirm_within_s: float = Field(
        120, ge=5, le=3600, description="The change is taken back after that unless confirmed."
    )


class ConfirmRequest(PingRequest):
    """Keep a change."""

    of: RequestId = Field(description="request_id of the change.")


Request: TypeAlias = (
    PingRequest | SnapshotRequest | AcknowledgeRequest | SetRequest | ConfirmRequest
)
REQUESTS: Final[Mapping[Verb, type[Request]]] = {
    Verb.PING: PingRequest,
    Verb.SNAPSHOT: SnapshotRequest,
    Verb.ACKNOWLEDGE: AcknowledgeRequest,
    Verb.SET: SetRequest,
    Verb.CONFIRM: ConfirmRequest,
}


class AnswerStatus(str, Enum):
    """What became of a command."""

    ACCEPTED = "accepted"
    APPLIED = "applied"
    REJECTED = "rejected"
    REVERTED = "reverted"


class Code(str, Enum):
    """Why."""

    OK = "ok"
    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    NOT_CONFIRMED_IN_TIME = "not_confirmed_in_time"
    NOT_ALLOWED = "not_allowed"
    UNKNOWN_VERB = "unknown_verb"
    RETAINED = "retained"
    NO_EXPIRY = "no_expiry"
    RESPONSE_TOPIC = "response_topic"
    MALFORMED = "malformed"
    UNKNOWN_CAMERA = "unknown_camera"
    UNKNOWN_INCIDENT = "unknown_incident"
    UNKNOWN_CHANGE = "unknown_change"
    INVALID_SETTING = "invalid_setting"
    CHANGE_PENDING = "change_pending"
    NOT_AVAILABLE = "not_available"
    FAILED = "failed"


class PictureTaken(Payload):
    """A picture that was asked for, a message of its own."""

    topic: str = Field(description="Where it was published.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of that message's payload.")
    size_bytes: int = Field(ge=1, description="Of that message's payload.")
    size_wh_px: tuple[int, int] = Field(description="Width and height of the JPEG.")


class Answer(Payload):
    """What a box says to a command; the correlation data are those of the command."""

    version: Version = SCHEMA_VERSION
    site: Name
    box: Name
    boot_id: Name
    sender: str = Field(description="Who has asked, by the command's topic.")
    verb: str
    request_id: RequestId | None = Field(description="null where the command has none to read.")
    status: AnswerStatus = Field(
        description="accepted: it will be done. applied: it is done. rejected: nothing was done. "
        "reverted: what was applied is taken back."
    )
    code: Code
    reason: str | None = Field(description="For a person; null with ok.")
    config_digest: str = Field(description="SHA-256 of the settings that hold now.")
    confirm_within_s: Seconds | None = Field(description="Of an applied change, else null.")
    picture: PictureTaken | None = Field(description="Of a snapshot, once it is taken.")
    time: Rfc3339


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """A command that is not carried out.

    Attributes:
        code: why.
        reason: why, for a person.
    """

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def parse_request(verb: str, payload: bytes) -> Request:
    """Read a command.

    Raises:
        Refused: an unknown verb, or not what belongs to it.
    """
    if verb not in {known.value for known in Verb}:
        raise Refused(
            Code.UNKNOWN_VERB, f"{verb}: unknown, want one of {', '.join(v.value for v in Verb)}"
        )
    model = REQUESTS[Verb(verb)]
    try:
        return model.model_validate(from_json(payload))
    except ValidationError as error:
        # There may be thousands.
        some = error.errors(include_url=False)[:FAULTS_MAX]
        faults = "; ".join(describe(fault, model) for fault in some)
        raise Refused(Code.MALFORMED, faults) from None
    except ValueError as error:
        raise Refused(Code.MALFORMED, f"not JSON: {error}") from None


def source_of(site: SiteSettings, camera: str) -> SourceSettings:
    """Return the settings of a camera.

    Raises:
        Refused: there is no such camera.
    """
    for source in site.sources:
        if source.id == camera:
            return source
    names = ", ".join(source.id for source in site.sources)
    raise Refused(Code.UNKNOWN_CAMERA, f"camera: {camera}, want one of {names}")


def changed(site: SiteSettings, request: SetRequest) -> SiteSettings:
    """Return the site with a camera's change, held to all rules of a site file.

    Raises:
        Refused: there is no such camera, or the settings do not fit.
    """
    source = source_of(site, request.camera)
    before = source.overrides
    try:
        overrides = OverrideSettings(
            decision=DecisionOverrides.model_validate(
                before.decision.model_dump() | request.decision.model_dump()
            ),
            smoothing=SmoothingOverrides.model_validate(
                before.smoothing.model_dump() | request.smoothing.model_dump()
            ),
            view=before.view,
        )
        zones = source.zones if request.zones is None else request.zones
        return with_source(site, request.camera, overrides, zones)
    except ValidationError as error:
        faults = "; ".join(describe(fault, SiteSettings) for fault in error.errors())
        raise Refused(Code.INVALID_SETTING, faults) from None


def with_source(
    site: SiteSettings,
    camera: str,
    overrides: OverrideSettings,
    zones: tuple[ZoneSettings, ...],
) -> SiteSettings:
    """Return the site with other settings of one camera.

    Raises:
        pydantic.ValidationError: they break a rule of site files.
    """
    source = source_of(site, camera)
    other = SourceSettings.model_validate({**dict(source), "overrides": overrides, "zones": zones})
    sources = tuple(other if each is source else each for each in site.sources)
    return SiteSettings.model_validate({**dict(site), "sources": sources})
