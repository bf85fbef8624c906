"""The head in numpy, with numbers worked by hand; against torchvision it is in tests/export."""

import dataclasses
import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ropewatch.errors import ModelError
from ropewatch.rope_head import RoiPooling, RopeHead, head_of, person_grid, roi_align

# One sample a bin, no half pixel: what is pooled can be told in the head.
PLAIN = RoiPooling(patch_px=16, roi_out=(1, 1), sampling_ratio=1, aligned=False, reduce="mean")


def head(**changes: Any) -> RopeHead:
    fields: dict[str, Any] = {
        "labels": ("ok", "not_ok"),
        "pooling": PLAIN,
        "activation": "relu",
        # The hidden value is the pooled one; the difference of the logits is twice it.
        "weights": (np.array([[1]], np.float32), np.array([[1], [-1]], np.float32)),
        "biases": (np.zeros(1, np.float32), np.zeros(2, np.float32)),
    }
    return RopeHead(**{**fields, **changes})


def ramp(rows: int = 4, columns: int = 6) -> Any:
    """Each cell of the map holds its column."""
    return np.tile(np.arange(columns, dtype=np.float32), (1, rows, 1))


def test_roi_align_reads_between_cells() -> None:
    boxes = np.array([[1, 0, 3, 2], [2.5, 1, 3.5, 2]], np.float32)

    pooled = roi_align(ramp(), boxes, PLAIN)

    # The middle of columns 1 to 3 is 2, of 2.5 to 3.5 it is 3.
    np.testing.assert_array_equal(pooled, np.array([2, 3], np.float32).reshape(2, 1, 1, 1))


def test_boxes_off_the_map_pool_nothing_and_near_its_edge_the_edge() -> None:
    boxes = np.array([[50, 0, 60, 2], [5, 0, 6, 2], [-9, 0, -5, 2]], np.float32)

    pooled = roi_align(ramp(), boxes, PLAIN)

    np.testing.assert_array_equal(pooled.ravel(), [0, 5, 0])


def test_head_judges_every_box() -> None:
    boxes_px = np.array([[0, 0, 16, 32], [16, 0, 48, 32]], np.float32)

    probabilities = head()(ramp(), boxes_px)

    # Pooled 0.5 and 2: logits 0.5, -0.5 and 2, -2.
    expected = 1 / (1 + np.exp([-1.0, -4.0]))
    np.testing.assert_allclose(probabilities[:, 0], expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-6)
    assert probabilities.dtype == np.float32


def test_flatten_gives_the_layer_each_bin() -> None:
    pooling = dataclasses.replace(PLAIN, roi_out=(1, 2), reduce="flatten")
    weights = (np.array([[0, 1], [0, 0]], np.float32),)
    flat = head(pooling=pooling, weights=weights, biases=(np.zeros(2, np.float32),))

    probabilities = flat(ramp(), np.array([[0, 0, 64, 32]], np.float32))

    # Bins of columns 0 to 2 and 2 to 4: the second one's middle is 3.
    assert probabilities[0, 0] == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-7)


def test_no_boxes_give_no_rows() -> None:
    for reduce in ("mean", "flatten"):
        some = head(pooling=dataclasses.replace(PLAIN, reduce=reduce, sampling_ratio=0))

        assert some(ramp(), np.zeros((0, 4), np.float32)).shape == (0, 2)


def test_large_logits_do_not_overflow() -> None:
    large = head(biases=(np.zeros(1, np.float32), np.array([3e4, -3e4], np.float32)))

    np.testing.assert_array_equal(large(ramp(), np.array([[0, 0, 16, 16]], np.float32)), [[1, 0]])


def test_head_survives_its_file(tmp_path: Path) -> None:
    path, kept = tmp_path / "rope.head.npz", head(activation="gelu")
    path.write_bytes(kept.to_bytes())
    boxes = np.array([[0, 0, 16, 32]], np.float32)

    loaded = RopeHead.load(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())

    assert (loaded.labels, loaded.pooling, loaded.activation) == (
        kept.labels,
        kept.pooling,
        kept.activation,
    )
    np.testing.assert_array_equal(loaded(ramp(), boxes), kept(ramp(), boxes))


def test_file_of_another_export_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rope.head.npz"
    path.write_bytes(head().to_bytes())

    with pytest.raises(ModelError, match=r"rope\.head\.npz: sha256 .*it is of another export; co"):
        RopeHead.load(path, sha256="0" * 64)
    with pytest.raises(ModelError, match="No such file or directory, want the head's weights"):
        RopeHead.load(tmp_path / "absent.npz", sha256="0" * 64)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"these are not the weights",
        pickle.dumps({"facts": 1}),
        head().to_bytes()[:200],
    ],
    ids=["empty", "text", "pickle", "truncated"],
)
def test_file_that_is_no_head_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rope.head.npz"
    path.write_bytes(content)

    with pytest.raises(ModelError, match="want a head that export wrote; copy it again, or exp"):
        RopeHead.load(path, sha256=hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "mish"}, "activation mish"),
        ({"labels": ("a", "b", "c")}, r"2 outputs for labels \['a', 'b', 'c'\]: want one each"),
        ({"biases": (np.zeros(1, np.float32),)}, "2 weights, 1 biases: want pairs"),
        (
            {"biases": (np.full(1, np.nan, np.float32), np.zeros(2, np.float32))},
            "NaN or infinity, want finite numbers",
        ),
        (
            {"weights": (np.ones((1, 1), np.float64), np.ones((2, 1), np.float32))},
            "want float32",
        ),
        (
            {"weights": (np.ones((1, 1), np.float32), np.ones((2, 3), np.float32))},
            r"want \(outputs, 1\) and \(outputs,\)",
        ),
        ({"pooling": dataclasses.replace(PLAIN, patch_px=0)}, "want sizes of 1 or more"),
    ],
)
def test_head_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        head(**changes)


def test_map_of_another_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"features: \(2, 4, 6\), want \(1, rows, columns\)"):
        head()(np.zeros((2, 4, 6), np.float32), np.zeros((0, 4), np.float32))


def test_head_lies_beside_its_backbone() -> None:
    assert head_of(Path("models/rope.backbone.onnx")) == Path("models/rope.head.npz")


def test_grid_covers_the_frame() -> None:
    boxes = person_grid((1280, 720))

    assert boxes.shape == (12, 4)
    np.testing.assert_allclose(boxes[0], [0, 0, 512, 360])
    np.testing.assert_allclose(boxes[-1], [768, 360, 1280, 720])
