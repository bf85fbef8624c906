"""What an nvinfer configuration means: file values and element properties made one, and checked.

Precedence is nvinfer's: some properties win over the file whenever they are set, for the others
the last writer wins, and the file is read when config-file-path is set.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from plugins.standin.nvinfer.config_file import ALL_CLASSES, FileValues, Group, read_config_file
from ropewatch.errors import ModelError
from ropewatch.nvinfer_keys import CLASS_GROUP_PREFIX, CLASS_KEYS, PROPERTY_KEYS, Effect, Kind

DETECTOR, CLASSIFIER, SEGMENTATION, INSTANCES, OTHER = 0, 1, 2, 3, 100
NMS, NO_CLUSTERING, GROUP_RECTANGLES, DBSCAN, HYBRID = 2, 4, 0, 1, 3

# The table's letters.
_MODE_LETTERS = {1: "P", 2: "S"}
_NETWORK_LETTERS = {DETECTOR: "D", CLASSIFIER: "C", SEGMENTATION: "G", INSTANCES: "I", OTHER: "O"}
# Class keys of clusterings that are replaced or refused here.
_GROUPING = ("eps", "group-threshold", "minBoxes", "dbscan-min-score")

# The NVIDIA build without OpenCV replaces cluster-mode 0 by these for every class.
SUBSTITUTE: Group = {"nms-iou-threshold": 0.5, "topk": 20}

# Property, the key it overrides. Set at any time, the property wins.
_ALWAYS = {
    "unique-id": "gie-unique-id",
    "process-mode": "process-mode",
    "batch-size": "batch-size",
    "interval": "interval",
    "gpu-id": "gpu-id",
    "model-engine-file": "model-engine-file",
    "input-tensor-meta": "input-tensor-from-meta",
    "infer-on-gie-id": "operate-on-gie-id",
    "infer-on-class-ids": "operate-on-class-ids",
}
# Set before the file is read, either one makes the file's operate-on-* keys void.
_VOIDING = frozenset({"infer-on-gie-id", "infer-on-class-ids"})
# Debugging that a CPU does as the device does.
_DONE_HERE = frozenset({"raw-output-file-write", "dump-input-tensor"})
# The last writer wins; the ini parser writes these flags only when they are on.
_LAST_WRITER = (
    "output-tensor-meta",
    "output-instance-mask",
    "crop-objects-to-roi-boundary",
    "raw-output-file-write",
    "strongly-typed",
    "filter-out-class-ids",
)


@dataclass(frozen=True, slots=True)
class ClassConfig:
    """One class's thresholds and filters; fields are the keys of a class-attrs group."""

    pre_cluster_threshold: float
    post_cluster_threshold: float
    nms_iou_threshold: float
    topk: int
    eps: float
    group_threshold: int
    roi_top_offset: int
    roi_bottom_offset: int
    detected_min_w: int
    detected_min_h: int
    detected_max_w: int
    detected_max_h: int
    border_color: tuple[float, float, float, float]
    bg_color: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class InferConfig:
    """Everything the element goes by; fields are the keys of [property].

    `classes` has one entry a detected class. `notes` is what the user should read once;
    `quiet_notes` are those of them that only say that the CPU has no engine.
    """

    path: Path
    gie_unique_id: int
    process_mode: int
    batch_size: int
    interval: int
    network_type: int
    output_tensor_meta: bool
    raw_output_file_write: bool
    dump_input_tensor: int
    operate_on_gie_id: int
    operate_on_class_ids: tuple[int, ...]
    input_object_min_width: int
    input_object_min_height: int
    input_object_max_width: int
    input_object_max_height: int
    secondary_reinfer_interval: int
    stabilize_buffer_count: int
    onnx_file: Path | None
    model_engine_file: Path | None
    labelfile_path: Path | None
    infer_dims: tuple[int, int, int] | None
    network_input_order: int
    output_blob_names: tuple[str, ...]
    custom_lib_path: Path | None
    parse_bbox_func_name: str | None
    parse_classifier_func_name: str | None
    model_color_format: int
    net_scale_factor: float
    offsets: tuple[float, ...]
    mean_file: Path | None
    maintain_aspect_ratio: bool
    symmetric_padding: bool
    scaling_filter: int
    scaling_compute_hw: int
    num_detected_classes: int
    cluster_mode: int
    filter_out_class_ids: tuple[int, ...]
    crop_objects_to_roi_boundary: bool
    classifier_threshold: float
    classifier_type: str | None
    classifier_async_mode: bool
    classes: tuple[ClassConfig, ...]
    notes: tuple[str, ...]
    quiet_notes: frozenset[str]

    @property
    def on_objects(self) -> bool:
        """Say whether it works on objects (process-mode 2) instead of whole frames."""
        return self.process_mode == 2

    @property
    def uses_vic(self) -> bool:
        """Say whether a Jetson would scale on its VIC, which has limits that a GPU has not."""
        return self.scaling_compute_hw != 1


def load_config(
    path: Path,
    properties: Mapping[str, Any] | None = None,
    *,
    before: frozenset[str] = frozenset(),
) -> InferConfig:
    """Read a file and put the element's properties over it.

    Args:
        path: the configuration file.
        properties: the properties that were set on the element, by their names.
        before: those of them that were set before config-file-path.

    Raises:
        ModelError: nvinfer would not start with this, or the stand-in cannot do it; the message
            names file, key and value.
    """
    given = read_config_file(path)
    values = _legacy(given)
    _override(values, properties or {}, before)
    if "gie-unique-id" not in values:
        raise ModelError(
            f"{path}: gie-unique-id is not set, want an integer of 1 or more that no other "
            f"nvinfer has; set it here or as the element's unique-id"
        )
    _refuse(path, values)
    notes = [*given.notes, *_no_effect(path, values)]
    network_type = values.get("network-type", DETECTOR)
    classes: tuple[ClassConfig, ...] = ()
    if network_type == DETECTOR:
        classes = _classes(given, values, notes)
    merged: dict[str, Any] = {name: key.default for name, key in PROPERTY_KEYS.items()}
    merged.update(values)
    for name, key in PROPERTY_KEYS.items():
        if key.kind is Kind.PATH:
            # An empty one names the file's own folder, as in nvinfer, which then fails.
            given_path = merged[name]
            merged[name] = None if given_path is None else _absolute(path, str(given_path))
    if merged["scaling-compute-hw"] != 1 and merged["process-mode"] == 2:
        for side in ("input-object-min-width", "input-object-min-height"):
            merged[side] = max(16, merged[side])
    names = {field.name for field in fields(InferConfig)}
    chosen = {name.replace("-", "_"): value for name, value in merged.items()}
    return InferConfig(
        path=path,
        classes=classes,
        notes=tuple(notes),
        quiet_notes=frozenset(_of_effect(path, values, Effect.BUILD)),
        **{name: value for name, value in chosen.items() if name in names},
    )


def _legacy(given: FileValues) -> Group:
    values = dict(given.properties)
    if "is-classifier" in values and "network-type" not in values:
        values["network-type"] = CLASSIFIER if values["is-classifier"] else DETECTOR
    for name in ("input-dims", "uff-input-dims"):
        dims = values.get(name)
        if isinstance(dims, tuple) and "infer-dims" not in values:
            values["infer-dims"] = dims[:3]
            given.notes.append(f"{given.path}: {name} is deprecated, use infer-dims")
    if values.get("enable-dbscan") and "cluster-mode" not in values:
        values["cluster-mode"] = 1
    return values


def _override(values: Group, properties: Mapping[str, Any], before: frozenset[str]) -> None:
    if _VOIDING & before & properties.keys():
        values.pop("operate-on-gie-id", None)
        values.pop("operate-on-class-ids", None)
    for name, key in _ALWAYS.items():
        if name in properties:
            values[key] = properties[name]
    if properties.get("model-engine-file"):
        # Unlike the file's paths, a property's is relative to the working directory.
        values["model-engine-file"] = str(Path(properties["model-engine-file"]).absolute())
    for name in _LAST_WRITER:
        if name not in properties:
            continue
        if name in before and isinstance(properties[name], bool):
            values[name] = bool(values.get(name)) or properties[name]
        elif name in before:
            values[name] = (*properties[name], *values.get(name, ()))  # type: ignore[misc]
        else:
            values[name] = properties[name]


def _refuse(path: Path, values: Group) -> None:
    """Raise for what the CPU stand-in cannot do faithfully."""
    kinds = {SEGMENTATION: "semantic segmentation", INSTANCES: "instance segmentation"}
    network_type = values.get("network-type", DETECTOR)
    refusals = {
        "network-type": kinds.get(int(network_type), ""),  # type: ignore[arg-type]
        "input-tensor-from-meta": "tensors from nvdspreprocess",
        "output-instance-mask": "instance masks",
        "overwrite-input-tensor": "inputs from files",
        "overwrite-output-tensor": "outputs from files",
    }
    for name, what in refusals.items():
        if values.get(name) and what:
            raise ModelError(
                f"{path}: {name}: {values[name]} asks for {what}, want a detector, a classifier "
                f"or raw outputs (network-type 0, 1 or 100) from whole frames or objects; the "
                f"CPU stand-in does no more, use DeepStream on a device for this"
            )


def _no_effect(path: Path, values: Group) -> list[str]:
    """Say what does nothing here; turn asynchronous mode off where nvinfer does."""
    effects = (Effect.BUILD, Effect.DEBUG, Effect.NONE)
    notes = [note for effect in effects for note in _of_effect(path, values, effect)]
    network, mode = int(values.get("network-type", DETECTOR)), int(values.get("process-mode", 1))  # type: ignore[arg-type]
    strange = [
        name
        for name in values
        if _NETWORK_LETTERS[network] not in PROPERTY_KEYS[name].networks
        or _MODE_LETTERS[mode] not in PROPERTY_KEYS[name].modes
    ]
    if strange:
        notes.append(
            f"{path}: no effect with network-type {network} and process-mode {mode}: "
            f"{', '.join(sorted(strange))}"
        )
    secondary = network == CLASSIFIER and mode == 2
    if values.get("classifier-async-mode") and not secondary:
        values["classifier-async-mode"] = False
        notes.append(
            f"{path}: classifier-async-mode is for secondary classifiers only; turned off"
        )
    if values.get("scaling-filter", 6) in (2, 3, 4, 5):
        notes.append(
            f"{path}: scaling-filter {values['scaling-filter']} is approximated by OpenCV's "
            f"nearest relative; GPU and VIC differ here from each other too"
        )
    return notes


def _of_effect(path: Path, values: Group, effect: Effect) -> list[str]:
    idle = [name for name in values.keys() - _DONE_HERE if PROPERTY_KEYS[name].effect is effect]
    return [f"{path}: no effect on the CPU: {', '.join(sorted(idle))}"] if idle else []


def _classes(given: FileValues, values: Group, notes: list[str]) -> tuple[ClassConfig, ...]:
    path = given.path
    count = int(values.get("num-detected-classes", 0))  # type: ignore[arg-type]
    mode = values.get("cluster-mode", GROUP_RECTANGLES)
    if count == 0 and mode not in (NO_CLUSTERING, DBSCAN):
        raise ModelError(
            f"{path}: num-detected-classes: 0 with cluster-mode {mode}, want the number of "
            f"classes of the network; nvinfer crashes on the first frame with this"
        )
    groups = [_renamed(given.classes.get(ALL_CLASSES, {})) for _ in range(count)]
    for suffix, group in given.classes.items():
        if suffix == ALL_CLASSES:
            continue
        number = re.match(r"\d+", suffix)
        if number is None or int(number[0]) >= count:
            raise ModelError(
                f"{path}: [{CLASS_GROUP_PREFIX}{suffix}] does not name a class, want all or a "
                f"number below num-detected-classes ({count}); rename the group"
            )
        groups[int(number[0])].update(_renamed(group))
    if mode in (DBSCAN, HYBRID) and any(group.get("minBoxes") for group in groups):
        raise ModelError(
            f"{path}: cluster-mode: {mode} with minBoxes above 0 is DBSCAN, whose library is "
            f"closed, want 2 (NMS) or 4 (none); set cluster-mode=2 with nms-iou-threshold and topk"
        )
    grouping = {name for group in groups for name in _GROUPING if group.get(name)}
    if grouping:
        notes.append(f"{path}: no effect with cluster-mode {mode}: {', '.join(sorted(grouping))}")
    if mode == GROUP_RECTANGLES:
        notes.append(
            f"{path}: cluster-mode 0 is replaced by NMS with topk=20 and nms-iou-threshold=0.5, "
            f"as in NVIDIA's builds without OpenCV; set cluster-mode=2"
        )
        groups = [{**group, **SUBSTITUTE} for group in groups]
    return tuple(map(class_config, groups))


def with_substitute(config: InferConfig) -> InferConfig:
    """Replace cluster-mode 0 in a configuration whose mode was changed later."""
    if config.cluster_mode != GROUP_RECTANGLES:
        return config
    values = {name.replace("-", "_"): value for name, value in SUBSTITUTE.items()}
    classes = tuple(replace(attrs, **values) for attrs in config.classes)  # type: ignore[arg-type]
    return replace(config, classes=classes)


def _renamed(group: Group) -> Group:
    """Put an old name under the new one; of both, the later line of the group wins."""
    old = "threshold"
    return {"pre-cluster-threshold" if name == old else name: group[name] for name in group}


def class_config(group: Group) -> ClassConfig:
    """Fill a class-attrs group up with nvinfer's defaults."""
    merged: dict[str, Any] = {name: key.default for name, key in CLASS_KEYS.items()}
    merged.update(group)
    names = {field.name for field in fields(ClassConfig)}
    chosen = {name.replace("-", "_"): value for name, value in merged.items()}
    return ClassConfig(**{name: value for name, value in chosen.items() if name in names})


def _absolute(config: Path, text: str) -> Path:
    path = Path(text)
    return (path if path.is_absolute() else config.resolve().parent / path).resolve()
