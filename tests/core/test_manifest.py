"""Manifests and the way from an engine to its ONNX, with files on disk."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ropewatch.errors import ModelError
from ropewatch.manifest import Manifest, load_verified, manifest_of, onnx_of_engine

ONNX_BYTES = b"stands for an ONNX file: only its digest matters here"


def facts(**changes: Any) -> dict[str, Any]:
    return {
        "format": "ropewatch-model-1",
        "kind": "detector",
        "onnx": {
            "file": "person.onnx",
            "sha256": hashlib.sha256(ONNX_BYTES).hexdigest(),
            "size_bytes": len(ONNX_BYTES),
        },
        "weights": {"file": "best.pt", "sha256": "0" * 64, "size_bytes": 5},
        "opset": 17,
        "inputs": [{"name": "images", "dtype": "float32", "shape": ["batch", 3, 384, 640]}],
        "outputs": [{"name": "boxes", "dtype": "float32", "shape": ["batch", 5040, 6]}],
        "preprocessing": {
            "net_scale_factor": 1 / 255,
            "offsets": [0, 0, 0],
            "model_color_format": "RGB",
            "maintain_aspect_ratio": True,
            "symmetric_padding": True,
            "scaling_filter": 1,
        },
        "labels": ["person"],
        "operators": {"Conv": 80},
        "parity": [
            {"quantity": "box_px", "batch": 1, "max_abs_difference": 1e-4, "tolerance": 1e-3}
        ],
        "versions": {"torch": "2.12.1"},
        **changes,
    }


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    path = tmp_path / "person.onnx"
    path.write_bytes(ONNX_BYTES)
    manifest_of(path).write_text(json.dumps(facts()))
    return path


def test_manifest_is_read_and_knows_its_network_size(onnx: Path) -> None:
    manifest = load_verified(onnx)

    assert manifest.network_wh_px == (640, 384)
    assert manifest.labels == ("person",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"opset": 16}, "opset: Input should be greater than or equal to 17"),
        ({"kind": "classifier"}, "mode: None with kind classifier, want one for a classifier"),
        ({"labels": ["a", "a"]}, "want each label once"),
        ({"weights": None}, "weights: Input should be"),
    ],
)
def test_manifest_refuses_what_it_must_not_say(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(facts(**changes)))

    with pytest.raises(ModelError, match=message) as caught:
        Manifest.load(path)

    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "want a readable JSON file"), ("[]", "list, want a JSON object")],
)
def test_manifest_that_is_no_json_object_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)

    with pytest.raises(ModelError, match=message):
        Manifest.load(path)


@pytest.mark.parametrize("device", ["gpu0_fp16", "gpu12_fp32", "dla1_int8", "gpu0_best"])
def test_engine_named_by_nvinfer_leads_to_its_onnx(onnx: Path, device: str) -> None:
    assert onnx_of_engine(onnx.with_name(f"person.onnx_b16_{device}.engine")) == onnx


def test_engine_with_a_manifest_leads_to_the_onnx_named_there(onnx: Path) -> None:
    engines = onnx.parent / "engines"
    engines.mkdir()
    (engines / "any.engine.manifest.json").write_text('{"onnx": "../person.onnx"}')

    assert onnx_of_engine(engines / "any.engine").resolve() == onnx.resolve()


def test_engine_of_another_name_is_refused(onnx: Path) -> None:
    with pytest.raises(ModelError, match=r"want NAME\.onnx_b1_gpu0_fp16\.engine"):
        onnx_of_engine(onnx.with_name("person.engine"))


def test_engine_manifest_without_onnx_is_refused(onnx: Path) -> None:
    onnx.with_name("x.engine.manifest.json").write_text("{}")

    with pytest.raises(ModelError, match="onnx: None, want the path"):
        onnx_of_engine(onnx.with_name("x.engine"))


def test_engine_without_onnx_names_the_missing_file(onnx: Path) -> None:
    with pytest.raises(ModelError, match=r"rope\.onnx: no such file, want an ONNX model"):
        onnx_of_engine(onnx.with_name("rope.onnx_b1_gpu0_fp16.engine"))


def test_onnx_without_manifest_names_the_missing_file(onnx: Path) -> None:
    manifest_of(onnx).unlink()

    with pytest.raises(ModelError, match=r"person\.onnx\.manifest\.json: no such file"):
        load_verified(onnx)


def test_onnx_changed_after_export_is_refused(onnx: Path) -> None:
    onnx.write_bytes(ONNX_BYTES + b"!")

    with pytest.raises(ModelError, match="the file was changed after its export"):
        load_verified(onnx)


SCHEMA = Path(__file__).parents[2] / "configs/schema/manifest.schema.json"


@pytest.mark.parametrize("name", ["person", "rope"])
def test_manifests_of_the_demo_fit_the_published_schema(name: str) -> None:
    path = SCHEMA.parents[2] / f"demo/models/{name}.onnx.manifest.json"

    jsonschema.validate(json.loads(path.read_text()), json.loads(SCHEMA.read_text()))


def test_manifest_refuses_a_polarity_about_no_label() -> None:
    polarity = {"score_label": "unroped", "alert_when": "at_or_above"}

    with pytest.raises(ValueError, match=r"score_label unroped, want one of \['person'\]"):
        Manifest.model_validate(facts(polarity=polarity))
