"""RW1..: configurations with which nobody is found, or judged."""

from collections.abc import Iterator

from ropewatch.lint.config import CLASSIFIER, DETECTOR, INSTANCES, Config
from ropewatch.lint.findings import Hit, Severity, rule
from ropewatch.nvinfer_keys import CLASS_GROUP_PREFIX

_NMS, _HYBRID = 2, 3
# What nvinfer can take a model from; a library's own function builds one without any file.
_MODELS = ("onnx-file", "model-engine-file", "tlt-encoded-model", "custom-network-config")


@rule(
    "RW111",
    Severity.ERROR,
    "topk=0",
    "it keeps no object at all; only leaving it out means no limit",
    "take it out, or write the most objects that may stand in one frame",
)
def no_object(config: Config) -> Iterator[Hit]:
    """Yield classes of which nothing is kept."""
    for suffix, group in config.classes.items():
        if group.get("topk") == 0 and config.cluster_mode in (_NMS, _HYBRID):
            yield Hit("topk=0", key="topk", group=CLASS_GROUP_PREFIX + suffix)


@rule(
    "RW112",
    Severity.ERROR,
    "detector without num-detected-classes",
    "every table of classes has no row: nothing is kept, or nvinfer crashes on the first frame",
    "set num-detected-classes to the number of the model's classes",
)
def no_classes(config: Config) -> Iterator[Hit]:
    """Yield detectors with 0 classes."""
    if config.network_type == DETECTOR and config.integer("num-detected-classes") == 0:
        yield Hit("num-detected-classes=0", key="num-detected-classes")


@rule(
    "RW123",
    Severity.ERROR,
    "limits that no object meets",
    "what has to be larger than the largest allowed is never kept: nobody is found, or judged",
    "take one of the two out, or make the greatest size larger than the least",
)
def empty_range(config: Config) -> Iterator[Hit]:
    """Yield greatest sizes below the least ones; 0 is no limit."""
    floor = 0 if config.integer("scaling-compute-hw") == 1 else 16
    for side in ("width", "height") if config.on_objects else ():
        key, least = f"input-object-max-{side}", f"input-object-min-{side}"
        if 0 < config.integer(key) < max(floor, config.integer(least)):
            what = f"{key}={config.integer(key)}, {least}={config.integer(least)}"
            yield Hit(f"{what} (16 on a VIC)" if floor else what, key=key)
    for suffix in config.classes if config.network_type in (DETECTOR, INSTANCES) else ():
        for side in "wh":
            key, least = f"detected-max-{side}", f"detected-min-{side}"
            most, fewest = (config.of_class(suffix, name, 0) for name in (key, least))
            if 0 < most < fewest:
                what = f"{key}={most:g}, {least}={fewest:g}"
                yield Hit(what, key=key, group=CLASS_GROUP_PREFIX + suffix)


@rule(
    "RW125",
    Severity.ERROR,
    "nothing passes",
    "no class is left: confidences end at 1, and what is filtered out nobody sees",
    "correct the threshold (0.35 is a confidence, 35 is not), or the class ids",
)
def nothing_passes(config: Config) -> Iterator[Hit]:
    """Yield filters and thresholds that leave no class; a site's own are RW302 and RW306."""
    if config.use is not None:
        return
    if config.network_type == CLASSIFIER:
        least = config.number("classifier-threshold")
        # A library's own parser may have other scores.
        if least >= 1 and not config.words("parse-classifier-func-name"):
            yield Hit(f"classifier-threshold={least:g}, scores end at 1", "classifier-threshold")
    elif config.network_type in (DETECTOR, INSTANCES):
        classes = set(range(config.integer("num-detected-classes")))
        seen = classes - set(config.numbers("filter-out-class-ids"))
        if classes and not seen:
            what = f"filter-out-class-ids holds all {len(classes)} classes"
            yield Hit(what, key="filter-out-class-ids")
        elif seen:
            yield from _too_high(config, sorted(map(str, seen)))


def _too_high(config: Config, suffixes: list[str]) -> Iterator[Hit]:
    """Yield the last class's threshold where every class's is above all confidences."""
    key = "pre-cluster-threshold"
    # Some files shut single classes out by a number above 1; that is theirs to want.
    if all(config.of_class(suffix, key, 0) > 1 for suffix in suffixes):
        own = config.classes.get(suffixes[-1], {})
        group = CLASS_GROUP_PREFIX + (suffixes[-1] if key in own else "all")
        what = f"{key}={config.of_class(suffixes[-1], key, 0):g}, confidences end at 1"
        yield Hit(what, key=key, group=group)


@rule(
    "RW126",
    Severity.WARNING,
    "no model",
    "nvinfer does not start without one, unless the program sets the element's model-engine-file",
    "name the model in onnx-file or model-engine-file",
)
def no_model(config: Config) -> Iterator[Hit]:
    """Yield files that name none."""
    names = (*_MODELS, "engine-create-func-name")
    if not any(config.words(name) or config.refused(name) for name in names):
        yield Hit("neither onnx-file nor model-engine-file")


@rule(
    "RW127",
    Severity.ERROR,
    "channels that do not fit the colours",
    "nvinfer does not start: RGB and BGR (model-color-format 0, 1) have 3 channels, grey has 1",
    "write infer-dims=channels;height;width, or correct model-color-format",
)
def odd_channels(config: Config) -> Iterator[Hit]:
    """Yield dims that begin with something else than the colours' number."""
    dims, grey = config.numbers("infer-dims"), config.integer("model-color-format") == 2
    # Without tensors that come ready, and in the order NCHW.
    other = config.flag("input-tensor-from-meta") or config.integer("network-input-order")
    if len(dims) == 3 and dims[0] != (1 if grey else 3) and not other:
        what = f"{dims[0]:g} channels, want {1 if grey else 3}"
        yield Hit(what, key="infer-dims")


@rule(
    "RW130",
    Severity.WARNING,
    "nvinfer that works on its own objects",
    "objects carry the id of the nvinfer that found them: it gets none, or has the detector's id, "
    "and nobody can tell whose results are whose",
    "write the detector's gie-unique-id in operate-on-gie-id, and another one in gie-unique-id",
)
def own_objects(config: Config) -> Iterator[Hit]:
    """Yield one id in both keys; a site's own are RW305."""
    own, wanted = config.integer("gie-unique-id"), config.integer("operate-on-gie-id")
    if config.use is None and config.on_objects and own == wanted:
        yield Hit(f"operate-on-gie-id={wanted}, gie-unique-id={own}", key="operate-on-gie-id")
