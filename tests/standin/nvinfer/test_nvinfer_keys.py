"""Every key of nvinfer's files: what it does here, or who says that it does nothing.

Each key of the table is in exactly one of the lists below, and each list is proved: a value that
is honoured changes what comes out, what has no effect is said at start, what cannot be done is
refused.
"""

import logging
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.standin.metadata import NvDsBatchMeta
from plugins.standin.nvinfer.config import load_config
from plugins.standin.nvinfer.inference import Inference
from ropewatch.errors import ModelError
from ropewatch.nvinfer_keys import CLASS_KEYS, PROPERTY_KEYS, Effect, Kind
from tests.standin.nvinfer import tiny

# x1, y1, x2, y2, score, class in a network of 64x32, which shows a frame of 640x360.
ROWS = (
    (10, 8, 20, 24, 0.75, 0),
    (11, 8, 21, 24, 0.5, 0),
    (12, 8, 26, 24, 0.4, 0),
    (40, 10, 50, 20, 0.6, 1),
    (30, 20, 36, 31.9, 0.3, 1),
)
DETECTOR = {
    "gie_unique_id": 1,
    "onnx_file": "person.onnx",
    "custom_lib_path": tiny.PARSER,
    "parse_bbox_func_name": tiny.PARSE,
    "num_detected_classes": 2,
    "cluster_mode": 2,
    "labelfile_path": "person.txt",
}
CLASSIFIER = {
    "gie_unique_id": 2,
    "process_mode": 2,
    "network_type": 1,
    "onnx_file": "rope.onnx",
    "labelfile_path": "rope.txt",
    "net_scale_factor": 1 / 255,
    "secondary_reinfer_interval": 0,
    "batch_size": 4,
}
BOXES = ((100.0, 100.0, 40.0, 80.0), (201.0, 51.0, 91.0, 121.0), (400.0, 20.0, 12.0, 30.0))


@dataclass(frozen=True)
class Honoured:
    """Two values that give different results on top of a base and what goes with them."""

    base: dict[str, Any]
    values: tuple[Any, Any]
    also: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()


def detector(first: Any, second: Any, *without: str, **also: Any) -> Honoured:
    return Honoured(DETECTOR, (first, second), also, without)


def classifier(first: Any, second: Any, *without: str, **also: Any) -> Honoured:
    return Honoured(CLASSIFIER, (first, second), also, without)


HONOURED = {
    "gie-unique-id": detector(1, 5),
    "process-mode": detector(1, 2),
    "batch-size": classifier(1, 4),
    "interval": detector(0, 1),
    "network-type": classifier(1, 100, output_tensor_meta=1),
    "is-classifier": classifier(1, 0, "network_type"),
    "output-tensor-meta": classifier(0, 1),
    "operate-on-gie-id": classifier(1, 2),
    "operate-on-class-ids": classifier(0, 1),
    "input-object-min-width": classifier(16, 41),
    "input-object-min-height": classifier(16, 81),
    "input-object-max-width": classifier(0, 40),
    "input-object-max-height": classifier(0, 80),
    "secondary-reinfer-interval": classifier(0, 1),
    "onnx-file": detector("person.onnx", "nobody.onnx"),
    "labelfile-path": detector("person.txt", "people.txt"),
    "infer-dims": classifier("3;64;32", "3;32;32", onnx_file="any_size.onnx"),
    "input-dims": classifier("3;64;32;0", "3;32;32;0", onnx_file="any_size.onnx"),
    "uff-input-dims": classifier("3;64;32;0", "3;32;32;0", onnx_file="any_size.onnx"),
    "network-input-order": classifier(0, 1, onnx_file="cube.onnx", scaling_compute_hw=1),
    "output-blob-names": detector("boxes", "other"),
    "custom-lib-path": detector(tiny.PARSER, "none.so"),
    "parse-bbox-func-name": detector(tiny.PARSE, "None"),
    "model-color-format": classifier(0, 1),
    "net-scale-factor": classifier(1, 0.5),
    "offsets": classifier("0;0;0", "1;2;3"),
    "mean-file": classifier("dark.ppm", "bright.ppm"),
    "maintain-aspect-ratio": classifier(0, 1),
    "symmetric-padding": classifier(0, 1, maintain_aspect_ratio=1),
    "scaling-filter": classifier(0, 1),
    "scaling-compute-hw": classifier(0, 1),
    "num-detected-classes": detector(2, 1),
    "cluster-mode": detector(2, 4),
    "enable-dbscan": detector(0, 1, "cluster_mode"),
    "filter-out-class-ids": detector(0, 1),
    "crop-objects-to-roi-boundary": detector(0, 1, roi_bottom_offset=20),
    "classifier-threshold": classifier(0, 0.7),
    "classifier-type": classifier("rope", "helmet"),
    "classifier-async-mode": classifier(0, 1),
    "threshold": detector(0.2, 0.45),
    "pre-cluster-threshold": detector(0.2, 0.45),
    "post-cluster-threshold": detector(0, 0.45),
    "nms-iou-threshold": detector(0.3, 0.9),
    "topk": detector(1, 2, cluster_mode=4),
    "roi-top-offset": detector(0, 100),
    "roi-bottom-offset": detector(0, 100),
    "detected-min-w": detector(0, 101),
    "detected-min-h": detector(0, 121),
    "detected-max-w": detector(0, 99),
    "detected-max-h": detector(0, 101),
    "border-color": detector("1;0;0;1", "0;1;0;1"),
    "bg-color": detector("1;0;0;1", "0;1;0;1"),
}

# Proved where an element, a library or a manifest is at hand.
ELSEWHERE = {
    "raw-output-file-write": (
        "test_nvinfer_raw_output.py",
        "test_each_batch_has_a_file_for_each_layer_inputs_too",
    ),
    "dump-input-tensor": (
        "test_nvinfer_raw_output.py",
        "test_dump_input_tensor_appends_the_first_entry_of_each_batch",
    ),
    "stabilize-buffer-count": (
        "test_nvinfer_pipeline.py",
        "test_stabilize_buffer_count_drops_the_first_batches",
    ),
    "model-engine-file": (
        "test_nvinfer_updates.py",
        "test_an_engine_set_while_playing_changes_the_model",
    ),
    "parse-classifier-func-name": (
        "test_nvinfer_parsers.py",
        "test_a_library_s_classifier_gets_the_file_s_labels",
    ),
}

REFUSED = {
    "input-tensor-from-meta": "nvdspreprocess",
    "output-instance-mask": "instance masks",
    "overwrite-input-tensor": "inputs from files",
    "overwrite-output-tensor": "outputs from files",
}

# Of segmentation, which is refused; with other networks they are said to do nothing.
OF_REFUSED_NETWORKS = (
    "parse-bbox-instance-mask-func-name",
    "parse-segmentation-func-name",
    "segmentation-threshold",
    "segmentation-output-order",
)

# Of clusterings that are refused or replaced; else they are said to do nothing.
OF_REFUSED_CLUSTERING = ("eps", "group-threshold", "minBoxes", "dbscan-min-score")

NO_EFFECT = tuple(
    name
    for name, key in PROPERTY_KEYS.items()
    if (key.effect is not Effect.RUN or name == "gpu-id")
    and name not in REFUSED
    and name not in (*HONOURED, *ELSEWHERE)
)


def test_every_key_is_in_exactly_one_list() -> None:
    done = [*HONOURED, *ELSEWHERE]
    not_done = [*REFUSED, *OF_REFUSED_NETWORKS, *OF_REFUSED_CLUSTERING, *NO_EFFECT]

    assert sorted(done + not_done) == sorted([*PROPERTY_KEYS, *CLASS_KEYS])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("keys")
    tiny.detector(made / "person.onnx", ROWS)
    tiny.detector(made / "nobody.onnx", [])
    tiny.mean_classifier(made / "rope.onnx")
    tiny.mean_classifier(made / "any_size.onnx", wh=("width", "height"))
    tiny.mean_classifier(made / "cube.onnx", wh=(3, 3))
    (made / "person.txt").write_text("person\nbag\n")
    (made / "people.txt").write_text("people\nbags\n")
    (made / "rope.txt").write_text("bright;dark\n")
    for name, value in {"dark": 0, "bright": 200}.items():
        pixels = bytes([value]) * (32 * 64 * 3)
        (made / f"{name}.ppm").write_bytes(b"P6\n32 64\n255\n" + pixels)
    return made


@pytest.mark.parametrize("name", HONOURED)
def test_another_value_gives_another_result(
    folder: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    case = HONOURED[name]
    seen = []
    for value in case.values:
        keys = {key: item for key, item in case.base.items() if key not in case.without}
        keys |= case.also | {name.replace("-", "_"): value}
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = outcome(folder, keys)
        seen.append((found, [record.getMessage() for record in caplog.records]))

    assert seen[0] != seen[1]
    # The first of the two works; the second may be what cannot.
    assert isinstance(seen[0][0], list)


def outcome(folder: Path, keys: dict[str, Any]) -> Any:
    """Run three batches; return all that is attached and given to the network, or the refusal."""
    in_class = {
        name: keys.pop(name) for name in list(keys) if name.replace("_", "-") in CLASS_KEYS
    }
    text = "\n".join(f"{name.replace('_', '-')}={value}" for name, value in in_class.items())
    path = tiny.ini(folder / "it.txt", f"[class-attrs-all]\n{text}\n", **keys)
    try:
        look = Inference(load_config(path))
    except ModelError as error:
        return str(error)
    return [_batch(look, number) for number in range(3)]


def _batch(look: Inference, number: int) -> Any:
    batch = scene(number)
    inputs = []
    for pending in look.prepare(batch):
        assert pending.inputs is not None or pending.reused
        count = len(pending.units)
        given = b"" if pending.inputs is None else pending.inputs[:count].tobytes()
        inputs.append((count, zlib.crc32(given)))
        look.finish(pending)
    (frame,) = batch.frames
    return (
        inputs,
        frame.bInferDone,
        len(frame.user_metas),
        [_object(meta) for meta in frame.objects],
    )


def _object(meta: Any) -> Any:
    rect = meta.rect_params
    colors = [
        (color.red, color.green, color.blue, color.alpha)
        for color in (rect.border_color, rect.bg_color)
    ]
    verdicts = [
        (item.unique_component_id, item.stand_in_classifier_type, label.result_label)
        for item in meta.classifiers
        for label in item.labels
    ]
    place = (rect.left, rect.top, rect.width, rect.height, rect.has_bg_color)
    ids = (meta.unique_component_id, meta.class_id, meta.confidence, meta.obj_label)
    return ids, place, colors, verdicts, len(meta.user_metas)


def scene(number: int) -> NvDsBatchMeta:
    """A coloured slope that brightens from frame to frame, with three tracked people."""
    picture = np.zeros((360, 640, 3), np.uint8)
    picture[..., 0] = np.arange(640, dtype=np.uint16) * 80 // 640 + 80 * number
    picture[..., 1] = (np.arange(360, dtype=np.uint16) * 60 // 360)[:, None] + 80 * number
    batch = tiny.batch_of((0, number, picture), boxes=BOXES)
    for index, meta in enumerate(batch.frames[0].objects):
        meta.unique_component_id, meta.class_id = 1 + index % 2, index % 2
    return batch


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_proof_that_is_elsewhere_is_there(name: str) -> None:
    file, test = ELSEWHERE[name]

    assert f"def {test}(" in Path(__file__).with_name(file).read_text()


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused(folder: Path, name: str) -> None:
    path = tiny.ini(folder / "refused.txt", **DETECTOR, **{name: 1})

    with pytest.raises(ModelError, match=rf"refused\.txt: {name}: .*{REFUSED[name]}"):
        load_config(path)


@pytest.mark.parametrize("network_type", [2, 3])
def test_segmentation_is_refused(folder: Path, network_type: int) -> None:
    path = tiny.ini(folder / "refused.txt", **{**DETECTOR, "network_type": network_type})

    with pytest.raises(ModelError, match=r"network-type: .* segmentation, want a detector"):
        load_config(path)


@pytest.mark.parametrize("name", OF_REFUSED_NETWORKS)
def test_a_key_of_another_network_is_said_to_do_nothing(folder: Path, name: str) -> None:
    path = tiny.ini(folder / "strange.txt", **DETECTOR, **{name: 1})

    (note,) = load_config(path).notes

    assert note == f"{path}: no effect with network-type 0 and process-mode 1: {name}"


@pytest.mark.parametrize("name", OF_REFUSED_CLUSTERING)
def test_a_key_of_another_clustering_is_said_to_do_nothing(folder: Path, name: str) -> None:
    path = tiny.ini(folder / "strange.txt", f"[class-attrs-all]\n{name}=1\n", **DETECTOR)

    (note,) = load_config(path).notes

    assert note == f"{path}: no effect with cluster-mode 2: {name}"


@pytest.mark.parametrize("name", NO_EFFECT)
def test_what_has_no_effect_is_said(folder: Path, name: str) -> None:
    lists = (Kind.INTS, Kind.FLOATS)
    value = "1;1;1" if PROPERTY_KEYS[name].kind in lists else 1
    path = tiny.ini(folder / "idle.txt", **DETECTOR, **{name: value})

    (note,) = load_config(path).notes

    assert note == f"{path}: no effect on the CPU: {name}"
