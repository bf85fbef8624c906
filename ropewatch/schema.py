"""JSON Schemas of the site file, of manifests and of every payload, written from the models.

Run from the checkout: python -m ropewatch.schema
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ropewatch.engine_manifest import EngineManifest
from ropewatch.manifest import Manifest
from ropewatch.payloads import SCHEMA_VERSION, Payload
from ropewatch.receipt import Receipt
from ropewatch.settings import SiteSettings
from ropewatch.topics import TOPICS

MODELS: dict[str, type[BaseModel]] = {
    **{topic.name: topic.payload for topic in TOPICS if topic.payload is not None},
    "site": SiteSettings,
    "manifest": Manifest,
    "engine_manifest": EngineManifest,
    "receipt": Receipt,
}
# What people or older exports write need not hold every field; what we send always does.
_READ = (SiteSettings, Manifest)


def schema_texts() -> dict[str, str]:
    """Return file name and content of every schema."""
    return {f"{name}.schema.json": _text(name, model) for name, model in MODELS.items()}


def write_schemas(folder: Path) -> list[Path]:
    """Write the schemas into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in schema_texts().items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def _text(name: str, model: type[BaseModel]) -> str:
    mode: Any = "validation" if model in _READ else "serialization"
    version = f":{SCHEMA_VERSION}" if issubclass(model, Payload) else ""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:ropewatch:schema:{name}{version}",
        **model.model_json_schema(mode=mode),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write_schemas(Path("configs/schema"))
