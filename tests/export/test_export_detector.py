"""YOLO11 checkpoints to ONNX, with random weights at 64 x 96 px."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.trust import Trust
from ropewatch.errors import ModelError
from ropewatch.files import sha256_of
from ropewatch.golden import load_golden
from ropewatch.manifest import load_verified

torch = pytest.importorskip("torch", reason="needs scripts/setup --export")
pickles = pytest.importorskip("export.ultralytics_pickle")
onnxruntime = pytest.importorskip("onnxruntime")
cv2 = pytest.importorskip("cv2")

pytestmark = pytest.mark.export
ROOT = Path(__file__).parents[2]
SIZE_WH = (64, 96)
# Cells of strides 8, 16 and 32: 8 x 12 + 4 x 6 + 2 x 3.
CANDIDATES = 126


def checkpoint(path: Path, *, config: str = "yolo11n.yaml", kind: str = "DetectionModel") -> Path:
    tasks = pickles.import_ultralytics().nn.tasks
    torch.manual_seed(0)
    model = getattr(tasks, kind)(config, nc=3, verbose=False)
    model.names = {0: "crane", 1: "person", 2: "van"}
    torch.save({"model": model.half(), "ema": None}, path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("weights") / "site.pt")


def export(weights: Path, output_dir: Path, **kwargs: Any) -> Path:
    from export.detector import export_detector  # noqa: PLC0415 (torch, which may be absent)

    arguments: dict[str, Any] = {
        "size_wh": SIZE_WH,
        "trust": Trust(every_pickle=True),
        **kwargs,
    }
    return export_detector(weights, output_dir=output_dir, **arguments)


@pytest.fixture(scope="module")
def person(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(weights, tmp_path_factory.mktemp("person"))


def test_detector_export_leaves_what_the_unchanged_model_gives_for_pictures(
    person: Path, weights: Path
) -> None:
    manifest, golden = load_golden(person)

    assert golden.origin["reference"] == "pytorch"
    assert golden.pixels.shape == (4, 3, 96, 64)
    model = pickles.load_detection_model(weights, trust=Trust(every_pickle=True))
    with torch.no_grad():
        answer = model(torch.from_numpy(golden.feeds(manifest)["images"]))[0].numpy()
    detections = golden.outputs["detections"]
    np.testing.assert_array_equal(detections[..., 4], answer[:, 5])
    np.testing.assert_allclose(
        detections[..., 2:4] - detections[..., :2], answer[:, 2:4].transpose(0, 2, 1), atol=1e-4
    )


def test_detector_golden_pictures_are_letterboxed_as_nvinfer_does(
    weights: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "b.png"), np.full((10, 20, 3), (1, 2, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "a.png"), np.full((200, 100, 3), (4, 5, 6), np.uint8))

    _, golden = load_golden(export(weights, tmp_path / "out", images=tmp_path))

    # BGR in the file, RGB for the network; 64 x 96: 32 rows of 20:10, and 48 columns of 1:2.
    tall, wide = golden.pixels
    assert wide[:, 40, 30].tolist() == [3, 2, 1]
    assert (wide[0] > 0).sum(axis=0).tolist() == [32] * 64
    assert tall[:, 40, 30].tolist() == [6, 5, 4]
    assert (tall[0] > 0).sum(axis=1).tolist() == [48] * 96
    assert tall[0, 0, 7:9].tolist() == [0, 6]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "no such folder"),
        ({}, "no picture in it"),
        ({"a.png": b"?"}, "a.png: not a picture"),
    ],
)
def test_detector_export_names_golden_pictures_that_it_cannot_use(
    weights: Path, tmp_path: Path, files: dict[str, bytes] | None, message: str
) -> None:
    folder = tmp_path / "pictures"
    if files is not None:
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)

    with pytest.raises(ModelError, match=message):
        export(weights, tmp_path / "out", images=folder)

    assert not (tmp_path / "out").exists()


def test_detector_export_reads_a_checkpoint_whose_digest_is_trusted(
    weights: Path, tmp_path: Path
) -> None:
    trust = Trust(digests=frozenset({sha256_of(weights)}))

    assert load_verified(export(weights, tmp_path, batch=1, trust=trust)).weights.file == "site.pt"


def test_detector_export_measures_what_black_padding_costs(weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, wh in enumerate(((64, 96), (90, 40))):
        picture = np.random.default_rng(number).integers(0, 256, (wh[1], wh[0], 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), picture)

    cost = load_verified(export(weights, tmp_path, images=folder)).padding_cost

    assert cost is not None
    assert (cost.images, cost.score_min, cost.nms_iou) == (2, 0.35, 0.7)
    assert cost.grey == cost.matched + cost.missed


def test_detector_export_without_pictures_says_that_padding_was_not_measured(
    person: Path,
) -> None:
    assert load_verified(person).padding_cost is None


def test_detector_export_gives_rows_of_six_at_any_batch(person: Path) -> None:
    manifest = load_verified(person)
    assert manifest.labels == ("person",)
    assert manifest.outputs[0].shape == ("batch", CANDIDATES, 6)
    assert {fact.batch for fact in manifest.parity} == {1, 2, 7, 4}, "4 golden pictures"
    session = onnxruntime.InferenceSession(str(person), providers=["CPUExecutionProvider"])
    rows = session.run(None, {"images": np.zeros((3, 3, 96, 64), np.float32)})[0]
    assert rows.shape == (3, CANDIDATES, 6)
    assert np.all(rows[..., 2:4] >= rows[..., :2])
    assert np.all(rows[..., 5] == 0)


def test_detector_export_of_one_class_needs_no_operator_that_chooses(person: Path) -> None:
    operators = load_verified(person).operators

    unwanted = {"ArgMax", "ReduceMax", "Cast", "Shape", "ConstantOfShape", "Range", "Gather", "If"}
    assert unwanted.isdisjoint(operators)


def test_detector_export_numbers_the_classes_in_the_order_asked_for(
    weights: Path, tmp_path: Path
) -> None:
    onnx = export(weights, tmp_path, classes=("van", "person"), batch=1, symmetric_padding=False)

    manifest = load_verified(onnx)
    assert manifest.labels == ("van", "person")
    assert manifest.preprocessing.symmetric_padding is False
    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).random((1, 3, 96, 64), np.float32)
    rows = session.run(None, {"images": images})[0][0]
    model = pickles.load_detection_model(weights, trust=Trust(every_pickle=True))
    with torch.no_grad():
        answer = model(torch.from_numpy(images))[0][0].numpy()
    van, person = answer[4 + 2], answer[4 + 1]
    np.testing.assert_array_equal(rows[:, 5], (person > van).astype(np.float32))
    np.testing.assert_allclose(rows[:, 4], np.maximum(van, person), atol=1e-6)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"trust": Trust(digests=frozenset({"0" * 64}))},
            "runs whatever program its author put in; its sha256 is [0-9a-f]{64}, want one of",
        ),
        ({"classes": ("human",)}, r"want some of \['crane', 'person', 'van'\], each once"),
        ({"classes": ()}, "give --classes"),
        ({"size_wh": (64, 100)}, "size 64x100, want multiples of 32; give --size-wh"),
    ],
)
def test_detector_export_refuses_arguments_that_do_not_fit(
    weights: Path, tmp_path: Path, kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        export(weights, tmp_path / "out", **kwargs)

    assert not (tmp_path / "out").exists()


def test_detector_export_refuses_another_head(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "s.pt", config="yolo11n-seg.yaml", kind="SegmentationModel")

    with pytest.raises(ModelError, match=r"its head is Segment .* want YOLO11's Detect"):
        export(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty, want an ultralytics checkpoint"),
        (b"no weights at all", "want a whole ultralytics checkpoint"),
    ],
)
def test_detector_export_names_a_file_that_is_no_checkpoint(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(content)

    with pytest.raises(ModelError, match=message):
        export(path, tmp_path / "out")


def test_detector_export_names_a_checkpoint_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"model": {"weight": torch.zeros(2)}}, path)

    with pytest.raises(ModelError, match="holds dict, want an ultralytics DetectionModel"):
        export(path, tmp_path / "out")


def test_detector_export_as_a_command_leaves_the_home_folder_alone(
    weights: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("YOLO_", "XDG_"))}

    done = subprocess.run(
        [sys.executable, "-m", "ropewatch.cli", "export", "detector", "--weights", str(weights),
         "--output", str(tmp_path / "out"), "--size-wh", "64x96", "--batch", "2",
         "--trust-pickle"],
        cwd=ROOT, env={**environment, "HOME": str(home)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "detections: float32 [2, 126, 6]" in done.stdout
    assert list(home.iterdir()) == []
