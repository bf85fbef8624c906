"""RW3..: what a site needs of its two configurations and its tracker."""

from collections.abc import Iterator

from ropewatch.errors import ModelError
from ropewatch.labels import read_classifier_labels
from ropewatch.lint.config import Config, Role, SiteUse
from ropewatch.lint.findings import Edit, Hit, Severity, rule
from ropewatch.lint.rules_keys import is_latched
from ropewatch.lint.rules_text import unknown_entries
from ropewatch.nvinfer_keys import CLASS_GROUP_PREFIX, PGIE_ID, SGIE_ID

# By what the file is for: the detector, or the classifier in one of its modes.
_SHAPES = {
    None: {"process-mode": 1, "network-type": 0},
    "crop": {"process-mode": 2, "network-type": 1},
    "frame": {"process-mode": 1, "network-type": 100},
}
_IDS = {
    None: {"gie-unique-id": PGIE_ID},
    "crop": {"gie-unique-id": SGIE_ID, "operate-on-gie-id": PGIE_ID},
    "frame": {"gie-unique-id": SGIE_ID},
}
_FRESH = {"output-tensor-meta": 1, "disable-output-host-copy": 0}


def _as(config: Config, role: Role) -> SiteUse | None:
    return config.use if config.use is not None and config.use.role is role else None


def _of_crops(config: Config) -> bool:
    """Say whether it is a site's classifier in crop mode, whose nvinfer has verdicts."""
    return config.use is not None and config.use.classifies == "crop"


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
    if _of_crops(config) and interval != 0:
        what = "endless" if is_latched(config) else str(interval)
        key = "secondary-reinfer-interval"
        yield Hit(f"{key} is {what}, want 0", key=key, edits=(Edit(key, "0"),))


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
    if _of_crops(config) and config.number("classifier-threshold") > 0:
        what = f"classifier-threshold={config.number('classifier-threshold'):g}"
        edits = (Edit("classifier-threshold", "0"),)
        yield Hit(what, key="classifier-threshold", edits=edits)


@rule(
    "RW303",
    Severity.ERROR,
    "verdicts whose freshness is not known",
    "a verdict is fresh when its tensors came with it, on this frame and readable on the host",
    "set output-tensor-meta=1, disable-output-host-copy=0 and classifier-async-mode=0",
)
def freshness(config: Config) -> Iterator[Hit]:
    """Yield keys that take the tensors away."""
    wanted_of = _FRESH if _as(config, Role.CLASSIFIER) is not None else {}
    if _of_crops(config):
        wanted_of = wanted_of | {"classifier-async-mode": 0}
    for key, wanted in wanted_of.items():
        if config.integer(key) != wanted:
            edits = (Edit(key, str(wanted)),)
            what = f"{key}={config.integer(key)}, want {wanted}"
            yield Hit(what, key=key, fix=f"set {key}={wanted}", edits=edits)


@rule(
    "RW304",
    Severity.ERROR,
    "configuration of another role",
    "the site's detector looks at frames and gives boxes; its classifier looks at those boxes, or "
    "in frame mode at frames for raw outputs",
    "name the right file in the site, or correct process-mode, network-type or classifier.mode",
)
def role(config: Config) -> Iterator[Hit]:
    """Yield process modes and network types of the other role."""
    if config.use is None:
        return
    for key, wanted in _SHAPES[config.use.classifies].items():
        value = config.network_type if key == "network-type" else config.integer(key)
        if value != wanted:
            yield Hit(f"{key}={value}, want {wanted}", key=key, fix=f"set {key}={wanted}")


@rule(
    "RW305",
    Severity.ERROR,
    "gie ids that do not meet",
    "the graph and its probes know the detector by 1 and the classifier by 2, and the classifier "
    "looks at objects of the id in operate-on-gie-id only",
    "set the detector's gie-unique-id=1 and the classifier's gie-unique-id=2, operate-on-gie-id=1",
)
def ids(config: Config) -> Iterator[Hit]:
    """Yield ids other than the graph's own."""
    for key, wanted in _IDS[config.use.classifies].items() if config.use is not None else ():
        # Without a gie-unique-id the graph's own counts (RW012 for other programs).
        absent = key == "gie-unique-id" and not config.given(key)
        if not absent and config.integer(key) != wanted:
            what = f"{key}={config.integer(key)}, want {wanted}"
            edits = (Edit(key, str(wanted)),)
            yield Hit(what, key=key, fix=f"set {key}={wanted}", edits=edits)


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
    key = "pre-cluster-threshold"
    for suffix in (str(person), "all"):
        least = config.classes.get(suffix, {}).get(key)
        if isinstance(least, float):
            if least > 1:
                what = f"{key}={least:g}, scores end at 1"
                yield Hit(what, key=key, group=CLASS_GROUP_PREFIX + suffix)
            break


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
        what = f"onnx-file={config.words('onnx-file')}"
        # Safe where the engine leads to the same ONNX, by which the stand-in finds it.
        by_engine, named = config.onnx_of_engine(), config.path("onnx-file")
        same = by_engine and named and by_engine.resolve() == named.resolve()
        edits = (Edit("onnx-file", None),) if same else ()
        yield Hit(what, key="onnx-file", edits=edits)


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
    match = config.named_engine()
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
    use = _as(config, Role.CLASSIFIER)
    labels, source = _labels(config) if use is not None else ((), "")
    wanted = "" if use is None else use.site.classifier.score_label
    if use is not None and labels and wanted not in labels:
        what = f"classifier.score_label: {wanted}, want one of {', '.join(labels)} as in {source}"
        yield Hit(what, line=use.line("classifier.score_label"), file=use.path)


def _labels(config: Config) -> tuple[tuple[str, ...], str]:
    """Labels of a site's classifier and what they stand in; none where that cannot be read."""
    if not _of_crops(config):
        # The head has them, which the manifest names; nvinfer needs none for raw outputs.
        model = config.manifest()
        return ((), "") if model is None else (model.labels, "the manifest")
    path = config.path("labelfile-path")
    try:
        return ((), "") if path is None else (read_classifier_labels(path), path.name)
    except ModelError:
        return (), ""


@rule(
    "RW316",
    Severity.ERROR,
    "polarity that is not the model's",
    "whoever exported the model said what its threshold is about; with the polarity wrong, "
    "everyone who is safe raises an incident and nobody else does",
    "set classifier.score_label and classifier.alert_when as the manifest has them, or export the "
    "model with other ones",
)
def polarity(config: Config) -> Iterator[Hit]:
    """Yield a site whose score label or side differs from the manifest's, where it has one."""
    use, model = _as(config, Role.CLASSIFIER), config.manifest()
    if use is None or model is None or model.polarity is None:
        return
    wanted, given = model.polarity, use.site.classifier
    if (given.score_label, given.alert_when.value) != (wanted.score_label, wanted.alert_when):
        what = (
            f"classifier alerts when p({given.score_label}) is {given.alert_when.value}, the "
            f"manifest says p({wanted.score_label}) {wanted.alert_when}"
        )
        yield Hit(what, line=use.line("classifier.score_label"), file=use.path)


@rule(
    "RW312",
    Severity.WARNING,
    "batch-size below the number of cameras",
    "the graph sets the muxer's and the detector's batch-size to the number of cameras; an engine "
    "that is built by this file is too small for them",
    "set batch-size to the number of cameras",
)
def small_batch(config: Config) -> Iterator[Hit]:
    """Yield a detector's batch-size that the site exceeds; a named engine's own is RW308."""
    use = _as(config, Role.DETECTOR)
    named = config.named_engine()
    if use is None or (named is not None and int(named["batch"]) < len(use.site.sources)):
        return
    if config.integer("batch-size") < len(use.site.sources):
        cameras = len(use.site.sources)
        what = f"batch-size={config.integer('batch-size')} for {cameras} cameras"
        fix, edits = f"set batch-size={cameras}", (Edit("batch-size", str(cameras)),)
        yield Hit(what, key="batch-size", fix=fix, edits=edits)


@rule(
    "RW320",
    Severity.NOTE,
    "classifier's batch-size below the number of cameras",
    "the classifier then runs several times for each batch of frames, and each time costs its own "
    "start",
    "set batch-size to the number of cameras or more, and build the engine for it",
)
def split_batches(config: Config) -> Iterator[Hit]:
    """Yield a classifier that cannot take one person, or one frame, of each camera at once."""
    use = _as(config, Role.CLASSIFIER)
    if use is not None and config.integer("batch-size") < len(use.site.sources):
        what = f"batch-size={config.integer('batch-size')} for {len(use.site.sources)} cameras"
        yield Hit(what, key="batch-size")


@rule(
    "RW313",
    Severity.ERROR,
    "misspelt key in a site",
    "nvinfer prints one line and takes its default instead, which nobody chose; `run` refuses it",
    "correct the name, or take the key out",
)
def misspelt(config: Config) -> Iterator[Hit]:
    """Yield unknown keys that look like a known one; others are RW001, for newer releases."""
    for entry, fix in unknown_entries(config) if config.use is not None else ():
        if fix is not None:
            yield Hit(f"{entry.name} in [{entry.group}]", line=entry.line, fix=fix)
