"""The ladder and the names, with files on disk and the real gate."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime", reason="needs the standin or export extra")
pytest.importorskip("onnx")

from ropewatch.errors import BackendError, ModelError
from ropewatch.golden import golden_of
from ropewatch.manifest import manifest_of
from ropewatch.receipt import require_passing
from tests.export.engine.boxes import Box, add_typed, manifest, publish_rope, request
from tests.export.engine.models import classifier, publish, weights
from tests.export.engine.tensorrt_double.building import note_of

FP16 = ["typed-fp16", "typed-fp16-static", "flagged-fp16", "fp32", "fp32-static"]


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    return publish_rope(tmp_path)


@pytest.mark.parametrize("release", ["10.3", "10.16", "11.1"])
def test_first_recipe_that_passes_gets_the_name_nvinfer_looks_for(
    onnx: Path, release: str
) -> None:
    box = Box(release)

    engine = box.build(onnx)

    assert engine == onnx.with_name("rope.onnx_b4_gpu0_fp16.engine")
    assert require_passing(engine).verdict == "passed"
    assert (box.built, box.judged) == (["typed-fp16"], ["typed-fp16"])
    assert note_of(engine.read_bytes())["strongly_typed"]
    assert manifest(engine).onnx == "rope.onnx"
    assert manifest(engine).built_from.file == "rope.fp16.onnx"


def test_each_refused_recipe_is_followed_by_the_next_and_recorded(onnx: Path) -> None:
    box = Box(wrong=("typed-fp16", "flagged-fp16"), failing=("typed-fp16-static",))

    engine = box.build(onnx)

    assert engine.name == "rope.onnx_b4_gpu0_fp32.engine"
    assert box.built == FP16[:4]
    assert box.judged == ["typed-fp16", "flagged-fp16", "fp32"]
    tried = [(fact.recipe, fact.outcome) for fact in manifest(engine).ladder]
    assert tried == list(zip(FP16[:3], ["refused", "failed", "refused"], strict=True))
    assert "no tactic" in manifest(engine).ladder[1].reason
    assert any(line.startswith("typed-fp16: refused: ") for line in box.told)
    assert not list(onnx.parent.glob("*fp16.engine*"))


def test_tensorrt_11_has_no_flagged_recipe_and_types_fp32_too(onnx: Path) -> None:
    box = Box("11.1", wrong=tuple(FP16[:2]))

    engine = box.build(onnx)

    assert box.built == ["typed-fp16", "typed-fp16-static", "fp32"]
    assert "flagged-fp16: skipped: TensorRT 11 has no FP16 flag" in box.told
    assert manifest(engine).flags == ("TF32 off", "strongly typed")


def test_without_typed_onnx_the_typed_recipes_are_skipped_with_the_way_to_one(
    tmp_path: Path,
) -> None:
    onnx = publish(tmp_path, classifier(weights()), name="rope")
    box = Box()

    box.build(onnx)

    assert box.built == ["flagged-fp16"]
    assert (
        "typed-fp16: skipped: no rope.fp16.onnx beside the ONNX; make it with "
        "`ropewatch export typed`" in box.told
    )


def test_precision_fp32_starts_at_fp32(onnx: Path) -> None:
    box = Box()

    engine = box.build(onnx, precision="fp32")

    assert box.built == ["fp32"]
    assert note_of(engine.read_bytes())["flags"] == []


def test_static_recipe_has_one_size(onnx: Path) -> None:
    box = Box(wrong=("fp32",))

    engine = box.build(onnx, precision="fp32", opt_batch=2)

    assert manifest(engine).recipe == "fp32-static"
    sizes = manifest(engine).profile["images"]
    assert sizes.min == sizes.opt == sizes.max == (4, 3, 8, 8)
    assert require_passing(engine).batches == (4,)


def test_if_no_recipe_passes_the_release_is_named_and_no_engine_is_left(onnx: Path) -> None:
    stale = onnx.with_name("rope.onnx_b4_gpu0_fp16.engine")
    stale.write_bytes(b"of another time")
    box = Box(wrong=tuple(FP16))

    with pytest.raises(ModelError, match=r"no engine of TensorRT 10\.3\.0 passed: typed-fp16 re"):
        box.build(onnx)

    assert box.built == FP16
    assert not list(onnx.parent.rglob("*.engine"))


def test_engine_that_passed_before_outlives_builds_that_fail(onnx: Path) -> None:
    engine = Box().build(onnx)

    with pytest.raises(ModelError, match=r"; rope\.onnx_b4_gpu0_fp16\.engine is left, it passed"):
        Box(failing=tuple(FP16)).build(onnx, workspace_bytes=32 << 20)

    assert require_passing(engine).verdict == "passed"


def test_model_without_golden_outputs_is_refused_before_minutes_of_building(onnx: Path) -> None:
    golden_of(onnx).unlink()
    box = Box()

    with pytest.raises(ModelError, match=r"golden\.npz"):
        box.build(onnx)

    assert box.built == []


def test_int8_needs_explicit_quantisation(onnx: Path) -> None:
    with pytest.raises(
        ModelError, match=r"rope\.onnx: no QuantizeLinear in it, want an ONNX with"
    ):
        Box().build(onnx, precision="int8")


def test_int8_of_a_quantised_onnx_is_strongly_typed(onnx: Path) -> None:
    add_typed(onnx, precision="int8", operators={"QuantizeLinear": 1, "DequantizeLinear": 1})
    box = Box()

    engine = box.build(onnx, precision="int8")

    assert engine.name == "rope.onnx_b4_gpu0_int8.engine"
    assert manifest(engine).flags == ("strongly typed",)


def test_model_that_takes_boxes_is_refused(onnx: Path) -> None:
    facts = json.loads(manifest_of(onnx).read_text("utf-8"))
    facts["inputs"].append({"name": "rois", "dtype": "float32", "shape": ["boxes", 4]})
    manifest_of(onnx).write_text(json.dumps(facts), encoding="utf-8")

    with pytest.raises(ModelError, match=r"inputs images, rois, want pictures alone: .*--parts t"):
        Box().build(onnx)


def test_typed_onnx_of_another_parent_is_refused(onnx: Path) -> None:
    publish(onnx.parent, classifier(weights(1)), name="rope")
    typed = onnx.with_name("rope.fp16.onnx")
    facts = json.loads(manifest_of(typed).read_text("utf-8"))
    facts["inputs"][0]["shape"][2] = 9
    manifest_of(typed).write_text(json.dumps(facts), encoding="utf-8")

    with pytest.raises(ModelError, match=r"its inputs or outputs differ from rope\.onnx"):
        Box().build(onnx)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"opt_batch": 5}, r"--opt-batch: 5, want 1 to 4, the greatest batch"),
        ({"output": "x.onnx_b8_gpu0_fp16.engine"}, r"want x\.onnx_b4_gpu0_fp16\.engine as --max"),
        ({"output": "x.onnx_b4_gpu0_fp32.engine"}, r"want x\.onnx_b4_gpu0_fp16\.engine as --max"),
        ({"output": "x.onnx_b4_dla0_fp16.engine"}, r"want x\.onnx_b4_gpu0_fp16\.engine as --max"),
    ],
)
def test_contradictions_are_named(onnx: Path, changes: dict[str, Any], message: str) -> None:
    if "output" in changes:
        changes = {"output": onnx.with_name(changes["output"])}

    with pytest.raises(ModelError, match=message):
        Box().build(onnx, **changes)


def test_output_goes_where_it_is_wanted(onnx: Path) -> None:
    wanted = onnx.parent / "engines" / "rope.engine"

    engine = Box().build(onnx, output=wanted)

    assert engine == wanted
    assert manifest(engine).onnx == "../rope.onnx"
    assert require_passing(engine).verdict == "passed"


def test_name_in_nvinfers_form_says_the_precision_that_the_engine_has(onnx: Path) -> None:
    folder = onnx.parent / "engines"
    wanted = folder / "rope.onnx_b4_gpu0_fp16.engine"

    engine = Box(wrong=tuple(FP16[:3])).build(onnx, output=wanted)

    assert engine == folder / "rope.onnx_b4_gpu0_fp32.engine"
    assert not wanted.exists()


def test_full_disk_or_short_memory_stops_before_the_build(onnx: Path) -> None:
    box = Box()

    with pytest.raises(BackendError, match=r"memory: .* available, want 1048576\.0 GiB"):
        box.build(onnx, workspace_bytes=1 << 50)

    assert box.built == []


def test_request_names_what_nvinfer_would(onnx: Path) -> None:
    assert request(onnx).target("int8").name == "rope.onnx_b4_gpu0_int8.engine"
