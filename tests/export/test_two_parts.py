"""Frame mode in two parts: the ONNX in ONNX Runtime, the head in numpy, the whole in PyTorch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ropewatch.errors import ModelError
from ropewatch.golden import as_nvinfer, load_golden
from ropewatch.manifest import Manifest, load_verified, manifest_of
from ropewatch.rope_head import RopeHead, head_of

torch = pytest.importorskip("torch", reason="needs scripts/setup --export")
onnx = pytest.importorskip("onnx")
model_module = pytest.importorskip("export.classifier_model")
checkpoints = pytest.importorskip("export.checkpoints")
classifier = pytest.importorskip("export.classifier")
frame = pytest.importorskip("export.frame")
two_parts = pytest.importorskip("export.two_parts")
parity = pytest.importorskip("export.parity")

pytestmark = pytest.mark.export

LABELS = ("rope_ok", "rope_not_ok")
FRAME_WH = (160, 96)


def build(**changes: Any) -> Any:
    torch.manual_seed(6)
    fields: dict[str, Any] = {
        "labels": LABELS,
        "crop_wh": (48, 80),
        "backbone_kwargs": {"embed_dim": 24, "depth": 2, "num_heads": 2, "init_values": 0.5},
        "hidden": (16,),
    }
    model = model_module.build_roi_classifier(
        model_module.Architecture(**{**fields, **changes})
    ).eval()
    with torch.no_grad():
        model.head[-1].weight.mul_(20)  # otherwise all probabilities are about one half
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ropewatch.cli import main  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("two")
    checkpoints.save_checkpoint(build(), folder / "rope.pt")
    common = ["export", "classifier", "--weights", str(folder / "rope.pt"), "--mode", "frame",
              "--frame-wh", "160x96", "--output", str(folder)]  # fmt: skip
    assert main([*common, "--parts", "two"]) == 0
    assert main([*common, "--parts", "one"]) == 0
    return folder / "rope.backbone.onnx"


def load_head(backbone: Path) -> RopeHead:
    fact = load_verified(backbone).head
    assert fact is not None
    return RopeHead.load(backbone.with_name(fact.file), sha256=fact.sha256)


def test_backbone_takes_frames_and_gives_maps(exported: Path) -> None:
    manifest = load_verified(exported)

    assert (manifest.kind, manifest.mode, manifest.attention) == (
        "classifier",
        "backbone",
        "explicit",
    )
    assert manifest.network_wh_px == FRAME_WH
    assert [(tensor.name, tensor.dtype, tensor.shape) for tensor in manifest.inputs] == [
        ("images", "float32", ("batch", 3, 96, 160))
    ]
    assert [(tensor.name, tensor.dtype, tensor.shape) for tensor in manifest.outputs] == [
        ("features", "float32", ("batch", 24, 6, 10))
    ]
    assert manifest.head is not None
    assert manifest.head.file == head_of(exported).name == "rope.head.npz"
    assert {"RoiAlign", "Gemm"}.isdisjoint(manifest.operators)


@pytest.mark.parametrize(("images", "boxes"), [(1, 0), (1, 1), (2, 7), (3, 12)])
def test_two_parts_give_what_one_gives(exported: Path, images: int, boxes: int) -> None:
    pixels = parity.sample_images(images, size_wh=FRAME_WH)
    rois, index = frame.sample_boxes(boxes, images=images, size_wh=FRAME_WH)
    scaled = as_nvinfer(pixels, load_verified(exported).preprocessing)
    whole = parity.run_onnx(
        onnx.load(exported.with_name("rope.onnx")),
        {"images": scaled, "rois": rois, "image_index": index},
    )

    features = parity.run_onnx(onnx.load(exported), {"images": scaled})
    head = load_head(exported)
    parts = np.empty((boxes, 2), np.float32)
    for image in range(images):
        parts[index == image] = head(features[image], rois[index == image])

    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-5)
    if boxes > 1:
        assert np.ptp(parts[:, 0]) > 1e-3, "the comparison says nothing if all are equal"


@pytest.mark.parametrize(
    "changes",
    [
        {"reduce": "flatten", "roi_out": (3, 2)},
        {"activation": "silu", "hidden": (16, 8)},
        {"activation": "relu", "hidden": ()},
        {"sampling_ratio": 0},
        {"aligned": False, "sampling_ratio": 1},
        {"labels": ("a", "b", "c")},
    ],
)
def test_head_does_what_the_model_does(changes: dict[str, Any]) -> None:
    model = build(**changes)
    rois, _ = frame.sample_boxes(9, images=1, size_wh=FRAME_WH)
    images = torch.randn(1, 3, 96, 160)
    with torch.no_grad():
        features = model.feature_map(images)[0].numpy()
        joined = torch.from_numpy(np.concatenate([np.zeros((9, 1), np.float32), rois], axis=1))
        expected = model(images, joined).softmax(1).numpy()

    actual = two_parts.head_from(model)(features, rois)

    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


def test_golden_outputs_are_the_map(exported: Path) -> None:
    manifest, golden = load_golden(exported)

    features = parity.run_onnx(onnx.load(exported), golden.feeds(manifest))

    np.testing.assert_allclose(features, golden.outputs["features"], rtol=0, atol=1e-4)


def test_size_that_is_no_whole_patches_is_refused(tmp_path: Path) -> None:
    checkpoints.save_checkpoint(build(), tmp_path / "rope.pt")

    with pytest.raises(ModelError, match="frame_wh: 100 x 96, want multiples of the backbone's"):
        classifier.export_classifier(
            tmp_path / "rope.pt",
            output_dir=tmp_path / "out",
            frames=frame.Frames((100, 96), parts="two"),
        )

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "crop", "--parts", "two"], "--parts: given with --mode crop"),
        (
            ["--mode", "frame", "--parts", "two", "--roi-align", "matmul"],
            "--roi-align: given with --parts two, where the host pools",
        ),
    ],
)
def test_options_without_a_use_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    from ropewatch.cli import main  # noqa: PLC0415

    code = main(
        ["export", "classifier", "--weights", "rope.pt", "--output", str(tmp_path), *arguments]
    )

    assert code == 1
    assert message in capsys.readouterr().err


def test_manifest_of_a_backbone_without_its_head_is_refused(
    exported: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bare.json"
    facts = json.loads(manifest_of(exported).read_text())
    path.write_text(json.dumps({**facts, "head": None}))

    with pytest.raises(ModelError, match="head: None with mode backbone, want one for a backbone"):
        Manifest.load(path)
