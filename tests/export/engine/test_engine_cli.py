"""`ropewatch engine ...` from the command line to files, on a box of doubles."""

import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime", reason="needs the standin or export extra")
pytest.importorskip("onnx")

from export.engine.cache import FOLDER
from export.engine.cli import default_batch
from ropewatch.cli import main
from ropewatch.golden import golden_of
from ropewatch.manifest import Manifest, manifest_of
from ropewatch.receipt import require_passing
from tests.export.engine.boxes import describe_golden, publish_rope
from tests.export.engine.models import classifier, publish, weights
from tests.export.engine.tensorrt_double import building
from tests.export.engine.tensorrt_double.building import BUILDING, note_of
from tests.export.engine.tensorrt_double.double import make_tensorrt
from tests.export.engine.tensorrt_double.running import Memory, make_pycuda, running

ROOT = Path(__file__).parents[3]


class Box:
    """This process, made into a box: only NVIDIA's modules are doubles."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.has("10.3")

    def has(self, release: str, **more: type) -> None:
        """A release of TensorRT; `more` stands behind some of its names in place of the usual."""
        memory = Memory()
        behaviours = {**BUILDING, **running(memory), **more}
        package: Any = types.ModuleType("pycuda")
        package.driver = make_pycuda(memory)
        self._patch.setitem(sys.modules, "tensorrt", make_tensorrt(release, behaviours))
        self._patch.setitem(sys.modules, "pycuda", package)
        self._patch.setitem(sys.modules, "pycuda.driver", package.driver)

    def computes_wrongly(self, *, when: Callable[[dict[str, Any]], bool]) -> None:
        """A TensorRT whose engines have other weights where it was asked to build so."""

        class Builder(building.Builder):
            def build_serialized_network(self, network: Any, config: Any) -> Any:
                plan = super().build_serialized_network(network, config)
                head, note, _onnx = plan.split(b"\n", 2)
                if not when(note_of(plan)):
                    return plan
                wrong = classifier(-weights()).SerializeToString()
                return building.IHostMemory(b"\n".join([head, note, wrong]))

        self.has("10.3", Builder=Builder)


def is_half(note: dict[str, Any]) -> bool:
    return note["strongly_typed"] or "FP16" in note["flags"]


def is_half_and_dynamic(note: dict[str, Any]) -> bool:
    least, _best, most = note["profiles"][0]["images"]
    return is_half(note) and least != most


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Box:
    return Box(monkeypatch)


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return publish_rope(tmp_path)


def engine(*words: Any) -> int:
    return main(["engine", *map(str, words)])


def test_build_writes_the_engine_and_says_what_the_nvinfer_file_needs(
    box: Box, onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert engine("build", onnx, "--workspace-mib", 64) == 0

    said = capsys.readouterr().out
    built = onnx.with_name("rope.onnx_b16_gpu0_fp16.engine")
    assert require_passing(built).verdict == "passed"
    assert "TensorRT 10.3.0, CUDA 12.6, Orin\n" in said
    assert f"wrote {built} (" in said
    assert f"model-engine-file={built.name} (with its folder), batch-size=16" in said
    assert "network-mode=2" in said


def test_build_that_ends_in_another_precision_says_so(
    box: Box, onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box.computes_wrongly(when=is_half)

    assert engine("build", onnx, "--workspace-mib", 64, "--max-batch", 4) == 0

    said = capsys.readouterr().out
    assert "typed-fp16: refused: " in said
    assert "asked for fp16, got fp32: nothing faster gave the golden outputs" in said
    assert "rope.onnx_b4_gpu0_fp32.engine (with its folder), batch-size=4, network-mode=0" in said


def test_verify_says_the_figures_and_ends_with_1_for_a_refusal(
    box: Box, onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine("build", onnx, "--workspace-mib", 64)
    built = onnx.with_name("rope.onnx_b16_gpu0_fp16.engine")
    capsys.readouterr()

    assert engine("verify", built) == 0
    passed = capsys.readouterr().out
    wrong = publish(onnx.parent, classifier(-weights()), name="wrong")
    golden_of(onnx).write_bytes(golden_of(wrong).read_bytes())
    describe_golden(onnx)
    assert engine("verify", built) == 1
    refused = capsys.readouterr().out

    assert passed.startswith(f"{built.name}: passed at batch 1, 16\n")
    assert "batch 16: differs by at most 0.0e+00 of " in passed
    assert refused.startswith(f"{built.name}: refused at batch")
    assert "  refused: " in refused


def test_verify_takes_the_thresholds_of_a_site(
    box: Box, onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine("build", onnx, "--workspace-mib", 64)
    built = onnx.with_name("rope.onnx_b16_gpu0_fp16.engine")

    assert engine("verify", built, "--site", ROOT / "configs" / "jetson.yaml") == 0

    assert "rope_not_ok at 0.461: 0 of 8" in capsys.readouterr().out
    assert require_passing(built).thresholds_from == "jetson.yaml"


def test_list_says_what_may_run_here(
    box: Box, onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box.computes_wrongly(when=is_half_and_dynamic)
    engine("build", onnx, "--workspace-mib", 64)
    onnx.with_name("found.onnx_b1_gpu0_fp16.engine").write_bytes(b"?")
    capsys.readouterr()

    assert engine("list", onnx.parent) == 0
    here = capsys.readouterr().out
    box.has("10.16")
    assert engine("list", onnx.parent) == 0
    elsewhere = capsys.readouterr().out

    assert "rope.onnx_b16_gpu0_fp16.engine: typed-fp16-static, 0.0 MB, passed\n" in here
    assert "found.onnx_b1_gpu0_fp16.engine: no readable manifest; build it again" in here
    assert "cache: rope.onnx_b16_gpu0_fp16.engine (typed-fp16): refused\n" in here
    assert "cache: rope.onnx_b16_gpu0_fp16.engine (typed-fp16-static): kept\n" in here
    assert "for TensorRT 10.3.0 on Orin, want TensorRT 10.16.1.11 on Orin" in elsewhere


def test_list_of_an_engine_whose_onnx_changed_says_that_it_may_not_run(
    box: Box, onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine("build", onnx, "--workspace-mib", 64)
    publish(onnx.parent, classifier(weights(1)), name="rope")

    assert engine("list", onnx.parent) == 0

    assert "may not run: " in capsys.readouterr().out


def test_prune_keeps_what_the_named_engines_are(
    box: Box, onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine("build", onnx, "--workspace-mib", 64, "--max-batch", 4)
    engine("build", onnx, "--workspace-mib", 64, "--max-batch", 8)
    for path in onnx.parent.glob("*b4_gpu0*"):
        path.unlink()

    assert engine("prune", onnx.parent) == 0

    said = capsys.readouterr().out
    assert said.count("removed ") == 1
    assert "freed 0.0 MB" in said
    (kept,) = (onnx.parent / FOLDER).glob("*/*.engine")
    assert kept.name == "rope.onnx_b8_gpu0_fp16.engine"


@pytest.mark.parametrize("words", [["list", "none"], ["prune", "none"], ["verify", "none"]])
def test_paths_that_do_not_exist_are_named(
    box: Box, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert engine(*words) == 1

    assert capsys.readouterr().err.startswith("error: none: no such f")


def test_onnx_of_a_fixed_batch_takes_no_other(
    box: Box, onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (onnx, onnx.with_name("rope.fp16.onnx")):
        text = manifest_of(path).read_text("utf-8")
        text = text.replace('["batch", 3, 8, 8]', "[2, 3, 8, 8]")
        manifest_of(path).write_text(text, encoding="utf-8")

    assert engine("build", onnx, "--max-batch", 4, "--workspace-mib", 64) == 1

    said = capsys.readouterr().err
    assert "input images has the batch 2, want 4; give --max-batch 2, or export with" in said


@pytest.mark.parametrize(("mode", "batch"), [("crop", 16), ("backbone", 4), (None, 4)])
def test_batch_by_default_is_what_the_graph_wants(onnx: Path, mode: str, batch: int) -> None:
    manifest = Manifest.load(manifest_of(onnx)).model_copy(update={"mode": mode})

    assert default_batch(manifest) == batch


@pytest.mark.parametrize("words", ["build x.onnx", "verify x.engine", "list", "prune"])
def test_machine_without_tensorrt_is_told_in_one_line(words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ropewatch.cli", "engine", *words.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: tensorrt: ")


@pytest.mark.parametrize(
    ("option", "value"), [("--max-batch", "0"), ("--max-batch", "1025"), ("--workspace-mib", "x")]
)
def test_numbers_out_of_range_are_a_wrong_command_line(
    capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        engine("build", "x.onnx", option, value)

    assert caught.value.code == 2
    assert f"{value!r}, want " in capsys.readouterr().err
