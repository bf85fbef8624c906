"""Parsers: those of a library, through the C++ ABI, and nvinfer's own for DetectNet."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from plugins.standin.nvinfer.classify import Attribute, Verdict
from plugins.standin.nvinfer.config import InferConfig, load_config
from plugins.standin.nvinfer.custom_classifier import CustomClassifier
from plugins.standin.nvinfer.custom_parser import CustomParser
from plugins.standin.nvinfer.default_parser import DefaultParser
from plugins.standin.nvinfer.outputs import OutputLayer
from plugins.standin.nvinfer.preprocess import NetworkInput
from ropewatch.errors import ModelError
from tests.standin.nvinfer.tiny import PARSE, ini

PLUGIN = Path(__file__).parents[3] / "plugins" / "nvdsinfer_ropewatch"
NETWORK = NetworkInput("images", 640, 384, 3)


def detector(tmp_path: Path, text: str = "", **keys: int | str) -> InferConfig:
    values = {"gie_unique_id": 1, "num_detected_classes": 2, "cluster_mode": 2, **keys}
    return load_config(ini(tmp_path / "pgie.txt", text, **values))


@pytest.fixture(scope="module", params=[24, 28], ids=lambda size: f"{size}-bytes")
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(f"layout{request.param}")
    make = ["make", "-s", "-C", str(PLUGIN), f"OUT_DIR={folder}"]
    subprocess.run([*make, f"DETECTION_BYTES={request.param}"], check=True)
    return folder / "libnvdsinfer_ropewatch.so"


def parser(tmp_path: Path, library: Path, rows: int, *, function: str = PARSE) -> CustomParser:
    config = detector(
        tmp_path,
        "[class-attrs-all]\npre-cluster-threshold=0.35\n",
        custom_lib_path=str(library),
        parse_bbox_func_name=function,
    )
    return CustomParser(config, NETWORK, (OutputLayer("boxes", (rows, 6), "float32", 1),))


def test_the_parser_library_is_called_through_its_cpp_abi(tmp_path: Path, library: Path) -> None:
    rows = [[10, 20, 110, 220, 0.75, 0], [0, 0, 8, 4, 0.5, 1], [0, 0, 8, 4, 0.25, 1]]
    parse = parser(tmp_path, library, len(rows))

    found = parse((np.array(rows, np.float32),))

    assert found is not None
    assert found.class_ids.tolist() == [0, 1]
    assert found.boxes_ltwh.tolist() == [[10, 20, 100, 200], [0, 0, 8, 4]]
    assert found.confidences.tolist() == [0.75, 0.5]


def test_the_parser_may_find_nothing_and_then_very_much(tmp_path: Path, library: Path) -> None:
    parse = parser(tmp_path, library, 5000)
    full = np.tile(np.array([[0, 0, 8, 8, 0.9, 0]], np.float32), (5000, 1))

    counts = [len(found) for found in map(parse, [(full * 0,), (full,)]) if found is not None]

    assert counts == [0, 5000]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("odd") / "libodd.so"
    source = Path(__file__).with_name("odd_parsers.cpp")
    subprocess.run(
        ["g++", "-std=c++17", "-shared", "-fPIC", "-DROPEWATCH_DETECTION_BYTES=28",
         f"-I{PLUGIN / 'abi'}", str(source), "-o", str(library)],
        check=True,
    )  # fmt: skip
    return library


def test_a_library_that_states_no_layout_is_taken_for_the_newest(
    tmp_path: Path, odd: Path
) -> None:
    found = parser(tmp_path, odd, 1, function="ParseNew")((np.zeros((1, 6), np.float32),))

    assert found is not None
    assert found.boxes_ltwh.tolist() == [[0, 0, 8, 8]]


def test_an_unstated_older_layout_is_refused(tmp_path: Path, odd: Path) -> None:
    parse = parser(tmp_path, odd, 1, function="ParseOld")

    with pytest.raises(ModelError, match=r"libodd\.so: its detections \(120 bytes\) are not"):
        parse((np.zeros((1, 6), np.float32),))


def test_a_parser_that_returns_false_gives_no_answer(tmp_path: Path, odd: Path) -> None:
    parse = parser(tmp_path, odd, 1, function="ParseFails")

    assert parse((np.zeros((1, 6), np.float32),)) is None


def test_a_missing_function_names_file_key_and_library(tmp_path: Path, library: Path) -> None:
    with pytest.raises(ModelError, match=r"pgie\.txt: parse-bbox-func-name: None.* is not in"):
        parser(tmp_path, library, 1, function="NoneSuch")


@pytest.mark.parametrize("exists", [False, True])
def test_a_library_that_cannot_be_loaded_names_file_and_key(
    tmp_path: Path, *, exists: bool
) -> None:
    library = tmp_path / "lib.so"
    if exists:
        library.write_text("no library")

    with pytest.raises(ModelError, match=r"pgie\.txt: custom-lib-path: .*lib\.so"):
        parser(tmp_path, library, 1)


def test_the_default_parser_reads_a_detectnet_grid(tmp_path: Path) -> None:
    # A 64x32 network with a 2x1 grid: strides 32, cell centres at 0.5 and 32.5 px.
    network = NetworkInput("images", 64, 32, 3)
    layers = (
        OutputLayer("output_bbox", (8, 1, 2), "float32", 1),
        OutputLayer("output_cov", (2, 1, 2), "float32", 2),
    )
    boxes = np.zeros((8, 1, 2), np.float32)
    boxes[0:4, 0, 1] = np.array([10, 0, 20, 40], np.float32) / 35
    coverage = np.zeros((2, 1, 2), np.float32)
    coverage[0, 0, 1] = 0.5

    found = DefaultParser(detector(tmp_path), network, layers)((boxes, coverage))

    assert found is not None
    # x1 = 32.5 - 10, y1 = 0.5 - 0, x2 = 32.5 + 20, y2 = 0.5 + 40 cut to the last row.
    np.testing.assert_allclose(found.boxes_ltwh, [[22.5, 0.5, 30, 30.5]], rtol=1e-6)
    assert found.confidences.tolist() == [0.5]


def test_a_box_that_is_no_number_stays_in_the_default_parser_as_in_c(tmp_path: Path) -> None:
    layers = (
        OutputLayer("output_bbox", (4, 1, 2), "float32", 1),
        OutputLayer("output_cov", (1, 1, 2), "float32", 2),
    )
    boxes = np.full((4, 1, 2), np.nan, np.float32)
    coverage = np.array([[[0.5, 0.0]]], np.float32)
    network = NetworkInput("images", 64, 32, 3)

    found = DefaultParser(detector(tmp_path), network, layers)((boxes, coverage))

    assert found is not None
    assert np.isnan(found.boxes_ltwh).all()
    assert found.confidences.tolist() == [0.5]


def test_without_a_parser_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"parse-bbox-func-name is not set.*boxes"):
        DefaultParser(detector(tmp_path), NETWORK, (OutputLayer("boxes", (300, 6), "float32", 1),))


def custom_classifier(tmp_path: Path, library: Path, function: str) -> CustomClassifier:
    values = {
        "gie_unique_id": 2,
        "network_type": 1,
        "custom_lib_path": library,
        "parse_classifier_func_name": function,
        "classifier_threshold": 0.3,
    }
    config = load_config(ini(tmp_path / "sgie.txt", **values))
    return CustomClassifier(config, NETWORK, (OutputLayer("scores", (3,), "float32", 1),))


GIVEN = (np.array([0.9, 0.1, 0.4], np.float32),)
LABELS = (("no helmet", "helmet"), ("no vest", "vest"), ("no rope", "rope"))


def test_a_library_s_classifier_gets_the_file_s_labels(tmp_path: Path, odd: Path) -> None:
    verdict = custom_classifier(tmp_path, odd, "ClassifyEach")(GIVEN, LABELS)

    assert verdict is not None
    assert [(item.index, item.value, item.label) for item in verdict.attributes] == [
        (0, 1, "helmet"),
        (2, 1, "rope"),
    ]
    assert verdict.attributes[1].confidence == pytest.approx(0.4)
    assert verdict.text == "helmet rope "


def test_a_library_s_classifier_may_name_and_describe_itself(tmp_path: Path, odd: Path) -> None:
    verdict = custom_classifier(tmp_path, odd, "ClassifyNamed")(GIVEN, LABELS)

    assert verdict == Verdict(
        (Attribute(0, 7, 0.5, "own"),), "a description of more than fifteen characters"
    )


def test_a_library_s_classifier_that_returns_false_gives_no_answer(
    tmp_path: Path, odd: Path
) -> None:
    assert custom_classifier(tmp_path, odd, "ClassifyFails")(GIVEN, LABELS) is None


def test_a_missing_classifier_function_names_file_key_and_library(
    tmp_path: Path, odd: Path
) -> None:
    with pytest.raises(ModelError, match=r"parse-classifier-func-name: NoneSuch is not in .*odd"):
        custom_classifier(tmp_path, odd, "NoneSuch")
