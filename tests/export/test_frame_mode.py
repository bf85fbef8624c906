"""Frame mode with a tiny backbone on small pictures; the answers are torchvision's RoIAlign."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ropewatch.errors import ModelError
from ropewatch.golden import as_nvinfer, load_golden
from ropewatch.manifest import load_verified

torch = pytest.importorskip("torch", reason="needs scripts/setup --export")
roi_align = pytest.importorskip("torchvision.ops").roi_align
onnx = pytest.importorskip("onnx")
model_module = pytest.importorskip("export.classifier_model")
checkpoints = pytest.importorskip("export.checkpoints")
frame = pytest.importorskip("export.frame")
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


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [1, 2, 3])
def test_matrix_products_do_what_roi_align_does(*, sampling_ratio: int, aligned: bool) -> None:
    architecture = build(
        sampling_ratio=sampling_ratio, aligned=aligned, roi_out=(5, 3)
    ).architecture
    random = torch.Generator().manual_seed(7)
    features = torch.randn(3, 4, 6, 10, generator=random)
    # Wholly inside, over each edge, wholly outside, of no size, and turned inside out.
    rois = torch.tensor(
        [[1, 1, 4, 5], [-3, -2, 4, 3], [6, 2, 14, 9],
         [20, 20, 25, 25], [3, 3, 3, 3], [4, 5, 1, 1]],
        dtype=torch.float32,
    )  # fmt: skip
    index = torch.tensor([0, 1, 2, 0, 1, 2])

    pooled = frame.roi_align_matmul(features, rois, index, architecture)

    expected = roi_align(
        features,
        torch.cat([index[:, None].float(), rois], dim=1),
        architecture.roi_out,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
    )
    torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-5)


def test_matrix_products_over_no_boxes_are_empty() -> None:
    pooled = frame.roi_align_matmul(
        torch.randn(1, 4, 6, 10),
        torch.zeros(0, 4),
        torch.zeros(0, dtype=torch.int64),
        build(roi_out=(5, 3)).architecture,
    )

    assert pooled.shape == (0, 4, 5, 3)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from ropewatch.cli import main  # noqa: PLC0415 (torch is there by now)

    folder = tmp_path_factory.mktemp("frame")
    checkpoints.save_checkpoint(build(), folder / "rope.pt")
    for form in ("operator", "matmul"):
        code = main(
            ["export", "classifier", "--weights", str(folder / "rope.pt"), "--mode", "frame",
             "--frame-wh", "160x96", "--roi-align", form, "--name", form, "--output", str(folder)]
        )  # fmt: skip
        assert code == 0
    return {form: folder / f"{form}.onnx" for form in ("operator", "matmul")}


def test_frame_export_says_what_it_takes(exported: dict[str, Path]) -> None:
    manifest = load_verified(exported["operator"])

    assert (manifest.mode, manifest.attention) == ("frame", "explicit")
    assert manifest.network_wh_px == FRAME_WH
    assert [(tensor.name, tensor.dtype, tensor.shape) for tensor in manifest.inputs] == [
        ("images", "float32", ("batch", 3, 96, 160)),
        ("rois", "float32", ("boxes", 4)),
        ("image_index", "int64", ("boxes",)),
    ]
    assert {fact.batch for fact in manifest.parity} == {1, 2}
    assert manifest.operators["RoiAlign"] == 1
    assert "RoiAlign" not in load_verified(exported["matmul"]).operators


@pytest.mark.parametrize(("images", "boxes"), [(1, 0), (1, 1), (2, 7), (3, 12)])
def test_both_forms_give_the_same_for_any_number_of_boxes(
    exported: dict[str, Path], images: int, boxes: int
) -> None:
    pixels = parity.sample_images(images, size_wh=FRAME_WH)
    rois, index = frame.sample_boxes(boxes, images=images, size_wh=FRAME_WH)
    scaled = as_nvinfer(pixels, load_verified(exported["operator"]).preprocessing)
    feeds = {"images": scaled, "rois": rois, "image_index": index}

    operator, matmul = (
        parity.run_onnx(onnx.load(exported[form]), feeds) for form in ("operator", "matmul")
    )

    assert operator.shape == (boxes, 2)
    np.testing.assert_allclose(matmul, operator, rtol=0, atol=1e-5)
    if boxes > 1:
        assert np.ptp(operator[:, 0]) > 1e-3, "the comparison says nothing if all are equal"


def test_golden_outputs_are_those_of_torchvision_for_boxes_in_two_pictures(
    exported: dict[str, Path],
) -> None:
    manifest, golden = load_golden(exported["matmul"])

    answer = parity.run_onnx(onnx.load(exported["operator"]), golden.feeds(manifest))

    assert set(golden.inputs["image_index"]) == {0, 1}
    np.testing.assert_allclose(golden.outputs["probabilities"], answer, rtol=0, atol=1e-5)


def test_equal_constants_are_kept_once(exported: dict[str, Path]) -> None:
    # 60 cells and 5 tokens before them, 12 numbers each: a sine and a cosine table for all blocks.
    tables = [
        tensor
        for tensor in onnx.load(exported["operator"]).graph.initializer
        if tuple(tensor.dims)[-2:] == (65, 12)
    ]

    assert len(tables) == 2


@pytest.mark.slow
def test_vit_s_over_whole_frames_stays_below_95_mb() -> None:
    model = build(crop_wh=(192, 384), backbone_kwargs={}, hidden=(256,))

    graph = frame.frame_graph(model, frame.Frames(), batch="dynamic")

    # The rotary tables are there once and not in each of twelve layers.
    assert 86e6 < graph.ByteSize() < 95e6


def test_frame_export_refuses_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="frame_wh: 100 x 96, want multiples of the backbone's"):
        frame.frame_graph(build(), frame.Frames((100, 96)), batch=1)
    with pytest.raises(ModelError, match="sampling_ratio: 0, want 1 or more"):
        frame.frame_graph(build(sampling_ratio=0), frame.Frames(FRAME_WH, "matmul"), batch=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "crop", "--frame-wh", "160x96"], "--frame-wh: given with --mode crop"),
        (["--mode", "crop", "--roi-align", "matmul"], "--roi-align: given with --mode crop"),
        (["--mode", "frame", "--crop-wh", "48x80"], "--crop-wh: given with --mode frame"),
    ],
)
def test_options_of_the_other_mode_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    from ropewatch.cli import main  # noqa: PLC0415

    code = main(
        ["export", "classifier", "--weights", "rope.pt", "--output", str(tmp_path), *arguments]
    )

    assert code == 1
    assert message in capsys.readouterr().err
