"""The rope classifier's network, in a size that takes milliseconds."""

import json
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs scripts/setup --export")
roi_align = pytest.importorskip("torchvision.ops").roi_align
model_module = pytest.importorskip("export.classifier_model")

pytestmark = pytest.mark.export

Architecture = model_module.Architecture
build_roi_classifier = model_module.build_roi_classifier


def tiny(**changes: Any) -> Any:
    values: dict[str, Any] = {
        "labels": ("roped", "unroped"),
        "crop_wh": (48, 80),
        "backbone_kwargs": {
            "embed_dim": 24,
            "depth": 2,
            "num_heads": 2,
            "num_reg_tokens": 2,
            "init_values": 0.5,
        },
        "hidden": (16,),
    }
    return Architecture(**{**values, **changes})


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2, 3])
@pytest.mark.parametrize("bins", [1, 3, 7])
def test_roi_align_matrix_does_what_torchvision_does_to_a_whole_map(
    *, bins: int, sampling_ratio: int, aligned: bool
) -> None:
    features = torch.randn(1, 2, 10, 6, generator=torch.Generator().manual_seed(0))
    kwargs = {"sampling_ratio": sampling_ratio, "aligned": aligned}

    rows, columns = (model_module.roi_align_matrix(n, bins, **kwargs) for n in (10, 6))

    whole = torch.tensor([[0.0, 0, 0, 6, 10]])
    expected = roi_align(features, whole, (bins, bins), 1.0, **kwargs)
    torch.testing.assert_close(rows @ features @ columns.T, expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize("reduce", ["mean", "flatten"])
def test_a_roi_over_the_whole_crop_gives_what_crop_mode_gives(reduce: str) -> None:
    torch.manual_seed(1)
    model = build_roi_classifier(tiny(reduce=reduce, roi_out=(5, 3))).eval()
    images = torch.randn(3, 3, 80, 48)
    rois = torch.tensor([[index, 0, 0, 48, 80] for index in (2, 0)], dtype=torch.float32)

    with torch.no_grad():
        crops, regions = model(images), model(images, rois)

    torch.testing.assert_close(regions, crops[[2, 0]], rtol=0, atol=1e-5)


def test_no_rois_give_no_rows() -> None:
    model = build_roi_classifier(tiny()).eval()

    with torch.no_grad():
        logits = model(torch.randn(1, 3, 80, 48), torch.zeros(0, 5))

    assert logits.shape == (0, 2)


def test_every_weight_takes_part_in_training() -> None:
    model = build_roi_classifier(tiny())

    loss = torch.nn.functional.cross_entropy(
        model(torch.randn(4, 3, 80, 48)), torch.tensor([0, 1, 1, 0])
    )
    loss.backward()

    idle = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert idle == []


def test_state_dict_holds_learned_tensors_only() -> None:
    model = build_roi_classifier(tiny())

    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}


def test_vit_s_has_the_tensors_of_dinov3() -> None:
    model = build_roi_classifier(Architecture(labels=("a", "b"), crop_wh=(192, 384)))

    backbone = model.backbone.state_dict()
    assert len(backbone) == 162
    assert sum(tensor.numel() for tensor in backbone.values()) == 21_586_944


def test_nvinfer_scaling_and_folded_std_equal_the_training_normalisation() -> None:
    torch.manual_seed(2)
    model = build_roi_classifier(tiny(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))).eval()
    pixels = torch.randint(0, 256, (2, 3, 80, 48), dtype=torch.uint8)
    offsets = 255 * torch.tensor([0.4, 0.5, 0.6]).reshape(1, 3, 1, 1)

    with torch.no_grad():
        expected = model(model.normalise(pixels)).softmax(1)
        actual = model_module.ForNvinfer(model)((pixels.float() - offsets) / 255)

    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)


def test_architecture_survives_json() -> None:
    architecture = tiny(roi_out=(6, 3), hidden=())

    read = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))

    assert read == architecture


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("one",)}, "want two or more, each once"),
        ({"activation": "tanh"}, r"activation: 'tanh', want one of \['gelu', 'relu', 'silu'\]"),
        ({"reduce": "max"}, "want mean or flatten"),
        ({"crop_wh": (0, 80)}, "want two numbers of 1 or more"),
        ({"std": (0.2, 0, 0.2)}, "std above 0"),
        ({"sampling_ratio": -1}, "want no negative ratio"),
    ],
)
def test_architecture_refuses_what_cannot_be_built(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**changes)


def test_architecture_refuses_unknown_keys() -> None:
    with pytest.raises(ValueError, match=r"unknown keys \['heads'\], missing keys \['crop_wh'\]"):
        Architecture.from_json({"labels": ["a", "b"], "heads": 3})


def test_crop_that_is_no_multiple_of_the_patch_is_refused() -> None:
    with pytest.raises(ValueError, match="crop_wh: 50 x 80, want multiples"):
        build_roi_classifier(tiny(crop_wh=(50, 80)))
