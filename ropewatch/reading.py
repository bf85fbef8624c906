"""Messages as a consumer reads them: typed, by topic. Knows no MQTT library.

Fields that a later minor version added are passed over, as the contract asks of consumers.
"""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from ropewatch.faults import section_of
from ropewatch.payloads import IncidentMessage, Payload
from ropewatch.topics import topic_of

Model = TypeVar("Model", bound=BaseModel)


def parse(topic: str, payload: bytes) -> Payload | None:
    """Read a message by its topic; None where that is no JSON or this version does not know it.

    Raises:
        ValueError: not JSON, or not what belongs on that topic.
    """
    found = topic_of(topic)
    if found is None or found.payload is None:
        return None
    return _parse(found.payload, payload, found.name)


def parse_incident(payload: bytes) -> IncidentMessage:
    """Read an incident message.

    Raises:
        ValueError: not JSON, or not an incident of this major version.
    """
    return _parse(IncidentMessage, payload, "incident")


def _parse(model: type[Model], payload: bytes, what: str) -> Model:
    try:
        content = from_json(payload)
    except ValueError as error:
        raise ValueError(f"{what}: not JSON: {error}") from None
    try:
        return model.model_validate(_known(model, content))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ValueError(f"{what}: {where}: {fault['input']!r}: {fault['msg']}") from None


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
            known[key] = value if section is None else _known(section, value)
    return known
