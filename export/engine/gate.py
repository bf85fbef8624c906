"""The parity gate: an engine gives the golden outputs, in numbers and in decisions, or is refused.

Every batch size at the ends of the profile and at its optimum is run. What passes gets a receipt
that says so, what fails one that says why; `ropewatch run` starts with the former only.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from export.engine.cases import Case, Rows, Shapes, cases
from export.engine.judging import (
    DEFAULTS,
    TOLERANCES,
    Number,
    OperatingPoint,
    Outcome,
    judge_backbone,
    judge_classifier,
    judge_detector,
    untold,
)
from export.engine.onnx_runner import OnnxRunner, has_onnx_runtime
from export.engine.tensorrt_runner import TensorRtRunner
from ropewatch.engine_manifest import EngineManifest, ShapeRange, engine_manifest_of
from ropewatch.errors import ModelError
from ropewatch.files import replace_file, sha256_of
from ropewatch.golden import Floats, Golden, golden_of, load_golden
from ropewatch.manifest import FileFact, Manifest, ParityFact, manifest_of, onnx_of_engine
from ropewatch.receipt import DecisionFact, Receipt, receipt_of
from ropewatch.rope_head import RopeHead, load_head, person_grid

_BUILD = "build it again with `ropewatch engine build`"
# Rows that differ less than this say the same.
_CONSTANT = 1e-6


class EngineRunner(Protocol):
    """Runs one engine."""

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Every output by name, in the engine's own dtype, for every input by name.

        Raises:
            ModelError: the engine does not take the inputs, or fails.
        """


@dataclass(frozen=True, slots=True)
class _Subject:
    """An engine with all that it is compared with."""

    engine: Path
    built: EngineManifest
    onnx: Path
    manifest: Manifest
    golden: Golden
    point: OperatingPoint
    head: RopeHead | None

    def outcome(self, expected: Floats, actual: Floats, rows: Rows, *, precision: str) -> Outcome:
        """Numbers and decisions of some rows, at least one."""
        tolerance = TOLERANCES[precision]
        if self.manifest.kind == "detector":
            return judge_detector(expected, actual, rows, tolerance=tolerance, point=self.point)
        if self.head is not None:
            return judge_backbone(
                *(expected, actual, rows),
                head=self.head,
                boxes_xyxy_px=person_grid(self.manifest.network_wh_px),
                tolerance=tolerance,
                point=self.point,
            )
        labels = self.manifest.labels
        return judge_classifier(
            expected, actual, rows, labels=labels, tolerance=tolerance, point=self.point
        )


@dataclass(slots=True)
class _Findings:
    """What a comparison has found so far."""

    reasons: list[str] = field(default_factory=list)
    numbers: list[ParityFact] = field(default_factory=list)
    decisions: list[DecisionFact] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    onnxruntime: str | None = None


def verify(
    engine: Path,
    *,
    run: EngineRunner | None = None,
    point: OperatingPoint | None = None,
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> Receipt:
    """Compare an engine with the golden outputs and write its receipt, passed or refused.

    Args:
        engine: with its manifest beside it, which leads to the ONNX.
        run: None loads the engine with TensorRT.
        point: thresholds of the site; None takes the defaults for the model's kind.
        on_stage: told what is being done.

    Raises:
        BackendError: this machine has no TensorRT or no GPU.
        ModelError: a file beside the engine is missing or does not belong to it.
    """
    on_stage("reading the golden outputs")
    subject = _read(engine, point)
    found = _Findings()
    on_stage("comparing with ONNX Runtime")
    _check_onnx(subject, found)
    _check_engine(subject, run, found, on_stage)
    receipt = _receipt(subject, found)
    try:
        replace_file(receipt_of(engine), (receipt.model_dump_json(indent=1) + "\n").encode())
    except OSError as error:
        raise ModelError(
            f"{receipt_of(engine)}: {error.strerror or error}, want a folder that can be written, "
            f"for the receipt; change its owner or mount"
        ) from error
    return receipt


def _read(engine: Path, point: OperatingPoint | None) -> _Subject:
    built = EngineManifest.load(engine_manifest_of(engine))
    digest = sha256_of(engine) if engine.is_file() else "no such file"
    if digest != built.engine.sha256:
        raise ModelError(
            f"{engine}: {digest[:12]}, want sha256 {built.engine.sha256[:12]}... as in "
            f"{engine_manifest_of(engine).name}; {_BUILD}"
        )
    onnx = onnx_of_engine(engine)
    manifest, golden = load_golden(onnx)
    head = None if manifest.head is None else load_head(onnx, manifest)
    point = point or DEFAULTS[manifest.kind]
    return _Subject(engine, built, onnx, manifest, golden, point, head)


def _receipt(subject: _Subject, found: _Findings) -> Receipt:
    machine = subject.built.machine
    return Receipt(
        format="ropewatch-receipt-1",
        verdict="refused" if found.reasons else "passed",
        reasons=tuple(found.reasons),
        notes=tuple(untold(found.decisions)),
        engine=_fact(subject.engine),
        onnx=_fact(subject.onnx),
        manifest=_fact(manifest_of(subject.onnx)),
        golden=_fact(golden_of(subject.onnx)),
        reference=subject.golden.origin["reference"],
        precision=subject.built.precision,
        tensorrt=machine.tensorrt,
        gpu=machine.gpu,
        batches=tuple(found.batches),
        numbers=tuple(found.numbers),
        decisions=tuple(found.decisions),
        thresholds_from=subject.point.origin,
        onnxruntime=found.onnxruntime,
        made_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        ropewatch=version("ropewatch"),
    )


def _check_onnx(subject: _Subject, found: _Findings) -> None:
    """Ask ONNX Runtime for the golden outputs, where it is installed."""
    if not has_onnx_runtime():
        return
    runner = OnnxRunner(subject.onnx)
    found.onnxruntime = runner.version
    shapes = {name: limits.opt for name, limits in subject.built.profile.items()}
    held = _answers(runner, cases(subject.golden, subject.manifest, shapes))
    numbers, _ = subject.outcome(*held, precision="fp32") if len(held[0]) else ([], [])
    found.reasons.extend(
        f"golden outputs are not this ONNX's: {_reason(one, 'in ONNX Runtime')}"
        for one in numbers
        if one.exceeds
    )


def _check_engine(
    subject: _Subject,
    run: EngineRunner | None,
    found: _Findings,
    on_stage: Callable[[str], None],
) -> None:
    """Run every size of the profile; an engine that cannot be run is refused for that."""
    try:
        with contextlib.ExitStack() as stack:
            if run is None:
                on_stage("loading the engine")
                run = stack.enter_context(TensorRtRunner(subject.engine))
            for shapes in _sizes(subject.built.profile):
                batch = shapes[subject.manifest.inputs[0].name][0]
                on_stage(f"comparing at batch {batch}")
                held = _answers(run, cases(subject.golden, subject.manifest, shapes))
                found.batches.append(batch)
                if len(held[0]):
                    _judge(subject, *held, batch=batch, found=found)
    except ModelError as error:
        found.reasons.append(" ".join(str(error).split()))


def _sizes(profile: Mapping[str, ShapeRange]) -> list[Shapes]:
    """The shapes of all inputs at each end of the profile and at its optimum, each once."""
    found: list[Shapes] = []
    for name in ("min", "opt", "max"):
        shapes = {tensor: getattr(limits, name) for tensor, limits in profile.items()}
        if shapes not in found:
            found.append(shapes)
    return found


def _answers(run: EngineRunner, todo: Iterator[Case]) -> tuple[Floats, Floats, Rows]:
    """Golden and actual rows of the one output, and which golden row each is.

    Raises:
        ModelError: another name, shape or dtype than the golden output's, or no finite number.
    """
    expected, actual, rows = [], [], []
    for case in todo:
        outputs = run.run(case.feeds)
        batch = len(next(iter(case.feeds.values())))
        if set(outputs) != set(case.expected):
            raise ModelError(f"outputs {sorted(outputs)}, want {sorted(case.expected)}")
        for name, wanted in case.expected.items():
            output = outputs[name]
            if output.dtype != np.float32 or output.shape != wanted.shape:
                raise ModelError(
                    f"{name}: {output.dtype} {output.shape} at batch {batch}, want float32 "
                    f"{wanted.shape}"
                )
            bad = int(np.size(output) - np.isfinite(output).sum())
            if bad:
                raise ModelError(
                    f"{name}: {bad} of {output.size} numbers at batch {batch} are NaN or infinite"
                )
            expected.append(wanted)
            actual.append(np.array(output))
            rows.append(case.rows)
    return np.concatenate(expected), np.concatenate(actual), np.concatenate(rows)


def _judge(
    subject: _Subject,
    expected: Floats,
    actual: Floats,
    rows: Rows,
    *,
    batch: int,
    found: _Findings,
) -> None:
    precision, where = subject.built.precision, f"at batch {batch}"
    numbers, decisions = subject.outcome(expected, actual, rows, precision=precision)
    found.numbers.extend(
        ParityFact(
            quantity=one.quantity,
            batch=batch,
            max_abs_difference=one.difference,
            tolerance=one.tolerance,
        )
        for one in numbers
    )
    found.decisions = _worse(found.decisions, decisions)
    exceeding = [one for one in numbers if one.exceeds]
    if exceeding and np.ptp(actual, axis=0).max() < _CONSTANT < np.ptp(expected, axis=0).max():
        found.reasons.append(f"gives the same for every input {where}")
    if exceeding and subject.manifest.kind == "classifier" and subject.head is None:
        turned, _ = subject.outcome(expected, actual[:, ::-1], rows, precision=precision)
        if not any(one.exceeds for one in turned):
            found.reasons.append(f"gives the labels in the opposite order {where}")
    found.reasons.extend(_reason(one, where) for one in exceeding)
    found.reasons.extend(
        f"{one.changed} decided otherwise {where}, {one.what}, threshold {one.threshold:g}"
        for one in decisions
        if one.changed
    )


def _reason(number: Number, where: str) -> str:
    row = f", most in golden row {number.row}" if number.row >= 0 else ""
    return (
        f"{number.quantity} differs by {number.difference:.3g} {where}{row}, want at most "
        f"{number.tolerance:g}"
    )


def _worse(old: list[DecisionFact], new: list[DecisionFact]) -> list[DecisionFact]:
    """Of each decision the batch size at which most changed; the golden side is the same."""
    if not old:
        return list(new)
    return [
        max(one, other, key=lambda fact: (fact.changed, fact.in_band))
        for one, other in zip(old, new, strict=True)
    ]


def _fact(path: Path) -> FileFact:
    return FileFact(file=path.name, sha256=sha256_of(path), size_bytes=path.stat().st_size)
