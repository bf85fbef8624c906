"""What a receipt lets pass and what it stops: everything that was changed after the gate."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime", reason="needs the standin or export extra")
pytest.importorskip("onnx")

from export.engine.gate import verify
from export.engine.onnx_runner import OnnxRunner
from ropewatch.errors import ModelError
from ropewatch.golden import golden_of
from ropewatch.manifest import manifest_of
from ropewatch.receipt import receipt_of, require_passing
from tests.export.engine.models import build, classifier, publish, weights


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return publish(tmp_path, classifier(weights()), name="rope")


@pytest.fixture
def engine(onnx: Path) -> Path:
    made = build(onnx, classifier(weights()))
    verify(made, run=OnnxRunner(made))
    return made


def test_engine_with_a_passed_receipt_may_run(engine: Path) -> None:
    receipt = require_passing(engine)

    assert receipt.verdict == "passed"
    assert receipt.engine.file == "rope.onnx_b16_gpu0_fp16.engine"


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (lambda engine, _onnx: engine, "engine"),
        (lambda _engine, onnx: manifest_of(onnx), r"rope\.onnx\.manifest\.json"),
        (lambda _engine, onnx: golden_of(onnx), r"rope\.onnx\.golden\.npz"),
    ],
)
def test_file_that_was_replaced_after_the_gate_stops_the_engine(
    engine: Path, onnx: Path, of: Callable[[Path, Path], Path], name: str
) -> None:
    _append(of(engine, onnx))

    with pytest.raises(
        ModelError, match=name + r": .*, want sha256 .* is not the file that the parity gate comp"
    ):
        require_passing(engine)


def test_onnx_that_was_replaced_after_the_gate_stops_the_engine(engine: Path, onnx: Path) -> None:
    _append(onnx)

    with pytest.raises(ModelError, match="the file was changed after its export"):
        require_passing(engine)


def test_new_export_of_the_onnx_stops_the_old_engine(engine: Path, tmp_path: Path) -> None:
    publish(tmp_path, classifier(weights(1)), name="rope")

    with pytest.raises(ModelError, match=r"want .* as the file is now; build the engine again"):
        require_passing(engine)


def test_golden_file_that_is_gone_stops_the_engine(engine: Path, onnx: Path) -> None:
    golden_of(onnx).unlink()

    with pytest.raises(ModelError, match=r"golden\.npz: no such file, want sha256"):
        require_passing(engine)


def test_engine_that_is_absent_says_how_it_is_built(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file, want an engine; build it with `ropewatch"):
        require_passing(tmp_path / "rope.onnx_b16_gpu0_fp16.engine")


def test_engine_without_a_receipt_says_the_way_out(engine: Path) -> None:
    receipt_of(engine).unlink()

    with pytest.raises(ModelError, match=r"no such file, .* run `ropewatch engine verify .*\.eng"):
        require_passing(engine)


def test_refused_engine_says_why_and_the_way_out(onnx: Path) -> None:
    made = build(onnx, classifier(weights(1)))
    verify(made, run=OnnxRunner(made))

    with pytest.raises(
        ModelError, match=r"refused by the parity gate: probability differs .*ropewatch engine b"
    ):
        require_passing(made)


def test_engine_that_came_with_the_receipt_of_another_is_refused(onnx: Path, engine: Path) -> None:
    other = build(onnx, classifier(weights(1)), precision="fp32")
    receipt_of(other).write_bytes(receipt_of(engine).read_bytes())

    with pytest.raises(ModelError, match="is not the file that the parity gate compared"):
        require_passing(other)


def _edit(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda facts: facts.update(changes)


def _beyond(facts: dict[str, Any]) -> None:
    facts["numbers"][0]["max_abs_difference"] = 0.5


def _decided(facts: dict[str, Any]) -> None:
    facts["decisions"][0]["changed"] = 1


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_edit(verdict="refused"), "verdict: refused, which its own figures contradict"),
        (_edit(reasons=["noise"]), "verdict: passed, which its own figures contradict"),
        (_edit(numbers=[]), "verdict: passed, which its own figures contradict"),
        (_beyond, "verdict: passed, which its own figures contradict"),
        (_decided, "verdict: passed, which its own figures contradict"),
        (_edit(format="ropewatch-receipt-2"), "format: Input should be"),
        (_edit(approved_by="me"), "approved_by: Extra inputs"),
    ],
)
def test_edited_receipt_is_none(
    engine: Path, edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    path = receipt_of(engine)
    facts = json.loads(path.read_text())
    edit(facts)
    path.write_text(json.dumps(facts))

    with pytest.raises(ModelError, match=message + r".*, want a receipt as the parity gate"):
        require_passing(engine)


def test_receipt_of_a_refused_engine_that_was_turned_to_passed_is_none(onnx: Path) -> None:
    made = build(onnx, classifier(weights(1)))
    verify(made, run=OnnxRunner(made))
    facts = json.loads(receipt_of(made).read_text())
    receipt_of(made).write_text(json.dumps({**facts, "verdict": "passed", "reasons": []}))

    with pytest.raises(ModelError, match="which its own figures contradict"):
        require_passing(made)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_receipt_that_cannot_be_read_is_named(engine: Path, content: bytes) -> None:
    receipt_of(engine).write_bytes(content)

    with pytest.raises(ModelError, match=r"receipt\.json: .*, want a receipt as the parity gate"):
        require_passing(engine)
