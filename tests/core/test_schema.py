"""The published contract is that of the code, and it changes with its version only."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ropewatch.contract import Contract, faults, fields_of
from ropewatch.moment import Moment
from ropewatch.payloads import SCHEMA_VERSION, IncidentMessage
from ropewatch.schema import LOCK, contract, schema_of, texts, write_all
from ropewatch.topics import ROOT
from ropewatch.wire import Wire
from tests.core.builders import site_data
from tests.incident_events import START

PUBLISHED = Path(__file__).parents[2] / "configs" / "schema"
SCHEMA: dict[str, Any] = {
    "$defs": {
        "Kind": {"enum": ["start", "end"], "type": "string"},
        "Point": {
            "properties": {"x": {"type": "number", "minimum": 0}},
            "required": ["x"],
            "type": "object",
        },
    },
    "properties": {
        "kind": {"$ref": "#/$defs/Kind", "description": "Words."},
        "where": {"anyOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}], "default": None},
        "trail": {"items": {"$ref": "#/$defs/Point"}, "type": "array"},
        "counts": {"additionalProperties": {"type": "integer"}, "type": "object"},
    },
    "required": ["kind"],
    "type": "object",
}


def test_published_files_are_those_of_the_models() -> None:
    written = {path.name: path.read_text() for path in PUBLISHED.iterdir()}

    assert written == texts(), "run: python -m ropewatch.schema"


def test_schemas_are_valid_and_take_a_good_site() -> None:
    for path in PUBLISHED.glob("*.schema.json"):
        schema = json.loads(path.read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        if path.name == "site.schema.json":
            jsonschema.validate(site_data(), schema)


def _with_more(content: Any) -> Any:
    if isinstance(content, list):
        return [_with_more(each) for each in content]
    if not isinstance(content, dict):
        return content
    return {**{key: _with_more(value) for key, value in content.items()}, "since_9_9": [{}]}


def test_a_schema_takes_what_a_later_minor_version_adds_to_messages_and_not_to_commands() -> None:
    sent = json.loads(
        Wire("s", "b", "01BOOT")
        .incident(START, sequence=1, now=Moment(1_800_000_000 * 10**9, 0))
        .payload
    )
    incident = jsonschema.Draft202012Validator(schema_of("incident"))
    ping = jsonschema.Draft202012Validator(schema_of("command_ping"))

    more = _with_more(sent)
    # Names of models to digests: the value of a new one is a digest, too.
    del more["data"]["evidence"]["versions"]["since_9_9"]

    assert incident.is_valid(sent)
    assert [error.message for error in incident.iter_errors(more)] == []
    assert ping.is_valid({"request_id": "a"})
    assert not ping.is_valid({"request_id": "a", "since_9_9": 1})


def test_fields_of_a_schema_are_told_by_path() -> None:
    assert fields_of(SCHEMA) == {
        "counts": "object; optional",
        "counts.*": "integer",
        "kind": "string; required",
        "kind=end": "value",
        "kind=start": "value",
        "trail": "array; optional",
        "trail[]": "object",
        "trail[].x": "number minimum=0; required",
        "where": "null or object; optional",
        "where.x": "number minimum=0; required",
    }


def _changed(version: str, **fields: str | None) -> list[str]:
    """What is said of a contract that differs from 1.2 in these fields; None takes one away."""
    locked = {"kind": "string; required", "kind=end": "value"}
    now = {key: held for key, held in {**locked, **fields}.items() if held is not None}
    return faults(Contract("1.2", {"incident": locked}), Contract(version, {"incident": now}))


def test_an_addition_needs_a_minor_version() -> None:
    assert _changed("1.2") == []
    assert _changed("1.3", severity="string; optional", **{"kind=update": "value"}) == []
    (fault,) = _changed("1.2", severity="string; optional")
    assert fault == (
        "incident: severity: not in 1.2, want a minor version of its own; raise SCHEMA_VERSION in "
        "ropewatch/payloads.py and run python -m ropewatch.schema"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": None}, "incident: kind: gone, want string; required in every 1.2 and later"),
        ({"kind": "string; optional"}, "incident: kind: string; optional, want string; required"),
        ({"kind=end": None}, "incident: kind=end: gone, want value in every 1.2 and later; keep"),
    ],
)
def test_what_breaks_consumers_needs_a_major_version(
    fields: dict[str, str | None], message: str
) -> None:
    assert message in _changed("1.2", **fields)[0]
    assert message in _changed("1.3", **fields)[0]
    assert _changed("2.0", **fields) == []


def test_a_changed_contract_is_not_written_under_its_old_version(tmp_path: Path) -> None:
    assert write_all(tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} == set(texts())
    lock = tmp_path / LOCK
    content = json.loads(lock.read_text())
    content["fields"]["incident"]["data.severity"] = "string; required"
    lock.write_text(json.dumps(content))

    (fault,) = write_all(tmp_path)

    assert fault.startswith("incident: data.severity: gone, want string; required in every")
    assert json.loads(lock.read_text()) == content
    assert write_all(tmp_path, amend=True) == []
    assert lock.read_text() == texts()[LOCK]


def test_the_tree_of_topics_and_the_event_types_are_those_of_the_major_version() -> None:
    major = SCHEMA_VERSION.partition(".")[0]
    types = [name for name in contract().fields["incident"] if name.startswith("type=")]

    assert f"ropewatch/v{major}" == ROOT
    assert len(types) == 3
    assert all(name.endswith(f".v{major}") for name in types)
    assert json.dumps(IncidentMessage.model_json_schema()).count(f".v{major}") == 3
