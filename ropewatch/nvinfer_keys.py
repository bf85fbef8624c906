"""Every key of an nvinfer configuration file: type, default, range, where it applies, meaning.

Read from nvinfer's parsers of DeepStream 9.1. One table for whoever reads these files: the CPU
stand-in, `ropewatch check` and `explain`, docs/nvinfer.md. Nothing here reads a file.

Which keys 7.1 has is inferred, because its source is not published: a key that the parser headers
of 6.3 and of 8.0 both define is taken to be in 7.1; one that 8.0 lacks is taken to be not. The
headers are those in public copies of NVIDIA's packages and in NVIDIA's own API reference; 9.0 and
9.1 are tags of NVIDIA/DeepStream and define the same keys. Nothing was tried on 7.1.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

Value = bool | int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]

INT_MAX = 2**31 - 1
MAX_BATCH_SIZE = 1024
PROPERTY_GROUP = "property"
# The graph's own nvinfer elements: the detector and the classifier.
PGIE_ID, SGIE_ID = 1, 2
CLASS_GROUP_PREFIX = "class-attrs-"


class Kind(Enum):
    """How nvinfer reads the text of a value."""

    BOOL = "0 or 1"
    INT = "an integer"
    FLOAT = "a number"
    STRING = "a text"
    PATH = "a path, relative to the configuration file"
    INTS = "integers divided by ;"
    FLOATS = "numbers divided by ;"
    STRINGS = "texts divided by ;"


class Release(str, Enum):
    """The releases of DeepStream that run on Orin."""

    DS_7_1 = "7.1"
    DS_9_1 = "9.1"


class Since(Enum):
    """Which of the releases have a key or an element property."""

    BOTH = "7.1 and 9.1"
    MAYBE_7_1 = "9.1; in 8.0 but not in 6.3, not known for 7.1"
    NEW = "9.1, since 9.0; not 7.1"

    def has(self, release: Release) -> bool | None:
        """Say whether a release has it; None: not known."""
        if release is Release.DS_9_1 or self is Since.BOTH:
            return True
        return None if self is Since.MAYBE_7_1 else False


class Effect(Enum):
    """What a key changes on the device."""

    RUN = "running"
    BUILD = "building or memory of the engine"
    DEBUG = "debugging"
    NONE = "nothing: parsed and forgotten"


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        name: as spelt in the file.
        kind: how its text is read.
        default: what nvinfer uses without it; None where absence itself means something.
        meaning: one line.
        low, high: inclusive range of the value, or of each one in a list; None is open.
        one_of: the only values accepted; empty is any.
        counts: how many values a list may have; empty is any.
        modes: P for process-mode 1 (whole frames), S for 2 (objects).
        networks: D detector, C classifier, G segmentation, I instance segmentation, O other.
        effect: what it changes.
        ini_only: the YAML parser does not know it.
        since: which releases have it.
    """

    name: str
    kind: Kind
    default: Value | None
    meaning: str
    low: float | None = None
    high: float | None = None
    one_of: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    modes: str = "PS"
    networks: str = "DCGIO"
    effect: Effect = Effect.RUN
    ini_only: bool = False
    since: Since = Since.BOTH

    @property
    def wanted(self) -> str:
        """What a value has to be, for messages: 'an integer from 1 to 1024'."""
        parts = [self.kind.value]
        if self.one_of:
            parts = ["one of " + ", ".join(map(str, self.one_of))]
        elif self.low is not None and self.high is not None:
            parts.append(f"from {self.low:g} to {self.high:g}")
        elif self.low is not None:
            parts.append(f"of {self.low:g} or more")
        if self.counts:
            parts.append(f"({' or '.join(map(str, self.counts))} of them)")
        return " ".join(parts)

    def accepts(self, value: Value) -> bool:
        """Say whether nvinfer takes a value that was read as this key's kind."""
        values = value if isinstance(value, tuple) else (value,)
        if self.counts and len(values) not in self.counts:
            return False
        return all(map(self._accepts_one, values))

    def _accepts_one(self, value: bool | float | str) -> bool:
        if isinstance(value, (bool, str)):
            return True
        if self.one_of:
            return value in self.one_of
        # nvinfer compares "value < low", which a NaN passes; a NaN is refused here all the same.
        if math.isnan(value):
            return False
        return (self.low is None or value >= self.low) and (
            self.high is None or value <= self.high
        )


_B, _I, _F, _S, _P = Kind.BOOL, Kind.INT, Kind.FLOAT, Kind.STRING, Kind.PATH
_IS, _FS, _SS = Kind.INTS, Kind.FLOATS, Kind.STRINGS
_BUILD, _DEBUG, _NONE = Effect.BUILD, Effect.DEBUG, Effect.NONE
_NEW, _MAYBE = Since.NEW, Since.MAYBE_7_1


def _by_name(keys: Iterable[Key]) -> Mapping[str, Key]:
    return {key.name: key for key in keys}


_ELEMENT = (
    Key("gie-unique-id", _I, None, "stamped on its results as unique_component_id", low=1),
    Key("process-mode", _I, 1, "1 whole frames, 2 objects", one_of=(1, 2)),
    Key("batch-size", _I, 1, "frames or crops in one inference", low=1, high=MAX_BATCH_SIZE),
    Key("interval", _I, 0, "batches skipped between inferences", low=0, modes="P"),
    Key("gpu-id", _I, 0, "GPU of a machine with several", low=0, effect=_BUILD),
    Key("network-type", _I, 0, "0 D, 1 C, 2 G, 3 I, 100 raw output", one_of=(0, 1, 2, 3, 100)),
    Key("is-classifier", _B, False, "old form of network-type=1", ini_only=True),
    Key("output-tensor-meta", _B, False, "attach the raw outputs to frames or objects"),
    Key("output-instance-mask", _B, False, "attach masks; needs cluster-mode=4", networks="I"),
    Key("input-tensor-from-meta", _B, False, "take tensors from nvdspreprocess", modes="P"),
    Key("operate-on-gie-id", _I, -1, "only objects of this component; -1 any", modes="S"),
    Key("operate-on-class-ids", _IS, (), "only these classes; none is all", low=0, modes="S"),
    Key("input-object-min-width", _I, 0, "px; 16 at least on VIC", low=0, modes="S"),
    Key("input-object-min-height", _I, 0, "px; 16 at least on VIC", low=0, modes="S"),
    Key("input-object-max-width", _I, 0, "px; 0 is no limit", low=0, modes="S"),
    Key("input-object-max-height", _I, 0, "px; 0 is no limit", low=0, modes="S"),
    Key(
        "secondary-reinfer-interval",
        _I,
        INT_MAX,
        "frames before a tracked object is classified again; the default practically never",
        modes="S",
        networks="DC",
    ),
    Key("stabilize-buffer-count", _I, 0, "first batches that are dropped", low=0, since=_NEW),
)

_MODEL = (
    Key("onnx-file", _P, None, "model to build an engine from"),
    Key("model-engine-file", _P, None, "ready engine; rebuilt at each start without it"),
    Key("labelfile-path", _P, None, "D: a class a line; C: an output a line, classes by ;"),
    Key("infer-dims", _IS, None, "c;h;w of the network input", low=1, counts=(3,)),
    Key("network-input-order", _I, 0, "0 NCHW, 1 NHWC", one_of=(0, 1)),
    Key("output-blob-names", _SS, (), "outputs that must exist (a warning if not)"),
    Key("custom-lib-path", _P, None, "library with the parse functions"),
    Key("parse-bbox-func-name", _S, None, "detection parser in that library", networks="D"),
    Key("parse-bbox-instance-mask-func-name", _S, None, "mask parser", networks="I"),
    Key("parse-classifier-func-name", _S, None, "classifier parser", networks="C"),
    Key(
        "parse-segmentation-func-name",
        _S,
        None,
        "segmentation parser",
        networks="G",
        since=_MAYBE,
    ),
    Key("engine-create-func-name", _S, None, "engine builder of the library", effect=_BUILD),
    Key("custom-network-config", _S, None, "for it; relative to the cwd", effect=_BUILD),
    Key("network-mode", _I, 0, "0 FP32, 1 INT8, 2 FP16, 3 any", low=0, high=3, effect=_BUILD),
    Key("int8-calib-file", _P, None, "calibration cache; without it INT8 is FP16", effect=_BUILD),
    Key(
        "strongly-typed",
        _B,
        False,
        "types from the ONNX; use network-mode=0",
        effect=_BUILD,
        since=_NEW,
    ),
    Key("output-io-formats", _SS, (), "output:dtype:format", effect=_BUILD),
    Key("layer-device-precision", _SS, (), "layer:precision:device", effect=_BUILD),
    Key("enable-dla", _B, False, "run on the DLA", effect=_BUILD),
    Key("use-dla-core", _I, 0, "which DLA", effect=_BUILD),
    Key("tensor-meta-pool-size", _I, 2, "output buffer sets, at least 2", effect=_BUILD),
    Key("auto-inc-mem", _I, 1, "grow that pool when it is empty", effect=_BUILD),
    Key("max-gpu-mem-per", _F, 99, "share of GPU memory, %", low=0, high=100, effect=_BUILD),
    Key("disable-output-host-copy", _I, 0, "leave outputs on the GPU", effect=_BUILD),
    Key(
        "warmup-engine",
        _B,
        False,
        "dummy batches before the first buffer",
        effect=_BUILD,
        since=_NEW,
    ),
    Key("tlt-encoded-model", _P, None, "TAO model, old", effect=_BUILD),
    Key("tlt-model-key", _S, None, "its key", effect=_BUILD),
)

_PICTURE = (
    Key("model-color-format", _I, 0, "0 RGB, 1 BGR, 2 GRAY", one_of=(0, 1, 2)),
    Key("net-scale-factor", _F, 1.0, "y = factor * (x - offset); 0 or less drops both"),
    Key("offsets", _FS, (), "subtracted, in the network's channel order", counts=(1, 2, 3, 4)),
    Key("mean-file", _P, None, "PPM of the network's size; replaces offsets"),
    Key("maintain-aspect-ratio", _B, False, "letterbox instead of stretching"),
    Key("symmetric-padding", _B, False, "centre the letterbox"),
    Key("scaling-filter", _I, 6, "0 and 6 nearest, 1 bilinear", one_of=(0, 1, 2, 3, 4, 5, 6)),
    Key("scaling-compute-hw", _I, 0, "0 platform's (Jetson: VIC), 1 GPU, 2 VIC", one_of=(0, 1, 2)),
)

_RESULT = (
    Key("num-detected-classes", _I, 0, "classes of the network", low=0, networks="DI"),
    Key(
        "cluster-mode",
        _I,
        0,
        "0 group, 1 DBSCAN, 2 NMS, 3 both, 4 none",
        one_of=(0, 1, 2, 3, 4),
        networks="DI",
    ),
    Key("enable-dbscan", _B, False, "old form of cluster-mode=1", networks="D", ini_only=True),
    Key("filter-out-class-ids", _IS, (), "classes that never become metadata", networks="D"),
    Key("crop-objects-to-roi-boundary", _B, False, "trim at the border, else drop", networks="D"),
    Key("classifier-threshold", _F, 0.0, "a class must score above it", low=0, networks="C"),
    Key("classifier-type", _S, None, "copied to the metadata", networks="C"),
    Key("classifier-async-mode", _B, False, "results on a later frame", modes="S", networks="C"),
    Key("segmentation-threshold", _F, 0.0, "least score of a pixel", low=0, networks="GI"),
    Key("segmentation-output-order", _I, 0, "0 NCHW, 1 NHWC", one_of=(0, 1), networks="G"),
)

_DEBUG_KEYS = (
    Key("raw-output-file-write", _B, False, "write outputs to files", effect=_DEBUG, since=_MAYBE),
    Key("dump-input-tensor", _I, 0, "write inputs to files", effect=_DEBUG),
    Key("dump-output-tensor", _I, 0, "write outputs to files", effect=_DEBUG),
    Key("overwrite-input-tensor", _I, 0, "read inputs from a file", effect=_DEBUG, since=_MAYBE),
    Key("overwrite-output-tensor", _I, 0, "read outputs from files", effect=_DEBUG, since=_MAYBE),
    Key("ip-tensor-file", _P, None, "that file", effect=_DEBUG, since=_MAYBE),
    Key("op-tensor-files", _SS, (), "those files", effect=_DEBUG, since=_MAYBE),
)

_FORGOTTEN = (
    Key("workspace-size", _I, 0, "MiB", effect=_NONE),
    Key("force-implicit-batch-dim", _B, False, "of models before ONNX", effect=_NONE),
    Key("dynamic-properties", _S, None, "k=v;k=v", effect=_NONE, since=_NEW),
    Key("parse-func", _S, None, "of old releases", effect=_NONE),
    Key("model-file", _P, None, "Caffe", effect=_NONE),
    Key("proto-file", _P, None, "Caffe", effect=_NONE),
    Key("uff-file", _P, None, "UFF", effect=_NONE),
    Key("uff-input-order", _I, 0, "UFF", effect=_NONE),
    Key("uff-input-blob-name", _S, None, "UFF", effect=_NONE),
    Key("input-dims", _IS, None, "c;h;w;order, old infer-dims", counts=(4,), ini_only=True),
    Key("uff-input-dims", _IS, None, "c;h;w;order, old infer-dims", counts=(4,), ini_only=True),
)

_CLASS = (
    Key("threshold", _F, None, "old pre-cluster-threshold", low=0, ini_only=True),
    Key("pre-cluster-threshold", _F, 0.2, "less confident ones go before clustering", low=0),
    Key("post-cluster-threshold", _F, 0.0, "after NMS a confidence must be above it", low=0),
    Key("nms-iou-threshold", _F, 0.3, "a box goes if its IoU is above it", low=0, high=1),
    Key("topk", _I, -1, "most boxes a class and frame; unset is no limit", low=0),
    Key("eps", _F, 0.0, "DBSCAN, grouping", low=0),
    Key("group-threshold", _I, 0, "grouping", low=0),
    Key("minBoxes", _I, 0, "DBSCAN", low=0),
    Key("dbscan-min-score", _F, 0.0, "DBSCAN", low=0),
    Key("roi-top-offset", _I, 0, "px from the top that count as outside", low=0),
    Key("roi-bottom-offset", _I, 0, "px from the bottom that count as outside", low=0),
    Key("detected-min-w", _I, 0, "px", low=0),
    Key("detected-min-h", _I, 0, "px", low=0),
    Key("detected-max-w", _I, 0, "px; 0 is no limit", low=0),
    Key("detected-max-h", _I, 0, "px; 0 is no limit", low=0),
    Key("border-color", _FS, (1.0, 0.0, 0.0, 1.0), "r;g;b;a, each 0 to 1", counts=(4,)),
    Key("bg-color", _FS, None, "r;g;b;a, each 0 to 1", counts=(4,)),
)

PROPERTY_KEYS: Mapping[str, Key] = _by_name(
    (*_ELEMENT, *_MODEL, *_PICTURE, *_RESULT, *_DEBUG_KEYS, *_FORGOTTEN)
)
CLASS_KEYS: Mapping[str, Key] = _by_name(_CLASS)
