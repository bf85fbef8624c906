"""What may watch people on a device: an engine with a receipt that passed, and nothing else."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="needs the standin or export extra")
pytest.importorskip("onnx")

from deepstream.backend import Backend
from deepstream.compose import compose
from deepstream.models import model_versions
from export.engine.gate import verify
from export.engine.onnx_runner import OnnxRunner
from ropewatch.errors import ModelError
from ropewatch.files import sha256_of
from ropewatch.lint.config import Config
from ropewatch.lint.source import read_config
from ropewatch.load import load_site
from ropewatch.receipt import receipt_of
from tests.export.engine.models import build, classifier, publish, weights

pytestmark = pytest.mark.gst
ROOT = Path(__file__).parents[2]


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return publish(tmp_path, classifier(weights()), name="rope")


@pytest.fixture
def engine(onnx: Path) -> Path:
    made = build(onnx, classifier(weights()))
    verify(made, run=OnnxRunner(made))
    return made


def config(folder: Path, **values: str) -> Config:
    file = folder / "rope.txt"
    keys = (f"{name.replace('_', '-')}={value}" for name, value in values.items())
    file.write_text("\n".join(["[property]", *keys]))
    return Config.of(read_config(file))


def versions(found: Config, *, on_device: bool) -> dict[str, str]:
    return model_versions({"classifier": found}, on_device=on_device)


def test_device_tells_the_engine_and_its_receipt(tmp_path: Path, engine: Path, onnx: Path) -> None:
    told = versions(config(tmp_path, model_engine_file=engine.name), on_device=True)

    assert told["classifier"].startswith(
        f"engine {sha256_of(engine)[:12]} fp16, TensorRT 10.3.0, parity passed 20"
    )
    assert told["classifier"].endswith(f"onnx {sha256_of(onnx)[:12]}")


def test_device_refuses_an_engine_without_a_receipt(tmp_path: Path, engine: Path) -> None:
    receipt_of(engine).unlink()

    with pytest.raises(ModelError, match="no such file, want the receipt of an engine"):
        versions(config(tmp_path, model_engine_file=engine.name), on_device=True)


def test_device_refuses_an_engine_that_the_gate_refused(tmp_path: Path, onnx: Path) -> None:
    wrong = build(onnx, classifier(weights(1)))
    verify(wrong, run=OnnxRunner(wrong))

    with pytest.raises(ModelError, match="refused by the parity gate"):
        versions(config(tmp_path, model_engine_file=wrong.name), on_device=True)


def test_device_refuses_an_engine_that_was_replaced(tmp_path: Path, engine: Path) -> None:
    engine.write_bytes(b"another engine under the same name")

    with pytest.raises(ModelError, match="not the file that the parity gate compared"):
        versions(config(tmp_path, model_engine_file=engine.name), on_device=True)


def test_device_names_an_engine_that_is_absent(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model-engine-file: .*no such file; correct the path"):
        versions(config(tmp_path, model_engine_file="rope.engine"), on_device=True)


def test_stand_ins_need_no_receipt_and_tell_the_onnx(
    tmp_path: Path, engine: Path, onnx: Path
) -> None:
    receipt_of(engine).unlink()
    expected = {"classifier": f"onnx {sha256_of(onnx)[:12]}"}

    by_engine = config(tmp_path, model_engine_file=engine.name)
    by_onnx = config(tmp_path, onnx_file="rope.onnx")

    assert versions(by_engine, on_device=False) == expected
    assert versions(by_onnx, on_device=False) == expected
    assert versions(config(tmp_path), on_device=False) == {}


def test_run_on_a_device_starts_with_no_engine_that_was_not_judged(tmp_path: Path) -> None:
    for folder in ("configs", "demo/models"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for name in ("person.onnx_b2_gpu0_fp16.engine", "rope.onnx_b16_gpu0_fp16.engine"):
        (tmp_path / "demo" / "models" / name).write_bytes(b"built by somebody")
    # Only that it is a file is looked at.
    parser = tmp_path / "plugins" / "nvdsinfer_ropewatch" / "libnvdsinfer_ropewatch.so"
    parser.parent.mkdir(parents=True)
    parser.write_bytes(b"")
    site = load_site(
        tmp_path / "configs" / "dev-cpu.yaml", overrides=[f"tracker.ll_lib_file={parser}"]
    )

    with pytest.raises(ModelError, match=r"person\.onnx_b2_.*want the receipt of an engine"):
        compose(site, Backend("deepstream", None, "9.1"))
