"""The engine's column over a TensorRT whose answers are ONNX Runtime's."""

import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.trust import Trust
from ropewatch.load import load_site
from tests.export.engine.tensorrt_double.building import BUILDING, MAGIC
from tests.export.engine.tensorrt_double.double import make_tensorrt
from tests.export.engine.tensorrt_double.running import Memory, make_pycuda, running

parity = pytest.importorskip("export.chain.parity", reason="needs scripts/setup --export")
cv2 = pytest.importorskip("cv2")

pytestmark = pytest.mark.export
ROOT = Path(__file__).parents[3]
SIZES = {"person": (2, 192, 320), "rope": (16, 192, 96)}


@pytest.fixture
def chain(tmp_path: Path) -> Any:
    """The demo's site with its models copied, and one picture of a clip."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    shutil.copytree(ROOT / "demo/models", tmp_path / "demo/models")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    capture = cv2.VideoCapture(str(ROOT / "demo/clips/site-a.mp4"))
    capture.set(cv2.CAP_PROP_POS_FRAMES, 100)
    _, frame = capture.read()
    cv2.imwrite(str(pictures / "a.png"), frame)
    clips = [f"sources.{index}.uri={ROOT}/demo/clips/site-{c}.mp4" for index, c in enumerate("ab")]
    site = load_site(tmp_path / "configs/dev-cpu.yaml", overrides=clips)
    return parity._Chain(parity.Inputs(site, pictures, (), Trust()))


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    made = Memory()
    package: Any = types.ModuleType("pycuda")
    package.driver = make_pycuda(made)
    trt = make_tensorrt("10.3", {**BUILDING, **running(made)})
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", package.driver)
    return made


def _onnx_column(chain: Any) -> Any:
    models = (chain.detector, chain.classifier)
    detect, judge = (chain.by_onnx(each, each.manifest.preprocessing) for each in models)
    return chain.column("onnx", "ONNX", "", detect=detect, judge=judge)


def _write_engines(models: Path) -> None:
    for name, (batch, height, width) in SIZES.items():
        onnx = models / f"{name}.onnx"
        limits = [[size, 3, height, width] for size in (1, 1, batch)]
        note = json.dumps({"profiles": [{"images": limits}]}).encode()
        engine = models / f"{name}.onnx_b{batch}_gpu0_fp16.engine"
        engine.write_bytes(MAGIC + note + b"\n" + onnx.read_bytes())


def test_engine_column_says_what_the_engines_compute(
    chain: Any, memory: Memory, tmp_path: Path
) -> None:
    _write_engines(tmp_path / "demo/models")
    onnx = _onnx_column(chain)

    found = parity._engine(chain, onnx)

    assert found.note.startswith("TensorRT: person.onnx_b2_gpu0_fp16.engine, rope.onnx_b16")
    compared = parity.compare(onnx, found, parity.PIXELS)
    assert compared.matched >= 3
    assert compared.agree
    assert np.isfinite(compared.probability)


def test_engine_column_names_the_engine_that_is_not_there(chain: Any, memory: Memory) -> None:
    found = parity._engine(chain, _onnx_column(chain))

    assert found.persons is None
    assert found.note == (
        "no engine: person.onnx_b2_gpu0_fp16.engine, rope.onnx_b16_gpu0_fp16.engine; build it"
    )
