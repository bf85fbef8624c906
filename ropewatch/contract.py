"""Holds the contract to its version: configs/schema/contract.json has every field of it.

A field that is added raises the minor version. Taking one away, or changing what it may hold,
breaks consumers: that is a new major version with a tree of topics of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# What says something about a field and not what it may hold.
_WORDS = frozenset({"title", "description", "default", "$defs", "$schema", "$id"})
_STRUCTURE = frozenset(
    {"properties", "additionalProperties", "required", "items", "prefixItems", "enum", "const"}
)


@dataclass(frozen=True, slots=True)
class Contract:
    """A version with its fields.

    Attributes:
        version: major.minor.
        fields: path to what it may hold, for each message; a value of an enumeration is a path
            of its own, so that a further one is an addition.
    """

    version: str
    fields: Mapping[str, Mapping[str, str]]


def fields_of(schema: Mapping[str, Any]) -> dict[str, str]:
    """Return path and meaning of every field of a JSON Schema, definitions resolved."""
    return dict(sorted(_walk(schema, schema.get("$defs", {}), "")))


def faults(locked: Contract, now: Contract) -> list[str]:
    """Say how a contract differs from the locked one in a way that its version does not tell."""
    if locked.version.partition(".")[0] != now.version.partition(".")[0]:
        return []
    before, after = _flat(locked), _flat(now)
    gone = sorted(path for path, held in before.items() if after.get(path) != held)
    if gone:
        return [
            f"{path}: {after.get(path, 'gone')}, want {before[path]} in every {locked.version} "
            "and later; keep it, or make a new major version"
            for path in gone
        ]
    if locked.version == now.version:
        return [
            f"{path}: not in {locked.version}, want a minor version of its own; raise "
            "SCHEMA_VERSION in ropewatch/payloads.py and run python -m ropewatch.schema"
            for path in sorted(after.keys() - before.keys())
        ]
    return []


def _flat(contract: Contract) -> dict[str, str]:
    return {
        f"{message}: {path}": held
        for message, fields in contract.fields.items()
        for path, held in fields.items()
    }


def _walk(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str
) -> Iterator[tuple[str, str]]:
    """Yield what is at a path and below it."""
    for each in _alternatives(schema, definitions):
        for value in each.get("enum", [each["const"]] if "const" in each else []):
            yield f"{path}={value}", "value"
        yield from _children(each, definitions, path)


def _children(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str
) -> Iterator[tuple[str, str]]:
    required = schema.get("required", ())
    for name, child in schema.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        need = "required" if name in required else "optional"
        yield where, f"{_held(child, definitions)}; {need}"
        yield from _walk(child, definitions, where)
    items = [("[]", schema["items"])] if isinstance(schema.get("items"), dict) else []
    items += [(f"[{index}]", child) for index, child in enumerate(schema.get("prefixItems", ()))]
    if isinstance(schema.get("additionalProperties"), dict):
        items.append((".*", schema["additionalProperties"]))
    for suffix, child in items:
        yield path + suffix, _held(child, definitions)
        yield from _walk(child, definitions, path + suffix)


def _alternatives(
    schema: Mapping[str, Any], definitions: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    if "$ref" in schema:
        return _alternatives(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return [one for each in schema["anyOf"] for one in _alternatives(each, definitions)]
    return [schema]


def _held(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    return " or ".join(sorted(_kind(each) for each in _alternatives(schema, definitions)))


def _kind(schema: Mapping[str, Any]) -> str:
    limits = {
        key: value for key, value in schema.items() if key not in _WORDS | _STRUCTURE | {"type"}
    }
    return " ".join(
        [
            str(schema.get("type", "any")),
            *(f"{key}={value}" for key, value in sorted(limits.items())),
        ]
    )
