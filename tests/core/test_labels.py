"""The shapes that nvinfer reads without complaint and then gets wrong."""

from pathlib import Path

import pytest

from ropewatch.errors import ModelError
from ropewatch.labels import (
    check_class_count,
    check_person_class,
    check_score_label,
    read_classifier_labels,
    read_detector_labels,
)


def _write(folder: Path, text: str) -> Path:
    path = folder / "labels.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text", ["clipped;unclipped\n", "clipped; unclipped", "clipped;unclipped;\n\n"]
)
def test_classifier_labels_are_one_line(tmp_path: Path, text: str) -> None:
    assert read_classifier_labels(_write(tmp_path, text)) == ("clipped", "unclipped")


def test_detector_labels_are_one_class_per_line(tmp_path: Path) -> None:
    assert read_detector_labels(_write(tmp_path, "person\ntraffic light\n")) == (
        "person",
        "traffic light",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clipped\nunclipped\n", r"2 lines, want one line .* such as clipped;unclipped"),
        ("clipped\n", r"1 class, want two or more"),
        ("a;;b\n", r"class 1 has no name"),
        ("a;b;a\n", r"'a' is there twice"),
        ("\n \n", r"labels.txt: empty, want the model's class names"),
    ],
)
def test_classifier_labels_of_the_wrong_shape_are_named(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        read_classifier_labels(_write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("person;car\n", r"a semicolon, want one class per line"),
        ("person\n\ncar\n", r"class 1 has no name"),
        ("person\nperson\n", r"'person' is there twice"),
    ],
)
def test_detector_labels_of_the_wrong_shape_are_named(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        read_detector_labels(_write(tmp_path, text))


def test_missing_and_binary_labels_files_are_named(tmp_path: Path) -> None:
    binary = tmp_path / "model.onnx"
    binary.write_bytes(b"\xff\xfe\x80")

    with pytest.raises(ModelError, match=r"none.txt: no such labels file; correct labelfile-path"):
        read_classifier_labels(tmp_path / "none.txt")
    with pytest.raises(ModelError, match=r"model.onnx: .*want a UTF-8 labels file"):
        read_detector_labels(binary)


def test_score_label_is_one_of_the_labels() -> None:
    labels, path = ("clipped", "unclipped"), Path("rope.txt")

    assert check_score_label(path, labels, "unclipped") == 1
    with pytest.raises(ModelError, match=r"score_label: 'loose', want one of clipped, unclipped"):
        check_score_label(path, labels, "loose")


def test_counts_and_class_ids_fit_the_labels() -> None:
    labels, path = ("person", "car"), Path("coco.txt")

    check_class_count(path, labels, 2)
    assert check_person_class(path, labels, 0) == "person"
    with pytest.raises(ModelError, match=r"coco.txt: 2 labels, want 80, .*; correct labelfile"):
        check_class_count(path, labels, 80)
    with pytest.raises(ModelError, match=r"detector.person_class_id: 2, want 0 to 1 as in coco"):
        check_person_class(path, labels, 2)
