"""The AsyncAPI 3 document of the contract, from the topic table and the payload models.

Payloads are AsyncAPI's own schema objects, which follow JSON Schema draft 7; the JSON Schemas
beside the document are the 2020-12 form of the same.
"""

import re
from typing import Any, Final, Literal

import yaml
from pydantic.json_schema import models_json_schema

from ropewatch.payloads import SCHEMA_VERSION
from ropewatch.topics import STATUS, TOPICS, Topic

# https://www.asyncapi.com/docs/reference/bindings/mqtt
_BINDING: Final = "0.2.0"
_NAMES: Final = {
    "site": "The site's name.",
    "box": "The box's name.",
    "camera": "The camera's name.",
    "incident_id": "The incident's id, a ULID.",
    "sender": "Who sends a command, by the broker's access list.",
}


def asyncapi_text() -> str:
    """Return the document as YAML."""
    return yaml.safe_dump(_document(), sort_keys=False, allow_unicode=True, width=99)


def _document() -> dict[str, Any]:
    return {
        "asyncapi": "3.0.0",
        "id": f"urn:ropewatch:contract:v{SCHEMA_VERSION.partition('.')[0]}",
        "info": {
            "title": "ropewatch",
            "version": f"{SCHEMA_VERSION}.0",
            "description": "What a box sends. docs/mqtt.md says what a consumer has to do.",
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _server()},
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {f"{_action(topic)}_{topic.name}": _operation(topic) for topic in TOPICS},
        "components": {
            "parameters": {name: {"description": text} for name, text in _NAMES.items()},
            "messages": {topic.name: _message(topic) for topic in TOPICS},
            "schemas": _schemas(),
        },
    }


def _server() -> dict[str, Any]:
    return {
        "host": "{host}:{port}",
        "protocol": "mqtt",
        "protocolVersion": "5.0",
        "description": "The site's broker, with TLS as secure-mqtt.",
        "variables": {
            "host": {"description": "mqtt.host of the site file."},
            "port": {"description": "mqtt.port of the site file.", "default": "1883"},
        },
        "bindings": {
            "mqtt": {
                "cleanSession": False,
                "lastWill": {
                    "topic": STATUS.address,
                    "qos": STATUS.qos,
                    "retain": STATUS.retain,
                    "message": "A status with status offline, reasons [connection lost] and the "
                    "boot_id of the run that has vanished.",
                },
                "bindingVersion": _BINDING,
            }
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.address,
        "description": topic.what,
        "parameters": {
            name: {"$ref": f"#/components/parameters/{name}"}
            for name in re.findall(r"\{(\w+)\}", topic.address)
        },
        "messages": {topic.name: {"$ref": f"#/components/messages/{topic.name}"}},
    }


def _operation(topic: Topic) -> dict[str, Any]:
    mqtt: dict[str, Any] = {"qos": topic.qos, "retain": topic.retain}
    if topic.expiry_s is not None:
        mqtt["messageExpiryInterval"] = topic.expiry_s
    return {
        "action": _action(topic),
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{topic.name}"}],
        "bindings": {"mqtt": {**mqtt, "bindingVersion": _BINDING}},
    }


def _action(topic: Topic) -> str:
    return "receive" if topic.received else "send"


def _message(topic: Topic) -> dict[str, Any]:
    message: dict[str, Any] = {"name": topic.name, "contentType": topic.content_type}
    if topic.payload is not None:
        message["payload"] = {"$ref": f"#/components/schemas/{topic.payload.__name__}"}
    return message


def opened(schema: Any) -> Any:
    """Return a schema that takes fields which it does not name, as consumers have to."""
    if isinstance(schema, list):
        return [opened(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: opened(value)
        for key, value in schema.items()
        if key != "additionalProperties" or value is not False
    }


def _schemas() -> dict[str, Any]:
    sent = [topic for topic in TOPICS if not topic.received]
    received = [topic for topic in TOPICS if topic.received]
    found = _definitions(sent, "serialization") | _definitions(received, "validation")
    return dict(sorted(found.items()))


def _definitions(topics: list[Topic], mode: Literal["serialization", "validation"]) -> Any:
    _, schema = models_json_schema(
        [(topic.payload, mode) for topic in topics if topic.payload is not None],
        ref_template="#/components/schemas/{model}",
    )
    found = _draft_7(schema["$defs"])
    # Commands hold nothing else: a box refuses what it does not know.
    return opened(found) if mode == "serialization" else found


def _draft_7(schema: Any) -> Any:
    """Return a schema with the older word for the items of a tuple."""
    if isinstance(schema, list):
        return [_draft_7(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        "items" if key == "prefixItems" else key: _draft_7(value) for key, value in schema.items()
    }
