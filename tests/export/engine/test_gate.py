"""The parity gate with engines that compute: ONNX Runtime sessions of damaged models."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("onnxruntime", reason="needs the standin or export extra")
helper = pytest.importorskip("onnx").helper

from export.engine.gate import verify  # noqa: E402 (after the skips)
from export.engine.judging import OperatingPoint, golden_notes  # noqa: E402
from export.engine.onnx_runner import OnnxRunner  # noqa: E402
from ropewatch.errors import ModelError  # noqa: E402
from ropewatch.files import sha256_of  # noqa: E402
from ropewatch.golden import Golden, golden_of, load_golden  # noqa: E402
from ropewatch.manifest import manifest_of  # noqa: E402
from ropewatch.receipt import Receipt, receipt_of  # noqa: E402
from ropewatch.rope_head import head_of  # noqa: E402
from tests.export.engine.models import (  # noqa: E402
    LABELS,
    PERSONS,
    backbone,
    build,
    classifier,
    detector,
    publish,
    weights,
)


@pytest.fixture
def rope(tmp_path: Path) -> Path:
    return publish(tmp_path, classifier(weights()), name="rope")


@pytest.fixture
def person(tmp_path: Path) -> Path:
    return publish(tmp_path, detector(PERSONS), name="person", count=3)


def judged(onnx: Path, damaged: Any, **kwargs: Any) -> Receipt:
    """The verdict on an engine that computes the damaged model."""
    engine = build(onnx, damaged, **kwargs)
    receipt = verify(engine, run=OnnxRunner(engine))
    assert Receipt.load(receipt_of(engine)) == receipt
    return receipt


class Altered:
    """A model whose outputs are altered after they were computed."""

    def __init__(self, onnx: Path, alter: Any) -> None:
        self._model = OnnxRunner(onnx)
        self._alter = alter

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        (output,) = self._model.run(feeds).items()
        return {output[0]: self._alter(output[1].copy())}


def altered(onnx: Path, alter: Any, **kwargs: Any) -> Receipt:
    model = classifier(weights()) if onnx.name == "rope.onnx" else detector(PERSONS)
    return verify(build(onnx, model, **kwargs), run=Altered(onnx, alter))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_engine_that_computes_the_same_passes(rope: Path, precision: str) -> None:
    receipt = judged(rope, classifier(weights()), precision=precision)

    assert (receipt.verdict, receipt.reasons, receipt.notes) == ("passed", (), ())
    assert receipt.batches == (1, 4, 16)
    assert {one.max_abs_difference for one in receipt.numbers} == {0}
    assert receipt.onnxruntime is not None
    assert receipt.reference == "onnxruntime"


def test_weights_rounded_to_half_precision_pass_as_fp16(rope: Path) -> None:
    receipt = judged(rope, classifier(weights().astype(np.float16)))

    assert receipt.verdict == "passed", receipt.reasons
    assert 0 < max(one.max_abs_difference for one in receipt.numbers) < 0.005


def test_decisions_tell_how_many_golden_rows_alert(rope: Path) -> None:
    receipt = judged(rope, classifier(weights()))

    golden = Golden.load(golden_of(rope)).outputs["probabilities"]
    by_name = {(one.what, one.threshold): one for one in receipt.decisions}
    half = by_name[f"rows at or above for {LABELS[1]}", 0.5]
    assert (half.compared, half.positive) == (8, int((golden[:, 1] >= 0.5).sum()))
    assert 0 < half.positive < 8, "the comparison says nothing if all are on one side"
    assert receipt.thresholds_from == "a sweep from 0.05 to 0.95"
    assert len(by_name) == 2 * 19


def _plus(amount: float) -> Any:
    """Move the second label's probability up and the first one's down."""
    return lambda output: output + np.array([-amount, amount], np.float32)


def _last_row_wrong(output: npt.NDArray[Any]) -> npt.NDArray[Any]:
    output[-1] = output[-1, ::-1]
    return output


def _with(value: float) -> Any:
    def alter(output: npt.NDArray[Any]) -> npt.NDArray[Any]:
        output.flat[0] = value
        return output

    return alter


def _repeated(output: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.tile(np.array([[0.4, 0.6]], np.float32), (len(output), 1))


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (_plus(0.03), r"probability differs by 0\.03 at batch 1, most in .* want at most 0\.02"),
        (_plus(0.008), r"mean shift of probability differs by 0\.008 at batch 1, .* 0\.005"),
        (_with(np.nan), r"1 of 2 numbers at batch 1 are NaN or infinite"),
        (_with(np.inf), r"1 of 2 numbers at batch 1 are NaN or infinite"),
        (_repeated, r"gives the same for every input at batch 1"),
        (lambda output: output[:, ::-1], r"gives the labels in the opposite order at batch 1"),
        (_last_row_wrong, r"probability differs by"),
        (
            lambda output: output[:1],
            r"probabilities: float32 \(1, 2\) at batch 4, want .*\(4, 2\)",
        ),
        (lambda output: output[:, :1], r"float32 \(1, 1\) at batch 1, want float32 \(1, 2\)"),
        (lambda output: output.astype(np.float16), r"float16 \(1, 2\) at batch 1, want float32"),
    ],
)
def test_damaged_classifier_is_refused_with_its_reason(
    rope: Path, alter: Any, reason: str
) -> None:
    receipt = altered(rope, alter)

    assert receipt.verdict == "refused"
    assert any(re.search(reason, one) for one in receipt.reasons), receipt.reasons


def test_every_place_of_a_batch_has_to_answer(rope: Path) -> None:
    def wrong_beyond_eight(output: npt.NDArray[Any]) -> npt.NDArray[Any]:
        output[8:] = 0.5
        return output

    receipt = altered(rope, wrong_beyond_eight)

    assert receipt.verdict == "refused"
    assert all("at batch 16" in reason for reason in receipt.reasons), receipt.reasons


def test_rows_in_another_order_are_refused(rope: Path) -> None:
    assert altered(rope, lambda output: output[::-1]).verdict == "refused"


def test_noise_of_a_tenth_is_refused(rope: Path) -> None:
    random = np.random.default_rng(1)
    noisy = weights() + random.normal(0, 0.02, weights().shape)

    assert judged(rope, classifier(noisy)).verdict == "refused"


def test_engine_with_another_output_name_is_refused(rope: Path) -> None:
    model = classifier(weights())
    model.graph.node[-1].output[0] = model.graph.output[0].name = "scores"

    receipt = judged(rope, model)

    assert receipt.reasons == ("outputs ['scores'], want ['probabilities']",)


def test_engine_that_does_not_run_is_refused(rope: Path) -> None:
    class Broken:
        def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
            raise ModelError("execution failed;\n see the log")

    receipt = verify(build(rope, classifier(weights())), run=Broken())

    assert (receipt.verdict, receipt.reasons) == ("refused", ("execution failed; see the log",))
    assert receipt.batches == ()


def test_decision_at_the_sites_threshold_is_compared_apart_from_a_band(rope: Path) -> None:
    golden = Golden.load(golden_of(rope)).outputs["probabilities"]
    near, far = float(golden[0, 1]) + 0.001, float(golden[0, 1]) + 0.004
    first_up = _first_row(rope, golden, 0.018)

    engine = build(rope, classifier(weights()))
    facts = {
        threshold: verify(
            engine,
            run=Altered(rope, first_up),
            point=OperatingPoint((threshold,), origin="site.yaml"),
        )
        for threshold in (near, far, float(golden[0, 1]) + 0.015)
    }

    # 0.018 is within the tolerance of 0.02, a decision 0.015 away from the threshold is not.
    assert [one.verdict for one in facts.values()] == ["passed", "passed", "refused"]
    assert facts[near].decisions[1].in_band == 1
    assert facts[near].thresholds_from == "site.yaml"


def _first_row(onnx: Path, golden: npt.NDArray[Any], amount: float) -> Any:
    def alter(output: npt.NDArray[Any]) -> npt.NDArray[Any]:
        hit = np.abs(output - golden[0]).max(axis=1) < 1e-5
        output[hit] += np.array([-amount, amount], np.float32)
        return output

    return alter


def test_golden_outputs_on_one_side_are_said_to_tell_nothing(tmp_path: Path) -> None:
    timid = weights() * 0.001
    onnx = publish(tmp_path, classifier(timid), name="timid")
    engine = build(onnx, classifier(timid))

    receipt = verify(engine, run=OnnxRunner(engine), point=OperatingPoint((0.9,)))

    assert receipt.verdict == "passed"
    assert "no decision was really compared; export again with" in receipt.notes[0]


def test_golden_outputs_of_another_onnx_are_noticed_where_onnx_runtime_is(rope: Path) -> None:
    held = Golden.load(golden_of(rope))
    moved = {"probabilities": held.outputs["probabilities"][::-1].copy()}
    Golden(held.pixels, {}, moved, held.origin).save(golden_of(rope))
    manifest = manifest_of(rope)
    facts = json.loads(manifest.read_text())
    facts["golden"]["sha256"] = sha256_of(golden_of(rope))
    manifest.write_text(json.dumps(facts))

    receipt = judged(rope, classifier(weights()))

    assert receipt.reasons[0].startswith("golden outputs are not this ONNX's: probability differs")


def test_detector_that_computes_the_same_passes_and_tells_the_persons(person: Path) -> None:
    receipt = judged(person, detector(PERSONS))

    assert receipt.verdict == "passed", receipt.reasons
    # 3 pictures; the shadow goes in NMS: 3 persons at 0.2 and 0.35, 2 at 0.5.
    assert [(one.threshold, one.positive) for one in receipt.decisions] == [
        (0.2, 9),
        (0.35, 9),
        (0.5, 6),
    ]


def _changed(row: int, column: int, value: float) -> Any:
    persons = PERSONS.copy()
    persons[row, column] = value
    return detector(persons)


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (_changed(2, 4, 0.1), "3 decided otherwise at batch 1, persons, threshold 0.2"),
        (_changed(4, 4, 0.9), "3 decided otherwise at batch 1, persons, threshold 0.35"),
        (_changed(0, 2, 60), "box that counts, px differs by 10 at batch 1"),
        (_changed(0, 5, 1), "class that counts differs by 1 at batch 1"),
        (_changed(5, 4, 0.06), "score differs by 0.05 at batch 1"),
    ],
)
def test_damaged_detector_is_refused_with_its_reason(
    person: Path, damaged: Any, reason: str
) -> None:
    receipt = judged(person, damaged)

    assert receipt.verdict == "refused"
    assert any(one.startswith(reason) for one in receipt.reasons), receipt.reasons


def test_detector_in_half_precision_passes_as_fp16_and_not_as_fp32(person: Path) -> None:
    rounded = PERSONS.copy()
    rounded[:, :4] += 0.25

    assert judged(person, detector(rounded)).verdict == "passed"
    assert judged(person, detector(rounded), precision="fp32").verdict == "refused"


def test_person_near_the_threshold_may_be_kept_or_not(person: Path) -> None:
    engine = build(person, _changed(3, 4, 0.394))

    receipt = verify(engine, run=OnnxRunner(engine), point=OperatingPoint((0.397,)))

    assert receipt.verdict == "passed", receipt.reasons
    assert (receipt.decisions[0].changed, receipt.decisions[0].in_band > 0) == (0, True)


def test_detector_pictures_without_anybody_are_said_to_tell_nothing(tmp_path: Path) -> None:
    empty = PERSONS.copy()
    empty[:, 4] = 0.01
    onnx = publish(tmp_path, detector(empty), name="empty", count=2)

    receipt = judged(onnx, detector(empty))

    assert receipt.verdict == "passed"
    assert "nothing in the golden outputs reaches a threshold" in receipt.notes[0]
    assert golden_notes(*load_golden(onnx)) == list(receipt.notes), "the export says so as well"


def test_backbone_is_judged_by_what_its_head_says_of_boxes(tmp_path: Path) -> None:
    onnx = publish(tmp_path, backbone(), name="rope.backbone", count=2)

    passed = judged(onnx, backbone())
    refused = judged(onnx, backbone(gain=0.5))

    assert (passed.verdict, passed.notes) == ("passed", ())
    # 2 pictures of 12 boxes, at each of 19 thresholds for each label.
    assert {one.compared for one in passed.decisions} == {24}
    assert len(passed.decisions) == 2 * 19
    assert refused.reasons[0].startswith("map, share of its spread differs by")
    assert any(one.startswith("probability differs by") for one in refused.reasons)


def test_backbone_whose_head_was_replaced_is_not_judged(tmp_path: Path) -> None:
    onnx = publish(tmp_path, backbone(), name="rope.backbone", count=2)
    engine = build(onnx, backbone())
    head_of(onnx).write_bytes(b"another head")

    with pytest.raises(ModelError, match=r"rope\.head\.npz: sha256 .* of another export"):
        verify(engine, run=OnnxRunner(engine))


def test_changed_engine_is_not_judged(rope: Path) -> None:
    engine = build(rope, classifier(weights()))
    engine.write_bytes(engine.read_bytes() + b"\0")

    with pytest.raises(ModelError, match=r"engine: .*, want sha256 .*; build it again"):
        verify(engine, run=OnnxRunner(rope))

    assert not receipt_of(engine).exists()


def test_engine_of_another_export_is_not_judged(rope: Path, tmp_path: Path) -> None:
    engine = build(rope, classifier(weights()))
    publish(tmp_path, classifier(weights(1)), name="rope")

    with pytest.raises(ModelError, match=r"rope\.onnx of sha256 .*; build the engine again"):
        verify(engine, run=OnnxRunner(rope))


def test_receipt_that_cannot_be_written_is_an_error(
    rope: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = build(rope, classifier(weights()))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ModelError, match="No space left on device, want a folder"):
        verify(engine, run=OnnxRunner(engine))

    assert not receipt_of(engine).exists()
