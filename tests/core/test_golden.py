"""Golden files on disk: what comes back, and what is refused."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ropewatch.errors import ModelError
from ropewatch.golden import Golden, golden_of, load_golden
from ropewatch.manifest import manifest_of

PIXELS = np.arange(2 * 3 * 4 * 6, dtype=np.uint8).reshape(2, 3, 4, 6)
ONNX_BYTES = b"stands for an ONNX file: only its digest matters here"


def golden(**changes: Any) -> Golden:
    fields: dict[str, Any] = {
        "pixels": PIXELS,
        "inputs": {},
        "outputs": {"probabilities": np.array([[0.2, 0.8], [0.9, 0.1]], np.float32)},
        "origin": {"reference": "pytorch", "torch": "2.12"},
    }
    return Golden(**{**fields, **changes})


def publish(folder: Path, content: Golden, **changes: Any) -> Path:
    """An ONNX with its manifest and golden file, as export leaves them."""
    onnx = folder / "rope.onnx"
    onnx.write_bytes(ONNX_BYTES)
    content.save(golden_of(onnx))
    held = golden_of(onnx).read_bytes()
    facts = {
        "format": "ropewatch-model-1",
        "kind": "classifier",
        "mode": "crop",
        "onnx": _fact("rope.onnx", ONNX_BYTES),
        "golden": _fact(golden_of(onnx).name, held),
        "weights": {"file": "best.pt", "sha256": "0" * 64, "size_bytes": 5},
        "opset": 17,
        "inputs": [{"name": "images", "dtype": "float32", "shape": ["batch", 3, 4, 6]}],
        "outputs": [{"name": "probabilities", "dtype": "float32", "shape": ["batch", 2]}],
        "preprocessing": {
            "net_scale_factor": 0.5,
            "offsets": [1, 2, 3],
            "model_color_format": "RGB",
            "maintain_aspect_ratio": False,
            "symmetric_padding": False,
            "scaling_filter": 1,
        },
        "labels": ["roped", "unroped"],
        "operators": {"MatMul": 8},
        "parity": [
            {"quantity": "probability", "batch": 1, "max_abs_difference": 0, "tolerance": 1e-5}
        ],
        "versions": {"torch": "2.12"},
    }
    manifest_of(onnx).write_text(json.dumps({**facts, **changes}), encoding="utf-8")
    return onnx


def _fact(name: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"file": name, "sha256": digest, "size_bytes": len(content)}


def test_golden_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    rois = np.array([[0, 0, 3, 2]], np.float32)
    written = golden(inputs={"rois": rois, "image_index": np.array([1])})
    written.save(tmp_path / "x.npz")

    read = Golden.load(tmp_path / "x.npz")

    np.testing.assert_array_equal(read.pixels, PIXELS)
    np.testing.assert_array_equal(read.inputs["rois"], rois)
    assert read.inputs["image_index"].dtype == np.int64
    np.testing.assert_array_equal(
        read.outputs["probabilities"], written.outputs["probabilities"], strict=True
    )
    assert read.origin == {"reference": "pytorch", "torch": "2.12"}
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_golden_file_has_the_same_bytes_each_time() -> None:
    assert golden().to_bytes() == golden().to_bytes()


def test_golden_feeds_are_scaled_as_nvinfer_does(tmp_path: Path) -> None:
    manifest, held = load_golden(publish(tmp_path, golden()))

    images = held.feeds(manifest)["images"]

    # 0.5 * (x - offset): the first value of each channel is 0, 24 and 48.
    assert images.dtype == np.float32
    assert images[0, :, 0, 0].tolist() == [-0.5, 11.0, 22.5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixels": PIXELS.astype(np.float32)}, "want uint8"),
        ({"pixels": PIXELS[:0]}, "0 pictures"),
        ({"outputs": {}}, "0 outputs"),
        ({"outputs": {"p": np.array([np.nan], np.float32)}}, "outputs/p: float32, want finite"),
        ({"outputs": {"p": np.array([1.0])}}, "outputs/p: float64, want finite float32"),
        ({"inputs": {"rois": np.array([None])}}, "inputs/rois: object, want numbers"),
        ({"origin": {"reference": "hearsay"}}, "want a reference that is known"),
    ],
)
def test_golden_refuses_what_cannot_be_compared_with(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        golden(**changes)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def _text(path: Path) -> None:
    path.write_text("not an archive")


def _other_archive(path: Path) -> None:
    np.savez_compressed(path, boxes=np.zeros(3))


def _pickle(path: Path) -> None:
    np.savez_compressed(path, pixels=np.array([{"a": 1}], object))


@pytest.mark.parametrize("damage", [_cut, _text, _other_archive, _pickle])
def test_golden_file_that_is_none_is_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "x.npz"
    golden().save(path)
    damage(path)

    with pytest.raises(ModelError, match=r"x\.npz: .*; want a whole golden file; copy it again"):
        Golden.load(path)


def test_golden_file_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"x\.npz: no such file, want golden outputs"):
        Golden.load(tmp_path / "x.npz")


def test_golden_file_of_another_export_is_refused(tmp_path: Path) -> None:
    onnx = publish(tmp_path, golden())
    golden(pixels=PIXELS[::-1].copy()).save(golden_of(onnx))

    with pytest.raises(ModelError, match=r"rope\.onnx\.golden\.npz: sha256 .* of another export"):
        load_golden(onnx)


def test_model_without_golden_outputs_says_the_way_out(tmp_path: Path) -> None:
    onnx = publish(tmp_path, golden(), golden=None)

    with pytest.raises(ModelError, match=r"golden: missing, want the digest .*export the model"):
        load_golden(onnx)


@pytest.mark.parametrize(
    "changes",
    [
        {"pixels": PIXELS.reshape(2, 3, 6, 4)},
        {"inputs": {"rois": np.zeros((1, 4), np.float32)}},
        {"outputs": {"scores": np.zeros((2, 2), np.float32)}},
    ],
)
def test_golden_outputs_of_another_model_are_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    onnx = publish(tmp_path, golden(**changes))

    with pytest.raises(ModelError, match=r"outputs \[.*\], want \(4, 6\)"):
        load_golden(onnx)


def test_golden_file_that_cannot_be_written_names_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="want a folder that can be written"):
        golden().save(tmp_path / "absent" / "x.npz")
