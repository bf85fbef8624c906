"""JSON Schemas, AsyncAPI and the contract's lock, written from the models and the topic table.

Run from the checkout: python -m ropewatch.schema. With --amend it changes the contract under its
version, which is right only for a version that no release has had.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from ropewatch.asyncapi import asyncapi_text, opened
from ropewatch.commands import REQUESTS
from ropewatch.contract import Contract, faults, fields_of
from ropewatch.engine_manifest import EngineManifest
from ropewatch.manifest import Manifest
from ropewatch.payloads import SCHEMA_VERSION, Payload
from ropewatch.receipt import Receipt
from ropewatch.settings import SiteSettings
from ropewatch.topics import TOPICS, Topic

LOCK: Final = "contract.json"
MODELS: dict[str, type[BaseModel]] = {
    **{topic.name: topic.payload for topic in TOPICS if topic.payload is not None},
    "site": SiteSettings,
    "manifest": Manifest,
    "engine_manifest": EngineManifest,
    "receipt": Receipt,
}
# What people or older exports write need not hold every field; what we send always does.
_READ = (SiteSettings, Manifest)


def texts() -> dict[str, str]:
    """Return file name and content of everything under configs/schema."""
    schemas = {f"{name}.schema.json": _dump(schema_of(name)) for name in MODELS}
    lock = {"version": SCHEMA_VERSION, "fields": contract().fields}
    return {**schemas, "asyncapi.yaml": asyncapi_text(), LOCK: _dump(lock)}


def contract() -> Contract:
    """Return the contract as the models and the topic table have it."""
    return Contract(SCHEMA_VERSION, {topic.name: _fields(topic) for topic in TOPICS})


def _fields(topic: Topic) -> dict[str, str]:
    travels = (
        f"qos={topic.qos} retain={topic.retain} expiry_s={topic.expiry_s} {topic.content_type}"
    )
    fields = {} if topic.payload is None else fields_of(schema_of(topic.name))
    return {"topic": topic.address, "travels": travels, **fields}


def write_all(folder: Path, *, amend: bool = False) -> list[str]:
    """Write everything into a folder, unless the contract there is changed without its version.

    Returns:
        What is wrong with the change; nothing is written then.
    """
    lock = folder / LOCK
    if lock.exists() and not amend:
        found = faults(Contract(**json.loads(lock.read_text(encoding="utf-8"))), contract())
        if found:
            return found
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (folder / name).write_text(text, encoding="utf-8")
    return []


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of one of the models."""
    model = MODELS[name]
    read = (*_READ, *REQUESTS.values())
    mode: Any = "validation" if model in read else "serialization"
    version = f":{SCHEMA_VERSION}" if issubclass(model, Payload) else ""
    schema = model.model_json_schema(mode=mode)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:ropewatch:schema:{name}{version}",
        # What a later minor version adds is no reason to refuse what a box has to say.
        **(opened(schema) if issubclass(model, Payload) and model not in read else schema),
    }


def _dump(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit("\n".join(write_all(Path("configs/schema"), amend="--amend" in sys.argv)))
