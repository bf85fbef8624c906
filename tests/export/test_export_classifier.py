"""Classifier checkpoints to ONNX: the way through, and everything that must not get through."""

import dataclasses
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from ropewatch.errors import ModelError
from ropewatch.golden import load_golden
from ropewatch.manifest import Polarity, load_verified, manifest_of

torch = pytest.importorskip("torch", reason="needs scripts/setup --export")
checkpoints = pytest.importorskip("export.checkpoints")
model_module = pytest.importorskip("export.classifier_model")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.export


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    built = model_module.build_roi_classifier(
        model_module.Architecture(
            labels=("roped", "unroped"),
            crop_wh=(48, 80),
            backbone_kwargs={"embed_dim": 24, "depth": 2, "num_heads": 2, "init_values": 0.5},
            hidden=(16,),
        )
    ).eval()
    with torch.no_grad():
        built.head[-1].weight.mul_(20)  # otherwise all probabilities are about one half
    return built


@pytest.fixture
def weights(model: Any, tmp_path: Path) -> Path:
    path = tmp_path / "rope.pt"
    checkpoints.save_checkpoint(model, path)
    return path


def export(weights: Path, **kwargs: Any) -> Path:
    from export.classifier import export_classifier  # noqa: PLC0415 (torch, which may be absent)

    return export_classifier(weights, output_dir=weights.parent / "out", **kwargs)


def test_classifier_export_is_a_verified_pair_that_runs_at_any_batch(
    model: Any, weights: Path
) -> None:
    onnx = export(weights)

    manifest = load_verified(onnx)
    assert manifest.labels == ("roped", "unroped")
    assert manifest.network_wh_px == (48, 80)
    assert {fact.batch for fact in manifest.parity} == {1, 2, 7, 8}, "8 golden crops"
    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(3).integers(0, 256, (5, 3, 80, 48)).astype(np.uint8)
    offsets = np.array(manifest.preprocessing.offsets, np.float32).reshape(1, 3, 1, 1)
    scaled = np.float32(manifest.preprocessing.net_scale_factor) * (pixels - offsets)
    probabilities = session.run(None, {"images": scaled})[0]
    with torch.no_grad():
        expected = model(model.normalise(torch.from_numpy(pixels))).softmax(1).numpy()
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert np.ptp(probabilities[:, 0]) > 0.01, "the comparison says nothing if all are equal"


def test_classifier_export_writes_report_and_polarity_that_fit_the_schema(weights: Path) -> None:
    told = Polarity(score_label="unroped", alert_when="at_or_above")

    onnx = export(weights, polarity=told)

    manifest = load_verified(onnx)
    assert manifest.polarity == told
    assert manifest.gmacs is not None
    page = onnx.with_name("rope.report.html").read_text()
    assert "p(unroped) at or above the site&#x27;s threshold" in page
    schema = Path(__file__).parents[2] / "configs/schema/manifest.schema.json"
    jsonschema.validate(json.loads(manifest_of(onnx).read_text()), json.loads(schema.read_text()))


def test_classifier_export_refuses_a_polarity_about_no_label(weights: Path) -> None:
    told = Polarity(score_label="no_rope", alert_when="below")

    with pytest.raises(ModelError, match=r"--score-label no_rope, want one of \['roped', 'unro"):
        export(weights, polarity=told)

    assert not (weights.parent / "out").exists()


def test_classifier_export_leaves_what_pytorch_gives_for_crops(model: Any, weights: Path) -> None:
    _, golden = load_golden(export(weights))

    assert golden.origin["reference"] == "pytorch"
    with torch.no_grad():
        logits = model(model.normalise(torch.from_numpy(golden.pixels)))
    np.testing.assert_allclose(
        golden.outputs["probabilities"], logits.softmax(1).numpy(), rtol=0, atol=1e-6
    )


def test_classifier_export_with_a_fixed_batch_takes_that_batch(weights: Path) -> None:
    manifest = load_verified(export(weights, batch=3, name="three"))

    assert manifest.inputs[0].shape == (3, 3, 80, 48)
    assert manifest.onnx.file == "three.onnx"


def test_classifier_export_reads_a_bare_half_precision_state_dict(
    model: Any, tmp_path: Path
) -> None:
    path = tmp_path / "bare.pt"
    torch.save({name: tensor.half() for name, tensor in model.state_dict().items()}, path)

    manifest = load_verified(export(path, architecture=model.architecture))

    assert manifest.weights.file == "bare.pt"


def test_classifier_export_takes_another_crop_size(weights: Path) -> None:
    assert load_verified(export(weights, crop_wh=(64, 96))).network_wh_px == (64, 96)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"labels": ("unroped", "roped")}, "their order is the class order; leave --labels out"),
        ({"crop_wh": (50, 80)}, "crop_wh: 50 x 80, want multiples"),
    ],
)
def test_classifier_export_refuses_arguments_that_do_not_fit(
    weights: Path, kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        export(weights, **kwargs)

    assert not (weights.parent / "out").exists()


def test_classifier_export_refuses_a_second_architecture(model: Any, weights: Path) -> None:
    other = dataclasses.replace(model.architecture, roi_out=(3, 3))

    with pytest.raises(ModelError, match="carries an architecture that differs"):
        export(weights, architecture=other)


def test_classifier_export_without_an_architecture_asks_for_labels(
    model: Any, tmp_path: Path
) -> None:
    path = tmp_path / "bare.pt"
    torch.save(model.state_dict(), path)

    with pytest.raises(ModelError, match="give --architecture, or --labels"):
        export(path)


def _without_a_tensor(state: dict[str, Any]) -> None:
    del state["backbone.blocks.1.mlp.fc1.bias"]


def _renamed(state: dict[str, Any]) -> None:
    state["backbone.blocks.1.mlp.fc_1.bias"] = state.pop("backbone.blocks.1.mlp.fc1.bias")


def _with_three_classes(state: dict[str, Any]) -> None:
    state["head.3.weight"] = torch.zeros(3, 16)


def _with_nan(state: dict[str, Any]) -> None:
    state["head.3.bias"] = torch.tensor([float("nan"), 0])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            _without_a_tensor,
            r"architecture: 1, want none; .*\n  missing backbone\.blocks\.1\.mlp\.fc1\.bias",
        ),
        (_renamed, r"fc1\.bias \(nearest: backbone\.blocks\.1\.mlp\.fc_1\.bias\)\n  unexpected"),
        (_with_three_classes, r"head\.3\.weight is \(3, 16\), want \(2, 16\)"),
        (_with_nan, r"head\.3\.bias holds NaN or infinity"),
    ],
)
def test_classifier_export_lists_tensors_that_do_not_fit_and_writes_nothing(
    model: Any, tmp_path: Path, damage: Callable[[dict[str, Any]], None], message: str
) -> None:
    state = dict(model.state_dict())
    damage(state)
    path = tmp_path / "rope.pt"
    torch.save({"architecture": model.architecture.to_json(), "state_dict": state}, path)

    with pytest.raises(ModelError, match=message):
        export(path)

    assert sorted(tmp_path.iterdir()) == [path]


def test_classifier_export_refuses_another_backbone(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "rope.pt"
    torch.save(model.state_dict(), path)
    other = dataclasses.replace(model.architecture, backbone_kwargs={"embed_dim": 48, "depth": 1})

    with pytest.raises(ModelError, match=r"unexpected backbone\.blocks\.1\."):
        export(path, architecture=other)


def test_classifier_export_refuses_a_backbone_that_timm_does_not_know(
    model: Any, tmp_path: Path
) -> None:
    path = tmp_path / "rope.pt"
    torch.save(model.state_dict(), path)
    other = dataclasses.replace(model.architecture, backbone="vit_imaginary")

    with pytest.raises(ModelError, match=r"architecture: .*vit_imaginary.*fix the architecture"):
        export(path, architecture=other)


class _Bomb:
    """Runs a program when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.marker), "w"))


def test_classifier_export_does_not_run_what_a_pickle_holds(tmp_path: Path) -> None:
    path, marker = tmp_path / "bomb.pt", tmp_path / "it-ran"
    torch.save({"head.0.weight": _Bomb(marker)}, path)

    with pytest.raises(ModelError, match=r"a pickle with .*open in it, .* tensors alone") as error:
        export(path)

    assert "weights_only" not in str(error.value), "torch advises to read it all the same"
    assert not marker.exists()


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def _text(path: Path) -> None:
    path.write_text("these are not the weights\n")


def _plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(["not", "a", "dict"], protocol=2))


def _zip_of_something_else(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no weights")


@pytest.mark.parametrize("damage", [_truncated, _text, _plain_pickle, _zip_of_something_else])
def test_classifier_export_names_a_file_that_is_no_checkpoint(
    weights: Path, damage: Callable[[Path], None]
) -> None:
    damage(weights)

    with pytest.raises(ModelError, match=r"rope\.pt: .*want a (whole file|state dict)"):
        export(weights)

    assert not (weights.parent / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no such file"), (b"", "empty, want a checkpoint")]
)
def test_classifier_export_names_a_file_that_is_absent_or_empty(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "rope.pt"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ModelError, match=message):
        export(path)


def test_classifier_export_names_an_output_folder_that_cannot_be_made(weights: Path) -> None:
    (weights.parent / "out").write_text("a file where the folder should be")

    with pytest.raises(ModelError, match="give another --output"):
        export(weights)


def test_architecture_file_is_read_by_the_command(model: Any, tmp_path: Path) -> None:
    from ropewatch.cli import main  # noqa: PLC0415

    weights, architecture = tmp_path / "bare.pt", tmp_path / "architecture.json"
    torch.save(model.state_dict(), weights)
    architecture.write_text(json.dumps(model.architecture.to_json()))

    code = main(
        ["export", "classifier", "--weights", str(weights), "--output", str(tmp_path / "out"),
         "--architecture", str(architecture), "--name", "rope"]
    )  # fmt: skip

    assert code == 0
    assert load_verified(tmp_path / "out" / "rope.onnx").labels == ("roped", "unroped")


def test_classifier_export_leaves_the_old_pair_when_the_new_one_cannot_be_written(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = export(weights)
    before = {path.name: path.read_bytes() for path in onnx.parent.iterdir()}

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ModelError, match="No space left on device, want a folder"):
        export(weights, crop_wh=(64, 96))

    assert {path.name: path.read_bytes() for path in onnx.parent.iterdir()} == before
