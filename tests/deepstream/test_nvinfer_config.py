from pathlib import Path

import pytest

from deepstream.nvinfer_config import check_classifier, check_detector, read_properties
from ropewatch.errors import ModelError

pytestmark = pytest.mark.gst

CLASSIFIER = {
    "process-mode": "2",
    "network-type": "1",
    "output-tensor-meta": "1",
    "classifier-async-mode": "0",
    "secondary-reinfer-interval": "0",
    "gie-unique-id": "2",
    "operate-on-gie-id": "1",
    "infer-dims": "3;384;192",
}


def written(tmp_path: Path, values: dict[str, str], name: str = "sgie.txt") -> Path:
    file = tmp_path / name
    lines = ["[property]", *(f"{key}={value}" for key, value in values.items())]
    file.write_text("\n".join(lines))
    return file


def test_network_size_is_width_by_height(tmp_path: Path) -> None:
    config = read_properties(written(tmp_path, CLASSIFIER))

    assert config.network_wh_px == (192, 384)


def test_yaml_is_read_by_its_suffix(tmp_path: Path) -> None:
    file = tmp_path / "sgie.yml"
    file.write_text("property:\n  infer-dims: 3;384;192\n  process-mode: 2\n")

    config = read_properties(file)

    assert config.integer("process-mode", 1) == 2
    assert config.network_wh_px == (192, 384)


def test_a_good_classifier_config_passes(tmp_path: Path) -> None:
    check_classifier(
        read_properties(written(tmp_path, CLASSIFIER)), sgie_id=2, pgie_id=1, person_class_id=0
    )


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("process-mode", "1", "process-mode: 1, want 2"),
        ("output-tensor-meta", "0", "freshness"),
        ("classifier-async-mode", "1", "want 0: async"),
        ("secondary-reinfer-interval", "30", "somebody who unclips later"),
        ("operate-on-gie-id", "7", "operate-on-gie-id: 7, want 1"),
        ("gie-unique-id", "two", "'two', want an integer"),
        ("operate-on-class-ids", "5;6", r"\[5, 6\], want 0 among them: nobody would be judged"),
        ("operate-on-class-ids", "a;b", "want integers between semicolons"),
        ("disable-output-host-copy", "1", "reads the scores on the host"),
    ],
)
def test_what_would_blind_the_decision_is_refused(
    tmp_path: Path, key: str, value: str, said: str
) -> None:
    config = read_properties(written(tmp_path, {**CLASSIFIER, key: value}))

    with pytest.raises(ModelError, match=said):
        check_classifier(config, sgie_id=2, pgie_id=1, person_class_id=0)


def test_the_latched_default_of_nvinfer_is_refused(tmp_path: Path) -> None:
    values = {k: v for k, v in CLASSIFIER.items() if k != "secondary-reinfer-interval"}
    config = read_properties(written(tmp_path, values))

    with pytest.raises(ModelError, match="set secondary-reinfer-interval=0"):
        check_classifier(config, sgie_id=2, pgie_id=1, person_class_id=0)


def test_a_classifier_in_the_detectors_place_is_refused(tmp_path: Path) -> None:
    config = read_properties(written(tmp_path, CLASSIFIER))

    with pytest.raises(ModelError, match="process-mode: 2, want 1"):
        check_detector(config, pgie_id=1, person_class_id=0)


def test_a_detector_that_hides_persons_is_refused(tmp_path: Path) -> None:
    values = {"gie-unique-id": "1", "filter-out-class-ids": "0;2"}
    config = read_properties(written(tmp_path, values))

    with pytest.raises(ModelError, match="nobody would be seen"):
        check_detector(config, pgie_id=1, person_class_id=0)


def test_a_missing_config_names_the_key_in_the_site_file(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"gone\.txt: no such nvinfer config; correct config_file"
    ):
        read_properties(tmp_path / "gone.txt")


@pytest.mark.parametrize(("name", "text"), [("a.txt", "key=1\n"), ("a.yml", "- 1\n")])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)

    with pytest.raises(ModelError, match="want"):
        read_properties(file)


def test_missing_infer_dims_say_what_they_are_for(tmp_path: Path) -> None:
    config = read_properties(written(tmp_path, {"process-mode": "2"}))

    with pytest.raises(ModelError, match="the crop geometry needs the network's size"):
        _ = config.network_wh_px


def test_paths_are_relative_to_the_config(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a;b\n")
    config = read_properties(written(tmp_path, {"labelfile-path": "labels.txt", "x": "gone"}))

    assert config.path("labelfile-path") == tmp_path / "labels.txt"
    with pytest.raises(ModelError, match="no such file"):
        config.path("x")
    with pytest.raises(ModelError, match="model-engine-file: missing"):
        config.path("model-engine-file")
