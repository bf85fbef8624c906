"""Checkpoints as other people's training code writes them: the tensors are ours, the form is not.

The network is tiny, but for one pass with a ViT-S in half precision.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropewatch.errors import ModelError
from ropewatch.manifest import load_verified, manifest_of

torch = pytest.importorskip("torch", reason="needs scripts/setup --export")
checkpoints = pytest.importorskip("export.checkpoints")
model_module = pytest.importorskip("export.classifier_model")
resolve_module = pytest.importorskip("export.resolve")

pytestmark = pytest.mark.export

LABELS = ("rope_ok", "rope_not_ok")
KWARGS = {"embed_dim": 24, "depth": 2, "num_heads": 2, "init_values": 0.5}
# What no tensor tells of the tiny backbone: timm's name and keywords.
GIVEN = {"labels": list(LABELS), "backbone_kwargs": KWARGS, "crop_wh": [48, 80]}


def build(**changes: Any) -> Any:
    torch.manual_seed(4)
    fields: dict[str, Any] = {
        "labels": LABELS,
        "crop_wh": (48, 80),
        "backbone_kwargs": KWARGS,
        "hidden": (16,),
    }
    return model_module.build_roi_classifier(
        model_module.Architecture(**{**fields, **changes})
    ).eval()


def renamed(model: Any, *, backbone: str, head: Callable[[str], str]) -> dict[str, Any]:
    return {
        backbone + name.removeprefix("backbone.")
        if name.startswith("backbone.")
        else head(name.removeprefix("head.")): value
        for name, value in model.state_dict().items()
    }


def load(path: Path, given: Any = None, **kwargs: Any) -> Any:
    resolved = resolve_module.resolve(
        checkpoints.read_checkpoint(path), GIVEN if given is None else given, **kwargs
    )
    return checkpoints.load_weights(resolved.architecture, resolved.found, origin=path)


def assert_same_weights(loaded: Any, model: Any) -> None:
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value)


WRAPPINGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "raw": lambda state: state,
    "model": lambda state: {"model": state, "epoch": 3},
    "state_dict": lambda state: {"state_dict": state, "args": {"lr": 0.1}},
    "ema": lambda state: {"ema": {"module": state, "decay": 0.99}},
    "with-optimiser": lambda state: {
        "net": state,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []},
        "criterion": {"weight": torch.ones(2)},
    },
    "prefix": lambda state: {f"module._orig_mod.{name}": value for name, value in state.items()},
    "same-twice": lambda state: {"model": state, "ema": dict(state)},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_weights_are_found_in_any_wrapping(tmp_path: Path, wrapping: str) -> None:
    model, path = build(), tmp_path / "rope.pt"
    torch.save(WRAPPINGS[wrapping](dict(model.state_dict())), path)

    assert_same_weights(load(path), model)


@pytest.mark.parametrize(
    ("backbone", "head"),
    [
        ("", lambda name: f"classifier.{name}"),
        ("encoder.vit.", lambda name: f"mlp.fc{1 if name[0] == '0' else 2}{name[1:]}"),
        ("net.trunk.", lambda name: f"net.{'proj' if name[0] == '0' else 'cls'}{name[1:]}"),
    ],
    ids=["bare-backbone", "numbered-head", "alphabet-against-file"],
)
def test_weights_are_found_under_any_name(
    tmp_path: Path, backbone: str, head: Callable[[str], str]
) -> None:
    model, path = build(hidden=(16,)), tmp_path / "rope.pt"
    torch.save(renamed(model, backbone=backbone, head=head), path)

    assert_same_weights(load(path), model)


def test_backbone_and_head_may_be_state_dicts_of_their_own(tmp_path: Path) -> None:
    model, path = build(), tmp_path / "rope.pt"
    torch.save({"trunk": model.backbone.state_dict(), "top": model.head.state_dict()}, path)

    assert_same_weights(load(path), model)


@pytest.mark.parametrize(
    "layout",
    [
        {"hidden": ()},
        {"hidden": (16, 16, 8)},
        {"reduce": "flatten", "roi_out": (3, 3), "hidden": (8,)},
    ],
    ids=["no-hidden-layer", "three-hidden-layers", "flattened"],
)
def test_head_layout_is_read_off_the_shapes(tmp_path: Path, layout: dict[str, Any]) -> None:
    model, path = build(**layout), tmp_path / "rope.pt"
    torch.save(model.state_dict(), path)

    loaded = load(path)

    assert_same_weights(loaded, model)
    assert loaded.architecture == model.architecture


def test_equal_layers_whose_order_is_open_are_refused(tmp_path: Path) -> None:
    model, path = build(hidden=(16, 16, 16)), tmp_path / "rope.pt"
    order = {"0": "head.a", "3": "head.c", "6": "head.b", "9": "head.d"}
    torch.save(renamed(model, backbone="b.", head=lambda name: order[name[0]] + name[1:]), path)

    with pytest.raises(ModelError, match=r"the order of \['head\.a', 'head\.c'.* cannot be told"):
        load(path)


def test_model_and_ema_that_differ_ask_which(tmp_path: Path) -> None:
    model, path = build(), tmp_path / "rope.pt"
    averaged = {name: value * 0.5 for name, value in model.state_dict().items()}
    torch.save({"model": model.state_dict(), "ema": averaged}, path)

    with pytest.raises(ModelError, match=r"weights in model and in ema that differ.*--state-dict"):
        load(path)
    with pytest.raises(
        ModelError, match=r"no 'teacher' in it, want one of \['model', 'ema', ''\]"
    ):
        load(path, state_dict="teacher")
    assert_same_weights(load(path, state_dict="model"), model)


def test_summary_beside_the_checkpoint_tells_what_no_tensor_tells(tmp_path: Path) -> None:
    model, path = build(activation="relu", roi_out=(5, 3)), tmp_path / "rope.pt"
    torch.save(model.state_dict(), path)
    told = {**GIVEN, "activation": "relu", "roi_out": [5, 3], "best_epoch": 12, "f1": 0.9}
    (tmp_path / "summary.json").write_text(json.dumps(told))

    resolved = resolve_module.resolve(checkpoints.read_checkpoint(path), {})

    assert resolved.architecture == model.architecture
    assert resolved.origins["activation"] == "summary.json"
    assert resolved.origins["hidden"] == "shapes"
    assert resolved.origins["aligned"] == "default"


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ('{"labels": ["a", "b"]}', r"summary\.json carries an architecture that differs.*labels"),
        ("{", r"summary\.json: .*want JSON, or no such file"),
        ("[]", r"summary\.json: list, want a JSON object"),
    ],
)
def test_summary_that_cannot_be_is_refused(tmp_path: Path, summary: str, message: str) -> None:
    path = tmp_path / "rope.pt"
    torch.save(build().state_dict(), path)
    (tmp_path / "summary.json").write_text(summary)

    with pytest.raises(ModelError, match=message):
        load(path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hidden": [8]}, r"head\.0\.weight is \(16, 24\), want \(8, 24\)"),
        ({"hidden": [16, 16]}, r"missing a linear layer of the head with weight \(2, 16\)"),
        ({"hidden": []}, r"unexpected head\.3, a linear layer \(2, 16\)"),
        ({"labels": ["a", "b", "c"]}, r"head\.3\.weight is \(2, 16\), want \(3, 16\)"),
        ({"labels": "ab"}, r"labels: 'ab', want a list of names"),
        ({"heads": 3}, r"architecture file: unknown keys \['heads'\]"),
        ({"roi_out": 7}, r"architecture: .*; fix it"),
    ],
)
def test_layout_that_does_not_fit_the_shapes_is_refused(
    tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    path = tmp_path / "rope.pt"
    torch.save(build().state_dict(), path)

    with pytest.raises(ModelError, match=message):
        load(path, {**GIVEN, **given})


def test_renamed_bias_of_the_head_is_named_with_its_nearest(tmp_path: Path) -> None:
    state = dict(build().state_dict())
    state["head.3.bais"] = state.pop("head.3.bias")
    path = tmp_path / "rope.pt"
    torch.save({"model": state}, path)

    with pytest.raises(ModelError, match=r"missing head\.3\.bias \(nearest: head\.3\.bais\)"):
        load(path)


def test_file_without_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rope.pt"
    torch.save({"epoch": 3, "names": ["a"]}, path)

    with pytest.raises(ModelError, match=r"\['epoch', 'names'\] in it, want tensors by name"):
        load(path)


@pytest.mark.slow
def test_vit_s_in_half_precision_goes_all_the_way(tmp_path: Path) -> None:
    from ropewatch.cli import main  # noqa: PLC0415 (torch is there by now)

    torch.manual_seed(5)
    model = model_module.build_roi_classifier(
        model_module.Architecture(labels=LABELS, crop_wh=(64, 96), reduce="mean")
    )
    path = tmp_path / "best_fp16.pt"
    torch.save({"model": {name: v.half() for name, v in model.state_dict().items()}}, path)

    code = main(
        ["export", "classifier", "--weights", str(path), "--output", str(tmp_path / "out"),
         "--labels", ",".join(LABELS), "--crop-wh", "64x96", "--batch", "2"]
    )  # fmt: skip

    assert code == 0
    assert 43e6 < path.stat().st_size < 44e6
    manifest = load_verified(tmp_path / "out" / "best_fp16.onnx")
    assert manifest.architecture_status == "unverified"
    assert manifest.architecture_origins is not None
    assert manifest.architecture_origins["sampling_ratio"] == "default"
    assert manifest_of(tmp_path / "out" / "best_fp16.onnx").exists()
    assert max(fact.max_abs_difference for fact in manifest.parity) <= 1e-5


def test_vit_s_checkpoint_is_no_vit_b(tmp_path: Path) -> None:
    small = build(backbone_kwargs={**KWARGS, "embed_dim": 48})
    path = tmp_path / "rope.pt"
    torch.save(small.state_dict(), path)
    other = dataclasses.asdict(build().architecture)

    with pytest.raises(
        ModelError, match=r"backbone\.cls_token is \(1, 1, 48\), want \(1, 1, 24\)"
    ):
        load(path, other)
