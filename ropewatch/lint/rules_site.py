"""RW3..: what a site needs of its two configurations and its tracker."""

from collections.abc import Iterator
from typing import Any

import yaml

from ropewatch.engine_names import ENGINE_NAME
from ropewatch.errors import ModelError
from ropewatch.labels import read_classifier_labels
from ropewatch.lint.config import Config, Role, SiteUse
from ropewatch.lint.findings import Hit, Severity, rule
from ropewatch.lint.rules_keys import is_latched

_SHAPES = {
    Role.DETECTOR: {"process-mode": 1, "network-type": 0},
    Role.CLASSIFIER: {"process-mode": 2, "network-type": 1},
}
_FRESH = {"output-tensor-meta": 1, "disable-output-host-copy": 0, "classifier-async-mode": 0}


def _as(config: Config, role: Role) -> SiteUse | None:
    return config.use if config.use is not None and config.use.role is role else None


@rule(
    "RW301",
    Severity.ERROR,
    "latched re-inference in a site",
    "a tracked person is classified again only when the box has grown by a fifth: someone who "
    "unclips later is never noticed",
    "set secondary-reinfer-interval=0",
)
def latched_site(config: Config) -> Iterator[Hit]:
    """Yield the site's classifier unless it looks at every frame."""
    interval = config.integer("secondary-reinfer-interval")
    if _as(config, Role.CLASSIFIER) is not None and interval != 0:
        what = "endless" if is_latched(config) else str(interval)
        yield Hit(f"secondary-reinfer-interval is {what}", key="secondary-reinfer-interval")


@rule(
    "RW302",
    Severity.ERROR,
    "threshold that hides the alert label",
    "nvinfer attaches no verdict below classifier-threshold; the decision is ropewatch's and "
    "needs every score",
    "set classifier-threshold=0",
)
def hidden_label(config: Config) -> Iterator[Hit]:
    """Yield a classifier threshold above 0."""
    if _as(config, Role.CLASSIFIER) is not None and config.number("classifier-threshold") > 0:
        what = f"classifier-threshold={config.number('classifier-threshold'):g}"
        yield Hit(what, key="classifier-threshold")


@rule(
    "RW303",
    Severity.ERROR,
    "verdicts whose freshness is not known",
    "a verdict is fresh when its tensors came with it, on this frame and readable on the host",
    "set output-tensor-meta=1, disable-output-host-copy=0 and classifier-async-mode=0",
)
def freshness(config: Config) -> Iterator[Hit]:
    """Yield keys that take the tensors away."""
    for key, wanted in _FRESH.items() if _as(config, Role.CLASSIFIER) is not None else ():
        if config.integer(key) != wanted:
            yield Hit(f"{key}={config.integer(key)}", key=key, fix=f"set {key}={wanted}")


@rule(
    "RW304",
    Severity.ERROR,
    "configuration of another role",
    "the site's detector looks at frames and gives boxes, its classifier looks at those boxes",
    "name the right file in the site, or correct process-mode and network-type",
)
def role(config: Config) -> Iterator[Hit]:
    """Yield process modes and network types of the other role."""
    if config.use is None:
        return
    for key, wanted in _SHAPES[config.use.role].items():
        value = config.network_type if key == "network-type" else config.integer(key)
        if value != wanted:
            yield Hit(f"{key}={value}, want {wanted}", key=key, fix=f"set {key}={wanted}")


@rule(
    "RW305",
    Severity.ERROR,
    "gie ids that do not meet",
    "each nvinfer has an id of its own, and the classifier looks at objects of the id in "
    "operate-on-gie-id only",
    "set the detector's gie-unique-id=1 and the classifier's gie-unique-id=2, operate-on-gie-id=1",
)
def ids(config: Config) -> Iterator[Hit]:
    """Yield equal ids and a classifier that looks for another detector."""
    use = _as(config, Role.CLASSIFIER)
    if use is None or use.other is None:
        return
    own, detector = config.integer("gie-unique-id"), use.other.integer("gie-unique-id")
    if own == detector:
        yield Hit(f"gie-unique-id={own} twice", key="gie-unique-id")
    elif config.integer("operate-on-gie-id") != detector:
        what = (
            f"operate-on-gie-id={config.integer('operate-on-gie-id')}, the detector is {detector}"
        )
        yield Hit(what, key="operate-on-gie-id")


@rule(
    "RW306",
    Severity.ERROR,
    "persons that nobody judges",
    "the site's person class is filtered away, is not operated on, or is not a class at all",
    "correct detector.person_class_id in the site, or the class ids here",
)
def persons(config: Config) -> Iterator[Hit]:
    """Yield filters that take the site's persons away."""
    if config.use is None:
        return
    person = config.use.site.detector.person_class_id
    only = config.numbers("operate-on-class-ids")
    if config.use.role is Role.CLASSIFIER:
        if only and person not in only:
            what = f"operate-on-class-ids without {person}"
            yield Hit(what, key="operate-on-class-ids")
        return
    if person in config.numbers("filter-out-class-ids"):
        yield Hit(f"filter-out-class-ids holds {person}", key="filter-out-class-ids")
    if 0 < config.integer("num-detected-classes") <= person:
        yield Hit(f"person_class_id {person} is no class", key="num-detected-classes")


@rule(
    "RW307",
    Severity.WARNING,
    "onnx-file beside a gated engine",
    "nvinfer answers an engine that it cannot load by silently building another from the ONNX, "
    "past every check",
    "take onnx-file out; the CPU stand-in finds the ONNX through the engine's manifest",
)
def ungated(config: Config) -> Iterator[Hit]:
    """Yield an ONNX that nvinfer could build from, in a site."""
    if config.use is not None and config.given("onnx-file"):
        yield Hit(f"onnx-file={config.words('onnx-file')}", key="onnx-file")


@rule(
    "RW308",
    Severity.ERROR,
    "engine for fewer frames than the site has cameras",
    "the graph sets the muxer's and the detector's batch-size to the number of cameras",
    "build the engine for as many cameras",
)
def cameras(config: Config) -> Iterator[Hit]:
    """Yield detector engines that are too small for the site."""
    use = _as(config, Role.DETECTOR)
    match = ENGINE_NAME.search(config.words("model-engine-file"))
    if use is not None and match is not None and int(match["batch"]) < len(use.site.sources):
        what = f"{len(use.site.sources)} cameras, the engine is for {match['batch']}"
        yield Hit(what, key="model-engine-file")


@rule(
    "RW309",
    Severity.WARNING,
    "frames without detections",
    "with an interval, frames between have no people unless the tracker predicts them",
    "set interval=0",
)
def skipped(config: Config) -> Iterator[Hit]:
    """Yield a detector's interval."""
    if _as(config, Role.DETECTOR) is not None and config.integer("interval") > 0:
        yield Hit(f"interval={config.integer('interval')}", key="interval")


@rule(
    "RW310",
    Severity.ERROR,
    "score_label that the classifier does not have",
    "the threshold belongs to one label's probability, and no label has that name",
    "write one of the labels in classifier.score_label",
)
def score_label(config: Config) -> Iterator[Hit]:
    """Yield a site's label that is not in the labels file."""
    use, path = _as(config, Role.CLASSIFIER), config.path("labelfile-path")
    if use is None or path is None:
        return
    try:
        labels = read_classifier_labels(path)
    except ModelError:
        return
    wanted = use.site.classifier.score_label
    if wanted not in labels:
        line = use.lines.get("classifier.score_label", 1)
        yield Hit(f"{wanted}, want one of {', '.join(labels)}", line=line, file=use.path)


@rule(
    "RW311",
    Severity.WARNING,
    "tracker that delays or drops people",
    "nvtracker removes whoever it does not track: below its confidence floor, or on probation",
    "set probationAge: 0 and minDetectorConfidence at or below pre-cluster-threshold",
)
def tracker(config: Config) -> Iterator[Hit]:
    """Yield a confidence floor above the detector's, and a probation."""
    use = _as(config, Role.DETECTOR)
    if use is None or not use.site.tracker.ll_config_file.is_file():
        return
    file = use.site.tracker.ll_config_file
    text = file.read_text(encoding="utf-8", errors="replace").removeprefix("%YAML:1.0")
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        yield Hit("not YAML", line=1, file=file)
        return
    floor = _nested(document, "BaseConfig", "minDetectorConfidence")
    least = config.classes.get("all", {}).get("pre-cluster-threshold", 0.2)
    if isinstance(floor, (int, float)) and isinstance(least, float) and floor > least:
        what = f"minDetectorConfidence: {floor:g} above pre-cluster-threshold={least:g}"
        yield Hit(what, line=_line(text, "minDetectorConfidence"), file=file)
    probation = _nested(document, "TargetManagement", "probationAge")
    if isinstance(probation, (int, float)) and probation > 0:
        yield Hit(f"probationAge: {probation:g}", line=_line(text, "probationAge"), file=file)


def _nested(document: Any, section: str, key: str) -> Any:
    inner = document.get(section) if isinstance(document, dict) else None
    return inner.get(key) if isinstance(inner, dict) else None


def _line(text: str, key: str) -> int:
    numbered = enumerate(text.splitlines(), 1)
    return next((number for number, line in numbered if line.strip().startswith(key)), 1)
