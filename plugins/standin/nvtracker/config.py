"""Reads the low-level tracker's configuration, NVIDIA's YAML with NVIDIA's keys."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from ropewatch.errors import ModelError

GREEDY, CASCADED = 0, 1
NO_ESTIMATOR = 0


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """What the association goes by; the defaults are the library's documented ones.

    Scores are shares from 0 to 1; ages are frames.
    """

    min_detector_confidence: float = 0.0
    max_targets: int = 30
    min_iou_to_discard: float = 0.5
    unclip: bool = False
    probation_age: int = 5
    max_shadow_age: int = 38
    early_termination_age: int = 2
    unique_ids: bool = False
    matcher: int = GREEDY
    check_class: bool = False
    min_score: float = 0.0
    min_size_similarity: float = 0.0
    min_iou: float = 0.0
    size_weight: float = 0.0
    iou_weight: float = 1.0
    tentative_confidence: float = 0.5
    min_tentative_iou: float = 0.0
    estimator: int = NO_ESTIMATOR


@dataclass(frozen=True, slots=True)
class _Key:
    field: str
    kind: Callable[[str], Any]
    low: float
    high: float


def _share(field: str) -> _Key:
    return _Key(field, float, 0, 1)


def _flag(field: str) -> _Key:
    return _Key(field, int, 0, 1)


def _frames(field: str) -> _Key:
    return _Key(field, int, 0, 2**31 - 1)


_KEYS = {
    ("BaseConfig", "minDetectorConfidence"): _Key("min_detector_confidence", float, -1e9, 1e9),
    ("BaseConfig", "checkClassMatch"): _flag("check_class"),
    ("TargetManagement", "maxTargetsPerStream"): _Key("max_targets", int, 0, 65535),
    ("TargetManagement", "minIouDiff4NewTarget"): _share("min_iou_to_discard"),
    ("TargetManagement", "enableBboxUnClipping"): _flag("unclip"),
    ("TargetManagement", "probationAge"): _frames("probation_age"),
    ("TargetManagement", "maxShadowTrackingAge"): _frames("max_shadow_age"),
    ("TargetManagement", "earlyTerminationAge"): _frames("early_termination_age"),
    ("TrajectoryManagement", "useUniqueID"): _flag("unique_ids"),
    ("DataAssociator", "associationMatcherType"): _flag("matcher"),
    ("DataAssociator", "checkClassMatch"): _flag("check_class"),
    ("DataAssociator", "minMatchingScore4Overall"): _share("min_score"),
    ("DataAssociator", "minMatchingScore4SizeSimilarity"): _share("min_size_similarity"),
    ("DataAssociator", "minMatchingScore4Iou"): _share("min_iou"),
    ("DataAssociator", "matchingScoreWeight4SizeSimilarity"): _share("size_weight"),
    ("DataAssociator", "matchingScoreWeight4Iou"): _share("iou_weight"),
    ("DataAssociator", "tentativeDetectorConfidence"): _share("tentative_confidence"),
    ("DataAssociator", "minMatchingScore4TentativeIou"): _share("min_tentative_iou"),
    ("StateEstimator", "stateEstimatorType"): _Key("estimator", int, 0, 3),
}
# Off, these say nothing that would be missed; on, they ask for what boxes alone cannot give.
_SILENT_WHEN_ZERO = frozenset(
    {
        "dataAssociatorType",
        "preserveStreamUpdateOrder",
        "outputTerminatedTracks",
        "outputShadowTracks",
        "enableReAssoc",
        "visualTrackerType",
        "reidType",
        "outputReidTensor",
    }
)


def load_tracker_config(path: Path | None) -> tuple[TrackerConfig, tuple[str, ...]]:
    """Read a configuration; without one the library's defaults hold.

    Returns:
        The configuration, and notes to show once: keys that have no effect here.

    Raises:
        ModelError: the file is missing, is no such YAML, or a value is out of range.
    """
    if path is None:
        return TrackerConfig(), ()
    values: dict[str, Any] = {}
    idle = []
    for section, entries in _sections(path).items():
        for name, text in entries.items():
            key = _KEYS.get((section, name))
            if key is not None:
                values[key.field] = _value(path, section, name, text, key)
            elif name not in _SILENT_WHEN_ZERO or text != "0":
                idle.append(f"{section}.{name}")
    assert values.keys() <= {field.name for field in fields(TrackerConfig)}
    notes = (f"{path}: no effect on the CPU: {', '.join(idle)}",) if idle else ()
    return TrackerConfig(**values), notes


def _sections(path: Path) -> dict[str, dict[str, Any]]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"ll-config-file: {path}: {error}, want a tracker configuration; correct the path"
        ) from error
    # OpenCV's "%YAML:1.0" is no YAML directive; it may stand below a comment.
    text = "\n".join("" if line.startswith("%YAML") else line for line in lines)
    try:
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  it makes texts, no objects
    except yaml.YAMLError as error:
        raise ModelError(f"ll-config-file: {path}: {error}, want YAML; correct it") from error
    if not isinstance(document, dict) or not all(
        isinstance(entries, dict) for entries in document.values() if entries
    ):
        raise ModelError(
            f"ll-config-file: {path}: no mapping of sections, want NvMultiObjectTracker's "
            f"(BaseConfig, TargetManagement and so on); correct the file"
        )
    return {str(section): entries or {} for section, entries in document.items()}


def _value(path: Path, section: str, name: str, text: Any, key: _Key) -> Any:
    try:
        value = key.kind(text)
    except (TypeError, ValueError):
        value = None
    if value is None or not key.low <= value <= key.high:
        what = "an integer" if key.kind is int else "a number"
        raise ModelError(
            f"{path}: {section}.{name}: {text}, want {what} from {key.low:g} to {key.high:g}; "
            f"correct the value"
        )
    return value
