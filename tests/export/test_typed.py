"""Half precision graphs of small networks, run by ONNX Runtime on the CPU."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ropewatch.errors import ModelError
from ropewatch.golden import golden_of, load_golden
from ropewatch.manifest import load_verified, manifest_of
from ropewatch.rope_head import load_head

torch = pytest.importorskip("torch", reason="needs scripts/setup --export")
onnx = pytest.importorskip("onnx")
pytest.importorskip("modelopt.onnx.autocast", reason="needs scripts/setup --export")
typed = pytest.importorskip("export.typed")
precision = pytest.importorskip("export.precision")
parity = pytest.importorskip("export.parity")
model_module = pytest.importorskip("export.classifier_model")
checkpoints = pytest.importorskip("export.checkpoints")
classifier = pytest.importorskip("export.classifier")
frame = pytest.importorskip("export.frame")

pytestmark = pytest.mark.export

DEMO = Path(__file__).parents[2] / "demo" / "models"
DEPTH, FRAME_WH = 2, (160, 96)


def export(folder: Path, *, name: str, batch: Any = "dynamic", frames: Any = None) -> Path:
    torch.manual_seed(9)
    kwargs = {"embed_dim": 24, "depth": DEPTH, "num_heads": 2, "init_values": 0.5}
    model = model_module.build_roi_classifier(
        model_module.Architecture(
            labels=("rope_ok", "rope_not_ok"),
            crop_wh=(48, 80),
            backbone_kwargs=kwargs,
            hidden=(16,),
        )
    )
    with torch.no_grad():
        model.head[-1].weight.mul_(20)  # otherwise all probabilities are about one half
    checkpoints.save_checkpoint(model, folder / "rope.pt")
    written: Path = classifier.export_classifier(
        folder / "rope.pt", output_dir=folder, name=name, batch=batch, frames=frames
    )
    return written


def types_of(path: Path) -> dict[str, int]:
    return {
        value.name: value.type.tensor_type.elem_type
        for value in precision.check_types(onnx.load(path)).graph.value_info
    }


@pytest.fixture(scope="module")
def crop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("crop"), name="crop")


@pytest.fixture(scope="module")
def half(crop: Path) -> Path:
    from ropewatch.cli import main  # noqa: PLC0415

    assert main(["export", "typed", str(crop), "--precision", "fp16"]) == 0
    return crop.with_name("crop.fp16.onnx")


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("person")
    written: Path = typed.export_typed(DEMO / "person.onnx", output_dir=folder)
    return written


def test_typed_graph_keeps_its_interface_and_halves_its_weights(crop: Path, half: Path) -> None:
    parent, child = load_verified(crop), load_verified(half)

    assert (child.inputs, child.outputs) == (parent.inputs, parent.outputs)
    assert {tensor.dtype for tensor in (*child.inputs, *child.outputs)} == {"float32"}
    assert child.onnx.size_bytes < 0.8 * parent.onnx.size_bytes
    assert (child.kind, child.mode, child.labels) == ("classifier", "crop", parent.labels)
    assert child.opset == parent.opset


def test_typed_manifest_names_its_parent_and_what_stayed(crop: Path, half: Path) -> None:
    made = load_verified(half).derived_from

    assert made is not None
    assert made.onnx == load_verified(crop).onnx
    assert re.fullmatch(r"nvidia-modelopt AutoCast [\d.]+", made.tool)
    assert made.fp32_operators == {"LayerNormalization": 2 * DEPTH + 1, "Softmax": 1}
    assert made.fp16_operators["Softmax"] == DEPTH
    assert "LayerNormalization" not in made.fp16_operators
    assert made.largest_weights == 0
    assert 0 < made.max_abs_difference["probability"] < 5e-3


def test_typed_golden_outputs_are_the_parents(crop: Path, half: Path) -> None:
    _, parent = load_golden(crop)
    _, child = load_golden(half)

    assert child.origin["reference"] == "pytorch"
    np.testing.assert_array_equal(child.outputs["probabilities"], parent.outputs["probabilities"])


def test_rotary_tables_are_kept_once(half: Path) -> None:
    tables = [
        tensor
        for tensor in onnx.load(half).graph.initializer
        if tuple(tensor.dims)[-2:] == (20, 12)
    ]

    assert [tensor.data_type for tensor in tables] == [onnx.TensorProto.FLOAT16] * 2


def test_operators_are_kept_on_demand(crop: Path, tmp_path: Path) -> None:
    written = typed.export_typed(crop, output_dir=tmp_path, keep_fp32=("Softmax",))

    made = load_verified(written).derived_from
    assert made is not None
    assert made.fp32_operators["Softmax"] == DEPTH + 1
    assert "Softmax" not in made.fp16_operators


def test_an_operator_that_is_not_there_is_named(crop: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="--keep-fp32: Softmx, want operators of the graph, wh"):
        typed.export_typed(crop, output_dir=tmp_path, keep_fp32=("Softmx",))

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["operator", "matmul"])
def test_boxes_stay_float32_until_they_are_applied(tmp_path: Path, form: Any) -> None:
    path = export(tmp_path, name="frame", frames=frame.Frames(FRAME_WH, form))

    written = typed.export_typed(path)

    graph = onnx.load(written)
    types, boxes = types_of(written), precision.geometry(graph)
    computed = {
        types[output]
        for node in graph.graph.node
        if node.name in boxes and node.op_type != "Cast"
        for output in node.output
    }
    assert onnx.TensorProto.FLOAT in computed
    assert onnx.TensorProto.FLOAT16 not in computed
    assert not [
        node.name
        for node in graph.graph.node
        if node.op_type == "Cast"
        and "rois" in node.input
        and node.attribute[0].i == onnx.TensorProto.FLOAT16
    ]
    assert load_verified(written).parity[0].max_abs_difference < 5e-3


@pytest.mark.parametrize("frames", [None, frame.Frames(FRAME_WH)], ids=["crop", "frame"])
def test_a_fixed_batch_answers_for_every_golden_picture(tmp_path: Path, frames: Any) -> None:
    path = export(tmp_path, name="fixed", batch=3, frames=frames)
    manifest, golden = load_golden(path)

    answers = typed._answers(parity.open_onnx(onnx.load(path)), manifest, golden)

    np.testing.assert_allclose(answers, golden.outputs["probabilities"], rtol=0, atol=1e-5)


def test_boxes_of_a_detector_are_made_in_float32(person: Path) -> None:
    made = load_verified(person).derived_from

    assert made is not None
    # What makes a distance of the bins, and pixels of the distance.
    assert {name: made.fp32_operators[name] for name in ("ReduceSum", "Sub", "Softmax")} == {
        "ReduceSum": 1, "Sub": 1, "Softmax": 1,
    }  # fmt: skip
    assert "ReduceSum" not in made.fp16_operators
    box = next(value for name, value in made.max_abs_difference.items() if name.startswith("box"))
    assert box < 0.1


def test_boxes_are_finer_than_the_steps_of_half_precision(person: Path) -> None:
    manifest, golden = load_golden(person)

    boxes = typed._answers(parity.open_onnx(onnx.load(person)), manifest, golden)[..., :4]

    # There half precision has a quarter of a pixel and less fine.
    far = boxes[boxes >= 256]
    assert far.size > 1000
    assert np.mean(far == far.astype(np.float16)) < 0.05


def test_every_half_precision_tensor_is_really_rounded() -> None:
    steps = [("Cast", "x", "half"), ("Add", "half", "sum"), ("Sub", "sum", "rest"),
             ("Cast", "rest", "y")]  # fmt: skip
    types = {"half": onnx.TensorProto.FLOAT16, "y": onnx.TensorProto.FLOAT}
    nodes = [
        onnx.helper.make_node(kind, [source], [name], to=types[name])
        if kind == "Cast"
        else onnx.helper.make_node(kind, [source, "large"], [name])
        for kind, source, name in steps
    ]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [3]) for name in "xy"]
    large = onnx.numpy_helper.from_array(np.array([2048], np.float16), "large")
    graph = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "graph", ends[:1], ends[1:], [large]),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    rounded = precision.rounding(precision.check_types(graph))
    given = np.array([0.3, 1.3, 70000], np.float32)

    (answer,) = parity.open_onnx(rounded, optimise=False).run(None, {"x": given})

    # At 2048 half precision has steps of 2, and it ends at 65504.
    np.testing.assert_array_equal(answer, np.array([0, 2, np.inf], np.float32))


def test_typed_graph_runs_at_every_batch(half: Path) -> None:
    manifest, golden = load_golden(half)

    for size in (1, 2, 7):
        feeds = {"images": golden.feeds(manifest)["images"][:size]}
        answer = parity.run_onnx(onnx.load(half), feeds)

        assert answer.dtype == np.float32
        np.testing.assert_allclose(
            answer, golden.outputs["probabilities"][:size], rtol=0, atol=5e-3
        )


def test_a_typed_onnx_is_not_converted_again(half: Path) -> None:
    with pytest.raises(ModelError, match=r"crop.fp16.onnx: typed already, from crop.onnx; give"):
        typed.export_typed(half)


def test_frame_mode_without_golden_outputs_is_refused(tmp_path: Path) -> None:
    path = export(tmp_path, name="frame", frames=frame.Frames(FRAME_WH))
    manifest = json.loads(manifest_of(path).read_text())
    manifest_of(path).write_text(json.dumps({**manifest, "golden": None}))
    golden_of(path).unlink()

    with pytest.raises(ModelError, match="no golden outputs, want them; export the model again"):
        typed.export_typed(path)


def test_a_conversion_that_differs_too_much_is_refused(
    crop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    strict = dataclasses.replace(typed.TOLERANCES["fp16"], probability=1e-9)
    monkeypatch.setattr(typed, "TOLERANCES", {"fp16": strict})

    with pytest.raises(ModelError, match=r"crop\.fp16: probability differs"):
        typed.export_typed(crop, output_dir=tmp_path)

    assert not list(tmp_path.iterdir())


def test_types_that_contradict_are_named() -> None:
    half, single = (
        onnx.helper.make_tensor_value_info(name, kind, [1])
        for name, kind in (("a", onnx.TensorProto.FLOAT16), ("b", onnx.TensorProto.FLOAT))
    )
    output = onnx.helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["a", "b"], ["c"])], "g", [half, single], [output]
    )

    with pytest.raises(ModelError, match=r"typed graph: .*want types that agree; keep"):
        precision.check_types(onnx.helper.make_model(graph))


def test_a_backbone_is_judged_by_what_its_head_says(tmp_path: Path) -> None:
    path = export(tmp_path, name="rope", frames=frame.Frames(FRAME_WH, parts="two"))

    written = typed.export_typed(path, output_dir=tmp_path / "half")

    manifest = load_verified(written)
    assert written.name == "rope.backbone.fp16.onnx"
    assert manifest.parity[0].quantity == "probability by the head, 12 boxes"
    assert 0 < manifest.parity[0].max_abs_difference < 5e-3
    assert load_head(written, manifest).labels == ("rope_ok", "rope_not_ok")
    assert {tensor.dtype for tensor in manifest.outputs} == {"float32"}
