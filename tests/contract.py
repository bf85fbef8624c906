"""Holds every message that a test makes or receives against the published contract."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ropewatch.client import Received
from ropewatch.topics import topic_of
from ropewatch.wire import Message

SCHEMAS = Path(__file__).parents[1] / "configs" / "schema"


class ContractWatch:
    """Looks at messages as they come into being, and collects what is wrong with them."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.checked = 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Look at what this process makes to be sent, and at what it receives from others."""
        for kind in (Message, Received):
            make = kind.__init__

            def watched(itself: Any, *values: Any, _make: Any = make, **named: Any) -> None:
                _make(itself, *values, **named)
                self._look(itself)

            patch.setattr(kind, "__init__", watched)

    def _look(self, message: Message | Received) -> None:
        topic = topic_of(message.topic)
        # Without a payload: it is on disk only. Of another type: a test has made it, on purpose,
        # past the box, which takes the type from the table.
        if topic is None or not message.payload or message.content_type != topic.content_type:
            return
        self.checked += 1
        where = f"{type(message).__name__} on {message.topic}"
        if isinstance(message, Message):
            travels = (message.qos, message.retain)
            if travels != (topic.qos, topic.retain):
                self.faults.append(f"{where}: QoS, retain {travels}")
        if topic.payload is None:
            return
        try:
            content = json.loads(message.payload)
        except ValueError as error:
            # Received: published by a test, past the box.
            self.faults += [f"{where}: {error}"] if isinstance(message, Message) else []
            return
        errors = _validator(topic.name).iter_errors(content)
        self.faults += [f"{where}: {error.message}" for error in errors]


@cache
def _validator(name: str) -> Any:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    return jsonschema.Draft202012Validator(_closed(schema))


def _closed(schema: Any) -> Any:
    """Take nothing that is not named: a box of this version sends nothing else."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **closed} if "properties" in schema else closed
