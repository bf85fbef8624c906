"""Messages as a consumer reads them: typed, by topic. Knows no MQTT library.

Fields that a later minor version added are passed over, as the contract asks of consumers.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, Final, TypeVar, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from ropewatch.decision import RopeState
from ropewatch.envelope import envelope_of
from ropewatch.faults import section_of, shown
from ropewatch.moment import ClockSource
from ropewatch.payloads import ClockCorrection, ClockMessage, IncidentMessage, Payload
from ropewatch.topics import topic_of

# As `wire.rfc3339` writes it.
RFC3339_FORMAT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
# What a value that a later minor version added is taken for: no alert is lost to a new word.
LEAST: Final[dict[type, Enum]] = {
    RopeState: RopeState.UNKNOWN,
    ClockSource: ClockSource.NONE,
}

Model = TypeVar("Model", bound=BaseModel)


def parse(topic: str, payload: bytes) -> Payload | None:
    """Read a message by its topic; None where that is no JSON or this version does not know it.

    Raises:
        ValueError: not JSON, or not what belongs on that topic.
    """
    found = topic_of(topic)
    if found is None or found.payload is None:
        return None
    message = _parse(found.payload, payload, found.name)
    content = getattr(message, "data", message)
    # The broker holds the topic to be true, and a box may say only of itself what happened.
    for level, name in (found.names(topic) or {}).items():
        told = getattr(content, level, name)
        if told != name:
            raise ValueError(f"{found.name}: {level}: {told!r}, want {name!r} as in its topic")
    if isinstance(message, (IncidentMessage, ClockMessage)):
        # Who drops duplicates by the envelope must not lose one message to another's id.
        for field, wanted in envelope_of(message.data).items():
            told = getattr(message, field)
            if told != wanted:
                raise ValueError(f"{found.name}: {field}: {told!r}, want {wanted!r} as in data")
    return message


def parse_incident(payload: bytes) -> IncidentMessage:
    """Read an incident message.

    Raises:
        ValueError: not JSON, or not an incident of this major version.
    """
    return _parse(IncidentMessage, payload, "incident")


def corrected_time(message: IncidentMessage, corrections: Iterable[ClockCorrection]) -> datetime:
    """Return when a message was decided, by the newest idea that its box has of the time.

    Args:
        message: of any box and run.
        corrections: what `clock` topics have told so far, of any box and run, each once.
    """
    data = message.data
    missing_ms = sum(
        correction.offset_ms
        for correction in corrections
        if (correction.site, correction.box, correction.boot_id)
        == (data.site, data.box, data.boot_id)
        and data.monotonic_ms is not None
        and correction.monotonic_ms > data.monotonic_ms
    )
    told = datetime.strptime(message.time, RFC3339_FORMAT).replace(tzinfo=timezone.utc)
    return told + timedelta(milliseconds=missing_ms)


def _parse(model: type[Model], payload: bytes, what: str) -> Model:
    try:
        content = from_json(payload, allow_inf_nan=False)
    except ValueError as error:
        raise ValueError(f"{what}: not JSON: {error}") from None
    try:
        return model.model_validate(_known(model, content))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ValueError(f"{what}: {where}: {shown(fault['input'])}: {fault['msg']}") from None


def _known(model: type[BaseModel], content: Any) -> Any:
    if isinstance(content, list):
        return [_known(model, each) for each in content]
    if not isinstance(content, dict):
        return content
    known = {}
    for key, value in content.items():
        field = model.model_fields.get(key)
        if field is not None:
            section = section_of(field)
            if section is None:
                known[key] = _least(field.annotation, value)
            elif get_origin(field.annotation) is dict and isinstance(value, dict):
                known[key] = {name: _known(section, each) for name, each in value.items()}
            else:
                known[key] = _known(section, value)
    return known


def _least(kind: object, value: object) -> object:
    least = LEAST.get(kind) if isinstance(kind, type) else None
    if least is None or not isinstance(value, str):
        return value
    return value if value in {each.value for each in type(least)} else least
