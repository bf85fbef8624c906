"""nvinfer configuration files: formats, ranges, precedence, refusals, and the shipped ones."""

from pathlib import Path

import pytest

from plugins.standin.nvinfer.config import load_config
from ropewatch.errors import ModelError
from ropewatch.nvinfer_keys import INT_MAX
from tests.standin.nvinfer.tiny import ini

CONFIGS = Path(__file__).parents[3] / "configs"
DETECTOR = {"gie_unique_id": 1, "num_detected_classes": 2, "cluster_mode": 2}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pgie.txt"


def test_defaults_are_those_of_the_parser(file: Path) -> None:
    config = load_config(ini(file, **DETECTOR))

    assert (config.batch_size, config.interval, config.process_mode) == (1, 0, 1)
    assert config.scaling_filter == 6
    assert config.secondary_reinfer_interval == INT_MAX
    assert config.classes[1].pre_cluster_threshold == 0.2
    assert config.classes[1].nms_iou_threshold == 0.3
    assert config.classes[1].topk == -1
    assert config.classes[0].border_color == (1, 0, 0, 1)


def test_class_groups_override_the_group_of_all(file: Path) -> None:
    text = "[class-attrs-all]\ntopk=9\neps=0.5\n[class-attrs-1]\ntopk=3\nthreshold=0.7\n"

    config = load_config(ini(file, text, **DETECTOR))

    assert [attrs.topk for attrs in config.classes] == [9, 3]
    assert [attrs.eps for attrs in config.classes] == [0.5, 0.5]
    assert [attrs.pre_cluster_threshold for attrs in config.classes] == [0.2, 0.7]


def test_an_empty_path_is_the_files_own_folder(file: Path) -> None:
    config = load_config(ini(file, **DETECTOR, labelfile_path=""))

    assert config.labelfile_path == file.parent


def test_a_class_group_in_yaml_wants_whole_integers(file: Path) -> None:
    path = file.with_suffix(".yml")
    text = "property:\n  gie-unique-id: 1\n  num-detected-classes: 1\n  cluster-mode: 2.5\n"
    path.write_text(f"{text}class-attrs-all:\n  topk: 0x10\n")
    assert load_config(path).classes[0].topk == 16

    path.write_text(f"{text}class-attrs-all:\n  topk: 1.5\n")

    with pytest.raises(ModelError, match=r"topk: '1\.5', want an integer"):
        load_config(path)


@pytest.mark.parametrize("group", ["class-attrs-2", "class-attrs-person"])
def test_a_group_of_no_class_is_refused(file: Path, group: str) -> None:
    with pytest.raises(ModelError, match=rf"\[{group}\] does not name a class"):
        load_config(ini(file, f"[{group}]\ntopk=3\n", **DETECTOR))


@pytest.mark.parametrize("key", ["network-type=1", "is-classifier=1"])
def test_class_groups_of_a_classifier_are_not_read(file: Path, key: str) -> None:
    file.write_text(f"[property]\ngie-unique-id=1\n{key}\n[class-attrs-all]\ntopk=no\nx=1\n")

    assert load_config(file).notes == ()


def test_unknown_keys_are_noted_and_unknown_groups_are_not(file: Path) -> None:
    config = load_config(ini(file, "[other]\nx=1\n", netmode=3, **DETECTOR))

    assert config.notes == (f"{file}: Unknown or legacy key 'netmode' in group [property]",)


def test_keys_without_effect_on_the_cpu_are_listed_those_of_engines_quietly(file: Path) -> None:
    config = load_config(ini(file, network_mode=2, workspace_size=100, **DETECTOR))

    engine = f"{file}: no effect on the CPU: network-mode"
    assert config.notes == (engine, f"{file}: no effect on the CPU: workspace-size")
    assert config.quiet_notes == {engine}


@pytest.mark.parametrize("shipped", sorted((CONFIGS / "nvinfer").glob("*.txt")), ids=str)
def test_shipped_files_say_nothing_at_the_start(shipped: Path) -> None:
    config = load_config(shipped)

    assert set(config.notes) == config.quiet_notes


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        pytest.param("batch_size", 0, "batch-size: 0, want an integer from 1 to 1024", id="low"),
        pytest.param("batch_size", 1025, "batch-size: 1025, want", id="high"),
        pytest.param("scaling_filter", 7, "7, want one of 0, 1, 2, 3, 4, 5, 6", id="choice"),
        pytest.param("infer_dims", "3;384", r"3;384, want .* \(3 of them\)", id="count"),
        pytest.param("interval", "two", "two, want an integer of 0 or more", id="text"),
        pytest.param("maintain_aspect_ratio", "yes", "yes, want 0 or 1", id="boolean"),
        pytest.param("classifier_threshold", -0.1, "-0.1, want a number of 0 or more", id="float"),
    ],
)
def test_a_value_out_of_range_names_file_key_value_and_range(
    file: Path, key: str, value: str | float, message: str
) -> None:
    with pytest.raises(ModelError, match=rf"pgie\.txt: \[property\] .*{message}"):
        load_config(ini(file, **{**DETECTOR, key: value}))


def test_topk_may_be_left_out_but_not_be_negative(file: Path) -> None:
    with pytest.raises(ModelError, match=r"\[class-attrs-all\] topk: -1, want"):
        load_config(ini(file, "[class-attrs-all]\ntopk=-1\n", **DETECTOR))


def test_a_file_without_property_group_is_refused(file: Path) -> None:
    file.write_text("[class-attrs-all]\ntopk=3\n")

    with pytest.raises(ModelError, match=r"no group \[property\]"):
        load_config(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.txt: no such file"):
        load_config(tmp_path / "none.txt")


def test_a_missing_unique_id_stops_the_start(file: Path) -> None:
    with pytest.raises(ModelError, match="gie-unique-id is not set"):
        load_config(ini(file, num_detected_classes=1, cluster_mode=2))


def test_paths_are_relative_to_the_file_and_a_property_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    path = ini(folder / "pgie.txt", model_engine_file="../m.engine", **DETECTOR)
    monkeypatch.chdir(tmp_path)

    from_file = load_config(path)
    from_property = load_config(path, {"model-engine-file": "other.engine"})

    assert from_file.model_engine_file == tmp_path / "m.engine"
    assert from_property.model_engine_file == tmp_path / "other.engine"


def test_properties_of_the_list_win_whenever_they_are_set(file: Path) -> None:
    path = ini(file, batch_size=4, interval=2, **DETECTOR)

    config = load_config(path, {"batch-size": 8, "interval": 0, "unique-id": 5})

    assert (config.batch_size, config.interval, config.gie_unique_id) == (8, 0, 5)


def test_either_infer_on_property_set_first_voids_both_keys(file: Path) -> None:
    path = ini(file, process_mode=2, operate_on_gie_id=3, operate_on_class_ids="1;2", **DETECTOR)
    given = {"infer-on-gie-id": 7}

    first = load_config(path, given, before=frozenset(given))
    later = load_config(path, given)

    assert (first.operate_on_gie_id, first.operate_on_class_ids) == (7, ())
    assert (later.operate_on_gie_id, later.operate_on_class_ids) == (7, (1, 2))


def test_the_last_writer_wins_for_output_tensor_meta(file: Path) -> None:
    on = ini(file, output_tensor_meta=1, **DETECTOR)
    given = {"output-tensor-meta": False}

    assert load_config(on, given, before=frozenset(given)).output_tensor_meta
    assert not load_config(on, given).output_tensor_meta


def test_yaml_has_texts_for_lists_and_numbers_for_flags(tmp_path: Path) -> None:
    path = tmp_path / "pgie.yml"
    path.write_text(
        "property:\n  gie-unique-id: 1\n  num-detected-classes: 1\n  cluster-mode: 2\n"
        "  infer-dims: 3;384;640\n  maintain-aspect-ratio: 1\n  is-classifier: 1\n"
        "class-attrs-all:\n  topk: 5\n  threshold: 0.9\n"
    )

    config = load_config(path)

    assert config.infer_dims == (3, 384, 640)
    assert config.maintain_aspect_ratio
    assert config.network_type == 0
    assert config.classes[0].topk == 5
    assert config.classes[0].pre_cluster_threshold == 0.2
    assert [note.partition("key ")[2] for note in config.notes] == [
        "'is-classifier' in group [property]",
        "'threshold' in group [class-attrs-all]",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("maintain-aspect-ratio: true", "knows 0 and 1, not true", id="true"),
        pytest.param("infer-dims: [3, 384, 640]", "no scalar", id="sequence"),
    ],
)
def test_yaml_refuses_what_yaml_cpp_would_not_convert(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "pgie.yaml"
    path.write_text(f"property:\n  gie-unique-id: 1\n  {line}\n")

    with pytest.raises(ModelError, match=message):
        load_config(path)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        pytest.param({"network_type": 2}, "semantic segmentation", id="segmentation"),
        pytest.param({"input_tensor_from_meta": 1}, "nvdspreprocess", id="tensor-input"),
        pytest.param({"num_detected_classes": 0}, "nvinfer crashes", id="no-classes"),
    ],
)
def test_what_the_cpu_cannot_do_is_refused(file: Path, keys: dict[str, int], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_config(ini(file, **{**DETECTOR, **keys}))


def test_asynchronous_mode_is_for_secondary_classifiers_only(file: Path) -> None:
    keys = {"gie_unique_id": 2, "network_type": 1, "classifier_async_mode": 1}

    secondary = load_config(ini(file, process_mode=2, **keys))
    primary = load_config(ini(file, **keys))

    assert secondary.classifier_async_mode
    assert not primary.classifier_async_mode
    assert any("for secondary classifiers only; turned off" in note for note in primary.notes)


@pytest.mark.parametrize("mode", [1, 3])
def test_dbscan_is_refused_only_where_it_would_have_something_to_do(file: Path, mode: int) -> None:
    keys = {**DETECTOR, "cluster_mode": mode}

    assert load_config(ini(file, **keys)).cluster_mode == mode
    with pytest.raises(ModelError, match="DBSCAN, whose library is closed"):
        load_config(ini(file, "[class-attrs-1]\nminBoxes=3\n", **keys))


def test_cluster_mode_0_becomes_nvidias_substitute(file: Path) -> None:
    path = ini(
        file,
        "[class-attrs-all]\ntopk=100\nnms-iou-threshold=0.2\n",
        gie_unique_id=1,
        num_detected_classes=1,
    )

    config = load_config(path)

    assert (config.classes[0].topk, config.classes[0].nms_iou_threshold) == (20, 0.5)
    assert "replaced by NMS" in config.notes[0]


def test_objects_below_16_px_are_left_out_unless_the_gpu_scales(file: Path) -> None:
    vic = load_config(ini(file, process_mode=2, input_object_min_width=8, **DETECTOR))
    gpu = load_config(ini(file, process_mode=2, scaling_compute_hw=1, **DETECTOR))

    assert (vic.input_object_min_width, vic.input_object_min_height) == (16, 16)
    assert (gpu.input_object_min_width, gpu.input_object_min_height) == (0, 0)


def test_the_shipped_detector_keeps_the_operating_point() -> None:
    config = load_config(CONFIGS / "nvinfer" / "yolo11n_person.txt")

    assert config.infer_dims == (3, 384, 640)
    assert config.classes[0].pre_cluster_threshold == 0.35
    assert config.crop_objects_to_roi_boundary
    assert (config.cluster_mode, config.scaling_filter, config.onnx_file) == (2, 1, None)
    assert config.labelfile_path == CONFIGS / "labels" / "person.txt"
    assert not [note for note in config.notes if "Unknown" in note]


def test_the_shipped_classifier_judges_every_person_on_every_frame() -> None:
    config = load_config(CONFIGS / "nvinfer" / "rope_vits_crop.txt")

    assert config.infer_dims == (3, 384, 192)
    assert config.secondary_reinfer_interval == 0
    assert config.classifier_threshold == 0
    assert config.output_tensor_meta
    assert (config.operate_on_gie_id, config.operate_on_class_ids) == (1, (0,))
    assert config.labelfile_path == CONFIGS / "labels" / "rope_v7b.txt"
    assert not [note for note in config.notes if "Unknown" in note]
