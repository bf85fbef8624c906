"""The runner's calls against the names of each release, with ONNX Runtime behind them."""

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the standin or export extra")
pytest.importorskip("onnx")

import onnx

from export.engine.gate import verify
from export.engine.onnx_runner import OnnxRunner
from export.engine.tensorrt_runner import TensorRtRunner
from ropewatch.engine_manifest import engine_manifest_of
from ropewatch.errors import BackendError, ModelError
from ropewatch.files import sha256_of
from tests.export.engine.models import SIDE, build, classifier, publish, weights
from tests.export.engine.tensorrt_double.building import BUILDING, MAGIC
from tests.export.engine.tensorrt_double.double import RELEASES, make_tensorrt
from tests.export.engine.tensorrt_double.running import Memory, make_pycuda, running

LIMITS = [[1, 3, SIDE, SIDE], [4, 3, SIDE, SIDE], [16, 3, SIDE, SIDE]]


@pytest.fixture
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Memory:
    """A machine with one release of TensorRT and a GPU."""
    release = getattr(request, "param", "10.3")
    made = Memory()
    trt = make_tensorrt(release, {**BUILDING, **running(made)})
    package: Any = types.ModuleType("pycuda")
    package.driver = make_pycuda(made)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", package.driver)
    return made


def engine_of(onnx_path: Path, model: Any) -> Path:
    """An engine as the double's builder makes it, with its manifest."""
    engine = build(onnx_path, model)
    note = json.dumps({"profiles": [{"images": LIMITS}]}).encode()
    engine.write_bytes(MAGIC + note + b"\n" + model.SerializeToString())
    facts = json.loads(engine_manifest_of(engine).read_text())
    facts["engine"]["sha256"] = sha256_of(engine)
    engine_manifest_of(engine).write_text(json.dumps(facts))
    return engine


@pytest.fixture
def rope(tmp_path: Path) -> Path:
    return publish(tmp_path, classifier(weights()), name="rope")


def images(count: int) -> Any:
    return np.random.default_rng(2).random((count, 3, SIDE, SIDE), np.float32)


@pytest.mark.parametrize("memory", RELEASES, indirect=True)
def test_runner_gives_what_the_engine_computes_at_any_batch(memory: Memory, rope: Path) -> None:
    with TensorRtRunner(engine_of(rope, classifier(weights()))) as runner:
        for count in (1, 5, 16):
            answer = runner.run({"images": images(count)})
            expected = OnnxRunner(rope).run({"images": images(count)})
            np.testing.assert_array_equal(answer["probabilities"], expected["probabilities"])

        assert memory.held == {}, "memory of each run is given back"
        assert memory.contexts == 1

    assert memory.contexts == 0


@pytest.mark.parametrize("memory", RELEASES, indirect=True)
def test_gate_runs_an_engine_by_tensorrt(memory: Memory, rope: Path) -> None:
    passed = verify(engine_of(rope, classifier(weights())))
    refused = verify(engine_of(rope, classifier(weights(1))))

    assert (passed.verdict, passed.batches) == ("passed", (1, 4, 16))
    assert refused.verdict == "refused"


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"images": images(17)}, r"input images does not take \(17, 3, 8, 8\), want up to \(16,"),
        ({"images": images(1).astype(np.float64)}, "input images is float32, want float64"),
        ({"pixels": images(1)}, r"inputs \['images'\], want \['pixels'\]"),
    ],
)
def test_runner_names_inputs_that_the_engine_does_not_take(
    memory: Memory, rope: Path, feeds: Any, message: str
) -> None:
    with (
        TensorRtRunner(engine_of(rope, classifier(weights()))) as runner,
        pytest.raises(ModelError, match=message),
    ):
        runner.run(feeds)

    assert memory.held == {}


def test_engine_with_half_precision_inputs_is_refused(memory: Memory, rope: Path) -> None:
    model = classifier(weights())
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    model.graph.node.insert(
        0, onnx.helper.make_node("Cast", ["images"], ["wide"], to=onnx.TensorProto.FLOAT)
    )
    model.graph.node[1].input[0] = "wide"

    receipt = verify(engine_of(rope, model))

    assert receipt.verdict == "refused"
    assert "input images is float16, want float32" in receipt.reasons[0]


def test_file_that_tensorrt_does_not_load_is_refused_with_its_words(
    memory: Memory, rope: Path
) -> None:
    receipt = verify(build(rope, classifier(weights())))

    assert receipt.verdict == "refused"
    assert (
        "TensorRT 10.3.0 does not load it (Serialization assertion magicTag failed)"
        in (receipt.reasons[0])
    )
    assert memory.contexts == 0


def test_output_that_the_engine_does_not_write_is_no_answer(
    memory: Memory, rope: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(rope, classifier(weights()))
    monkeypatch.setattr(OnnxRunner, "run", lambda _self, _feeds: {})

    with TensorRtRunner(engine) as runner:
        assert np.isnan(runner.run({"images": images(2)})["probabilities"]).all()


def test_machine_without_tensorrt_is_an_error_and_no_verdict(rope: Path) -> None:
    engine = build(rope, classifier(weights()))

    with pytest.raises(BackendError, match=r"tensorrt: .*, want NVIDIA's Python package"):
        verify(engine)

    assert not engine.with_name(engine.name + ".receipt.json").exists()


def test_machine_without_a_gpu_is_an_error_and_no_verdict(
    memory: Memory, rope: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["pycuda"], "driver", make_pycuda(memory, gpus=0))
    monkeypatch.setitem(sys.modules, "pycuda.driver", make_pycuda(memory, gpus=0))
    engine = engine_of(rope, classifier(weights()))

    with pytest.raises(BackendError, match=r"cuda: cuDeviceGet failed.*want a GPU"):
        verify(engine)
