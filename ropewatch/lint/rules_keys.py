"""RW1..: keys that contradict each other, and defaults that surprise."""

from collections.abc import Iterator

from ropewatch.lint.config import CLASSIFIER, DETECTOR, INSTANCES, Config
from ropewatch.lint.findings import Edit, Hit, Severity, rule
from ropewatch.nvinfer_keys import CLASS_GROUP_PREFIX, INT_MAX

_DBSCAN, _HYBRID, _NONE = 1, 3, 4
_PARSERS = {
    DETECTOR: "parse-bbox-func-name",
    CLASSIFIER: "parse-classifier-func-name",
    2: "parse-segmentation-func-name",
    INSTANCES: "parse-bbox-instance-mask-func-name",
}


@rule(
    "RW101",
    Severity.WARNING,
    "mean-file beside offsets",
    "the mean file wins, the offsets are not used",
    "keep one of them",
)
def two_means(config: Config) -> Iterator[Hit]:
    """Yield offsets that a mean file makes void."""
    if config.words("mean-file") and config.given("offsets"):
        yield Hit("offsets with mean-file", key="offsets")


@rule(
    "RW102",
    Severity.WARNING,
    "symmetric-padding without maintain-aspect-ratio",
    "there is no padding to centre when the picture is stretched",
    "set maintain-aspect-ratio=1 as well, or take symmetric-padding out",
)
def padding_of_nothing(config: Config) -> Iterator[Hit]:
    """Yield symmetric padding under stretching."""
    stretched = not config.flag("maintain-aspect-ratio")
    if (
        config.flag("symmetric-padding")
        and stretched
        and not config.refused("maintain-aspect-ratio")
    ):
        yield Hit("symmetric-padding=1", key="symmetric-padding")


@rule(
    "RW103",
    Severity.WARNING,
    "net-scale-factor of 0 or less",
    "nvinfer then silently uses neither the factor nor the offsets",
    "write a factor above 0",
)
def no_scale(config: Config) -> Iterator[Hit]:
    """Yield a factor that switches the arithmetic off."""
    if config.number("net-scale-factor") <= 0:
        yield Hit(f"net-scale-factor={config.number('net-scale-factor'):g}", "net-scale-factor")


@rule(
    "RW104",
    Severity.ERROR,
    "offsets that do not fit the channels",
    "nvinfer does not start unless there is one offset for each channel of infer-dims",
    "write one offset a channel",
)
def offset_count(config: Config) -> Iterator[Hit]:
    """Yield another number of offsets than of channels."""
    dims, offsets = config.numbers("infer-dims"), config.numbers("offsets")
    if dims and offsets and not config.integer("network-input-order") and dims[0] != len(offsets):
        yield Hit(f"{len(offsets)} offsets for {dims[0]:g} channels", key="offsets")


@rule(
    "RW105",
    Severity.ERROR,
    "output-instance-mask without cluster-mode=4",
    "nvinfer does not start: masks cannot go through clustering",
    "set cluster-mode=4",
)
def clustered_masks(config: Config) -> Iterator[Hit]:
    """Yield masks with a cluster mode."""
    masks = config.flag("output-instance-mask") and config.network_type == INSTANCES
    if masks and config.cluster_mode != _NONE:
        what = f"output-instance-mask=1 with cluster-mode={config.cluster_mode}"
        yield Hit(what, key="output-instance-mask")


@rule(
    "RW106",
    Severity.WARNING,
    "parse function without custom-lib-path",
    "nvinfer silently uses its own default parser, which reads another model's outputs",
    "name the library in custom-lib-path",
)
def parser_without_library(config: Config) -> Iterator[Hit]:
    """Yield a parser of this network type that has no library."""
    name = _PARSERS.get(config.network_type, "")
    if config.words(name) and not config.words("custom-lib-path"):
        yield Hit(f"{name}={config.words(name)}", key=name)


@rule(
    "RW107",
    Severity.WARNING,
    "interval beside input-tensor-from-meta",
    "with tensors from nvdspreprocess nvinfer's own interval, scaling and filters are bypassed",
    "take interval out",
)
def interval_of_tensors(config: Config) -> Iterator[Hit]:
    """Yield an interval that nobody counts."""
    if config.flag("input-tensor-from-meta") and config.integer("interval") > 0:
        yield Hit(
            f"interval={config.integer('interval')}",
            key="interval",
            edits=(Edit("interval", None),),
        )


@rule(
    "RW108",
    Severity.WARNING,
    "strongly-typed beside a network-mode",
    "types come from the ONNX then, and a precision flag on top is invalid; the build fails once "
    "and is repeated without it",
    "set network-mode=0",
)
def typed_twice(config: Config) -> Iterator[Hit]:
    """Yield a precision flag on a typed network."""
    if config.flag("strongly-typed") and config.integer("network-mode") != 0:
        yield Hit(
            f"network-mode={config.integer('network-mode')}",
            key="network-mode",
            edits=(Edit("network-mode", "0"),),
        )


@rule(
    "RW109",
    Severity.WARNING,
    "INT8 without a calibration cache",
    "without a readable int8-calib-file nvinfer builds FP16 and says so in one line only",
    "name the cache in int8-calib-file, or use Q/DQ with strongly-typed=1 and network-mode=0",
)
def int8_without_cache(config: Config) -> Iterator[Hit]:
    """Yield network-mode 1 or 3 that becomes 2; a library that builds may know the ranges."""
    mode, builds = config.integer("network-mode"), config.words("engine-create-func-name")
    if mode in (1, 3) and not config.words("int8-calib-file") and not builds:
        yield Hit(f"network-mode={mode} without int8-calib-file", key="network-mode")


@rule(
    "RW110",
    Severity.WARNING,
    "cluster-mode 0, or not set",
    "NVIDIA's builds without OpenCV put NMS with topk=20 and nms-iou-threshold=0.5 in its place, "
    "for every class and whatever the file says",
    "set cluster-mode=2 with thresholds of your own, or 4 if the model has clustered already",
)
def default_clustering(config: Config) -> Iterator[Hit]:
    """Yield detectors under the substituted mode."""
    if config.network_type == DETECTOR and config.cluster_mode == 0:
        yield Hit("cluster-mode=0", key="cluster-mode")


@rule(
    "RW113",
    Severity.WARNING,
    "NMS thresholds without NMS",
    "nobody compares the IoU of boxes in a mode without NMS",
    "take nms-iou-threshold out, or set cluster-mode=2",
)
def idle_nms(config: Config) -> Iterator[Hit]:
    """Yield an IoU threshold under a mode that has no NMS."""
    if config.cluster_mode not in (_DBSCAN, _NONE):
        return
    for suffix, group in config.classes.items():
        if "nms-iou-threshold" in group:
            what = f"nms-iou-threshold with cluster-mode={config.cluster_mode}"
            yield Hit(what, key="nms-iou-threshold", group=CLASS_GROUP_PREFIX + suffix)


@rule(
    "RW114",
    Severity.NOTE,
    "scaling-filter not set",
    "the default is nearest neighbour, which few networks saw in training",
    "set scaling-filter=1 (bilinear), or the number that training used",
)
def nearest(config: Config) -> Iterator[Hit]:
    """Yield files that leave the filter to the default."""
    if not config.given("scaling-filter") and not config.flag("input-tensor-from-meta"):
        model = config.manifest()
        wanted = () if model is None else (str(model.preprocessing.scaling_filter),)
        edits = tuple(Edit("scaling-filter", value) for value in wanted)
        yield Hit("scaling-filter is missing", key="scaling-filter", edits=edits)


@rule(
    "RW115",
    Severity.NOTE,
    "boxes at the frame's edge are dropped",
    "by default nvinfer drops a detection that reaches beyond the frame, such as a person cut by "
    "its lower edge",
    "set crop-objects-to-roi-boundary=1, or clamp in the parser",
)
def dropped_at_edge(config: Config) -> Iterator[Hit]:
    """Yield primary detectors that do not trim."""
    primary = config.network_type == DETECTOR and not config.on_objects
    if primary and not config.flag("crop-objects-to-roi-boundary"):
        key = "crop-objects-to-roi-boundary"
        # In a site nobody may vanish; elsewhere dropping may be what the author wants.
        edits = () if config.use is None else (Edit(key, "1"),)
        yield Hit(f"{key}=0", key=key, edits=edits)


@rule(
    "RW116",
    Severity.WARNING,
    "tracked objects are classified once",
    "secondary-reinfer-interval is practically endless by default: a tracked object is classified "
    "again only when its box has grown by a fifth, so that its first label stays",
    "set secondary-reinfer-interval=0 (every frame), or a number of frames",
)
def latched(config: Config) -> Iterator[Hit]:
    """Yield secondary classifiers under the default; a site's own is RW301."""
    classifier = config.network_type == CLASSIFIER and config.on_objects
    if config.use is None and classifier and is_latched(config):
        yield Hit("secondary-reinfer-interval is endless", key="secondary-reinfer-interval")


def is_latched(config: Config) -> bool:
    """Say whether the re-inference interval is nvinfer's default."""
    return config.integer("secondary-reinfer-interval") == INT_MAX


@rule(
    "RW117",
    Severity.WARNING,
    "crops beyond the scale limits of a Jetson's VIC",
    "the VIC scales by a sixteenth to sixteen times; a crop beyond it kills the pipeline "
    "(transform error -2)",
    "set the smallest object to a sixteenth of the network's side or more, or "
    "scaling-compute-hw=1",
)
def vic_limit(config: Config) -> Iterator[Hit]:
    """Yield least object sizes below a sixteenth of the network's side."""
    dims = config.numbers("infer-dims")
    if not config.on_objects or len(dims) != 3 or config.integer("scaling-compute-hw") == 1:
        return
    for name, side in (("width", dims[2]), ("height", dims[1])):
        key = f"input-object-min-{name}"
        # On the VIC nvinfer itself raises anything less to 16.
        if max(16, config.integer(key)) * 16 < side:
            fix = f"set {key}={-(-int(side) // 16)} or more, or scaling-compute-hw=1"
            yield Hit(f"{key}={config.integer(key)} for {side:g} px", key=key, fix=fix)


@rule(
    "RW118",
    Severity.WARNING,
    "raw outputs without a copy on the host",
    "the host pointers of output-tensor-meta are invalid with disable-output-host-copy=1",
    "take disable-output-host-copy out",
)
def no_host_copy(config: Config) -> Iterator[Hit]:
    """Yield tensor meta that a host program cannot read; a site's own is RW303."""
    both = config.flag("output-tensor-meta") and config.integer("disable-output-host-copy")
    if config.use is None and both:
        yield Hit("disable-output-host-copy=1", key="disable-output-host-copy")


@rule(
    "RW119",
    Severity.WARNING,
    "the first batches are dropped",
    "stabilize-buffer-count drops buffers, whatever its comment says: the first seconds are "
    "missing from the output",
    "take it out; warmup-engine=1 warms the engine up without loss",
)
def dropped_start(config: Config) -> Iterator[Hit]:
    """Yield a stabilizing count."""
    if config.integer("stabilize-buffer-count") > 0:
        yield Hit(
            f"stabilize-buffer-count={config.integer('stabilize-buffer-count')}",
            key="stabilize-buffer-count",
        )


@rule(
    "RW120",
    Severity.WARNING,
    "tensor outputs with a pool that cannot grow",
    "nvinfer stalls when programs downstream hold all buffers of the pool",
    "leave auto-inc-mem at 1",
)
def fixed_pool(config: Config) -> Iterator[Hit]:
    """Yield tensor meta with auto-inc-mem=0."""
    if config.flag("output-tensor-meta") and config.integer("auto-inc-mem") == 0:
        yield Hit("auto-inc-mem=0", key="auto-inc-mem")


@rule(
    "RW121",
    Severity.NOTE,
    "least object size below what the VIC takes",
    "with the VIC or the platform's default nvinfer raises any least size to 16 px: smaller "
    "objects are never classified on a Jetson",
    "write 16 or more, or scaling-compute-hw=1",
)
def below_floor(config: Config) -> Iterator[Hit]:
    """Yield least sizes that a Jetson does not keep to."""
    if not config.on_objects or config.integer("scaling-compute-hw") == 1:
        return
    for key in ("input-object-min-width", "input-object-min-height"):
        if 0 < config.integer(key) < 16:
            yield Hit(f"{key}={config.integer(key)}", key=key)


@rule(
    "RW122",
    Severity.WARNING,
    "classifier without labels",
    "without a labels file nvinfer's own parser attaches no label: the classifier runs and nobody "
    "sees its result",
    "name the labels in labelfile-path, one line with semicolons",
)
def no_labels(config: Config) -> Iterator[Hit]:
    """Yield classifiers whose scores have no names."""
    parser = config.words("parse-classifier-func-name") and config.words("custom-lib-path")
    if config.network_type == CLASSIFIER and not config.words("labelfile-path") and not parser:
        yield Hit("labelfile-path is missing", key="labelfile-path")


@rule(
    "RW124",
    Severity.WARNING,
    "tensor outputs of an asynchronous classifier",
    "its buffers go on before the tensors are there: output-tensor-meta attaches nothing then",
    "set classifier-async-mode=0, or take output-tensor-meta out",
)
def tensors_too_late(config: Config) -> Iterator[Hit]:
    """Yield tensor meta that nobody gets; a site's own is RW303."""
    usable = config.on_objects and config.network_type == CLASSIFIER
    both = config.flag("classifier-async-mode") and config.flag("output-tensor-meta")
    if config.use is None and usable and both:
        yield Hit("output-tensor-meta=1 with classifier-async-mode=1", key="output-tensor-meta")


@rule(
    "RW128",
    Severity.WARNING,
    "preprocessing in another unit",
    "y = net-scale-factor * (x - offset), and x goes from 0 to 255: offsets are in that unit, and "
    "the factor makes it smaller",
    "write 0.00392156862745098, which is 1/255, where the network wants 0 to 1",
)
def other_unit(config: Config) -> Iterator[Hit]:
    """Yield factors and offsets of pixels between 0 and 1; a manifest's own are RW201."""
    factor, offsets = config.number("net-scale-factor"), config.numbers("offsets")
    if config.manifest() is not None:
        return
    if factor > 1:
        what = f"net-scale-factor={factor:g} makes 255 {255 * factor:g}"
        yield Hit(what, key="net-scale-factor")
    if any(offsets) and all(abs(one) <= 1 for one in offsets):
        shown = ";".join(f"{255 * one:.6g}" for one in offsets)
        what = f"offsets={';'.join(f'{one:g}' for one in offsets)}"
        yield Hit(what, key="offsets", fix=f"write {shown}, if they are of pixels from 0 to 1")


@rule(
    "RW129",
    Severity.WARNING,
    "DBSCAN that clusters nothing",
    "cluster-mode=1 touches only classes with minBoxes above 0, and the default is 0: every "
    "candidate becomes an object",
    "set minBoxes and eps, or cluster-mode=2 with nms-iou-threshold",
)
def no_dbscan(config: Config) -> Iterator[Hit]:
    """Yield DBSCAN without a class that it clusters."""
    if config.network_type != DETECTOR or config.cluster_mode != _DBSCAN:
        return
    if not any(group.get("minBoxes") for group in config.classes.values()):
        key = "cluster-mode" if config.given("cluster-mode") else "enable-dbscan"
        yield Hit(f"{key}=1 without minBoxes", key=key)
