"""The AsyncAPI document, as AsyncAPI's own parser takes it."""

import json
from pathlib import Path
from typing import Any

import pytest

from ropewatch.topics import TOPICS
from tests.npm import run_node

DOCUMENT = Path(__file__).parents[2] / "configs" / "schema" / "asyncapi.yaml"
ERROR, WARNING = 0, 1
# What is right in the part about operations, a fault in its place, and where it is to be found.
FAULTS = (
    ("qos: 1", "qos: 3", "operations.send_incident.bindings.mqtt.qos"),
    ("action: send", "action: shout", "operations.send_incident.action"),
    ("$ref: '#/channels/clock'", "$ref: '#/channels/nothing'", "operations.send_clock"),
)


@pytest.mark.node
@pytest.mark.slow
def test_the_document_passes_asyncapi_s_parser_and_faults_in_it_do_not(tmp_path: Path) -> None:
    head, tail = DOCUMENT.read_text().split("\noperations:\n")
    documents = [DOCUMENT]
    for number, (right, wrong, _) in enumerate(FAULTS):
        documents.append(tmp_path / f"{number}.yaml")
        documents[-1].write_text(f"{head}\noperations:\n{tail.replace(right, wrong)}")

    good, *broken = json.loads(run_node("asyncapi.mjs", *(str(path) for path in documents)))

    assert _of(good, ERROR) == []
    assert _of(good, WARNING) == []
    assert good["channels"] == [topic.address for topic in TOPICS]
    for answer, (_, _, where) in zip(broken, FAULTS, strict=True):
        assert any(path.startswith(where) for _, path in _of(answer, ERROR)), where


def _of(answer: dict[str, Any], severity: int) -> list[tuple[str, str]]:
    found = [each for each in answer["found"] if each["severity"] == severity]
    return [(each["code"], ".".join(each["path"])) for each in found]
