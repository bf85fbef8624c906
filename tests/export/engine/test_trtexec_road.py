"""The other road with a program that knows trtexec's options of one release each."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="needs the standin or export extra")
pytest.importorskip("onnx")

from export.engine.roads import BuildError
from export.engine.trtexec_road import TrtexecRoad, find_trtexec
from ropewatch.errors import BackendError
from ropewatch.manifest import manifest_of
from tests.export.engine.boxes import RUNGS, add_typed, machine, order
from tests.export.engine.models import classifier, publish, weights
from tests.export.engine.tensorrt_double import trtexec as program
from tests.export.engine.tensorrt_double.building import note_of
from tests.export.engine.tensorrt_double.double import RELEASES

TYPED = [name for name in RUNGS if name.startswith(("typed-fp16", "fp32"))]


@pytest.fixture
def rope(tmp_path: Path) -> Path:
    path = publish(tmp_path, classifier(weights()), name="rope")
    text = manifest_of(path).read_text("utf-8")
    text = text.replace('{"MatMul": 1}', '{"MatMul": 1, "Softmax": 1}')
    manifest_of(path).write_text(text, encoding="utf-8")
    add_typed(path)
    return path


def road(tmp_path: Path, release: str, told: "list[str] | None" = None) -> TrtexecRoad:
    script = tmp_path / "trtexec"
    script.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" "{program.__file__}" {release} "$@"\n', "utf-8"
    )
    script.chmod(0o755)
    return TrtexecRoad(script, machine(release), tell=(told if told is not None else []).append)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("rung", TYPED)
def test_each_recipe_builds_with_the_options_of_each_release(
    rope: Path, tmp_path: Path, release: str, rung: str
) -> None:
    told: list[str] = []
    wanted = order(rope, rung)

    road(tmp_path, release, told).build(wanted)

    least, best = (4, 4) if rung.endswith("static") else (1, 2)
    note = note_of(wanted.engine.read_bytes())
    assert note["profiles"] == [{"images": [[size, 3, 8, 8] for size in (least, best, 4)]}]
    assert wanted.timing_cache.is_file()
    assert told == [f"[I] TensorRT version: {RELEASES[release]}"]


@pytest.mark.parametrize("release", ["10.3", "10.16"])
def test_flagged_recipe_names_the_layers_that_stay_fp32(
    rope: Path, tmp_path: Path, release: str
) -> None:
    wanted = order(rope, "flagged-fp16")

    road(tmp_path, release).build(wanted)

    held = "*LayerNormalization:fp32,*Softmax:fp32"
    assert road(tmp_path, release).flags(wanted.rung) == (
        "--fp16",
        "--precisionConstraints=obey",
        f"--layerPrecisions={held}",
        f"--layerOutputTypes={held}",
    )
    assert wanted.engine.is_file()


def test_layers_that_trtexec_passed_over_fail_the_recipe(
    rope: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELD", "0")
    wanted = order(rope, "flagged-fp16")

    with pytest.raises(BuildError, match=r"trtexec held 0 layers in fp32, want 1 \(LayerNorm"):
        road(tmp_path, "10.3").build(wanted)

    assert not wanted.engine.exists()


def test_failure_says_what_trtexec_said(
    rope: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "1")

    with pytest.raises(
        BuildError, match=r"trtexec ended with 1 at fp32, want an engine; it says: \[E\] Error\[2"
    ):
        road(tmp_path, "10.3").build(order(rope, "fp32"))


def test_trtexec_of_another_release_is_refused(rope: Path, tmp_path: Path) -> None:
    other = TrtexecRoad(road(tmp_path, "10.16")._program, machine("10.3"), tell=print)

    with pytest.raises(BuildError, match=r"TensorRT 10\.16, want 10\.3 as the Python package"):
        other.build(order(rope, "fp32"))


def test_absent_trtexec_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BackendError, match=r"trtexec: not in PATH and not at .*libnvinfer-bin"):
        find_trtexec(tmp_path / "none")
