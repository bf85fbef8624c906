"""RW2..: the configuration against the model's manifest, its labels and its engine."""

import functools
from collections.abc import Callable, Iterator
from typing import Final

from ropewatch import manifest
from ropewatch.engine_names import ENGINE_NAME, engine_name
from ropewatch.errors import ModelError
from ropewatch.labels import read_classifier_labels, read_detector_labels
from ropewatch.lint.config import CLASSIFIER, DETECTOR, Config
from ropewatch.lint.findings import Edit, Find, Hit, Severity, rule

_MODES: Final = {0: "fp32", 1: "int8", 2: "fp16", 3: "best"}
# nvinfer computes in float32; a manifest keeps more digits than a file needs.
_TOLERANCE: Final = 1e-4


def of_model(look: Callable[[Config, manifest.Manifest], Iterator[Hit]]) -> Find:
    """Look only where the model has a manifest."""

    @functools.wraps(look)
    def find(config: Config) -> Iterator[Hit]:
        model = config.manifest()
        if model is not None:
            yield from look(config, model)

    return find


@rule(
    "RW201",
    Severity.ERROR,
    "preprocessing differs from the model's manifest",
    "the network would see other pixels than in training, and no message would say so",
    "copy the manifest's value",
)
@of_model
def preprocessing(config: Config, model: manifest.Manifest) -> Iterator[Hit]:
    """Yield keys whose value is not the manifest's."""
    wanted = model.preprocessing
    expected: dict[str, float] = {
        "net-scale-factor": wanted.net_scale_factor,
        "model-color-format": ("RGB", "BGR").index(wanted.model_color_format),
        "maintain-aspect-ratio": wanted.maintain_aspect_ratio,
        "scaling-filter": wanted.scaling_filter,
    }
    if wanted.maintain_aspect_ratio:
        expected["symmetric-padding"] = wanted.symmetric_padding
    for key, value in expected.items():
        if abs(config.number(key) - value) > _TOLERANCE * max(abs(value), 1e-6):
            what = f"{key}={config.number(key):g}, the manifest says {value:g}"
            yield Hit(what, key=key, edits=(Edit(key, f"{float(value):.17g}"),))
    offsets = config.numbers("offsets") or (0.0, 0.0, 0.0)
    if len(offsets) == 3 and any(
        abs(a - b) > 0.01 for a, b in zip(offsets, wanted.offsets, strict=True)
    ):
        shown = ";".join(f"{one:.9g}" for one in wanted.offsets)
        what = f"offsets differ, the manifest says {shown}"
        yield Hit(what, key="offsets", edits=(Edit("offsets", shown),))


@rule(
    "RW202",
    Severity.ERROR,
    "infer-dims differ from the model's input",
    "nvinfer rejects the engine, or builds another one than was checked",
    "copy the manifest's channels;height;width",
)
@of_model
def dims(config: Config, model: manifest.Manifest) -> Iterator[Hit]:
    """Yield dims that are not the model's."""
    given = config.numbers("infer-dims")
    if not given:
        return
    shape = model.inputs[0].shape[1:]
    fits = len(shape) == len(given) and all(
        isinstance(a, str) or a == b for a, b in zip(shape, given, strict=True)
    )
    if not fits:
        shown = ";".join(map(str, shape))
        fixed = all(isinstance(one, int) for one in shape)
        edits = (Edit("infer-dims", shown),) if fixed else ()
        yield Hit(f"infer-dims, the manifest says {shown}", key="infer-dims", edits=edits)


@rule(
    "RW203",
    Severity.ERROR,
    "labels differ from the model's",
    "classes would carry other names than the model means, in another order or number",
    "write the manifest's labels into the labels file, in its order",
)
@of_model
def manifest_labels(config: Config, model: manifest.Manifest) -> Iterator[Hit]:
    """Yield a labels file that does not say what the manifest says."""
    found = _labels(config)
    if found and found != model.labels:
        what = f"{', '.join(found)}; the manifest says {', '.join(model.labels)}"
        yield Hit(what, key="labelfile-path")


@rule(
    "RW204",
    Severity.ERROR,
    "network-type differs from the model's kind",
    "nvinfer reads the outputs of another kind of network",
    "set network-type=0 for a detector, 1 for a classifier",
)
@of_model
def kind(config: Config, model: manifest.Manifest) -> Iterator[Hit]:
    """Yield a detector's file for a classifier, and the other way round."""
    wanted = {"detector": DETECTOR, "classifier": CLASSIFIER}
    if config.network_type not in (wanted[model.kind], 100):
        what = f"network-type={config.network_type}, the manifest says {model.kind}"
        yield Hit(what, key="network-type")


@rule(
    "RW205",
    Severity.WARNING,
    "labels file of the wrong shape",
    "a detector has one class per line; a classifier one line per output with its classes between "
    "semicolons, or it attaches no label beyond class 0",
    "rewrite the labels file",
)
def label_shape(config: Config) -> Iterator[Hit]:
    """Yield labels files that the other network type would read."""
    path = config.path("labelfile-path")
    if path is None or not path.is_file() or config.network_type not in (DETECTOR, CLASSIFIER):
        return
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    lines = text.splitlines()
    if config.network_type == CLASSIFIER and not lines:
        yield Hit(f"{path.name}: no label, nothing is attached", key="labelfile-path")
    single = config.network_type == CLASSIFIER and lines and not any(";" in one for one in lines)
    if single:
        what = f"{path.name}: {len(lines)} lines without a semicolon for a classifier"
        yield Hit(what, key="labelfile-path")
    if config.network_type == DETECTOR and any(";" in one.rstrip(";") for one in lines):
        yield Hit(f"{path.name}: semicolons for a detector", key="labelfile-path")


@rule(
    "RW206",
    Severity.WARNING,
    "another number of labels than of classes",
    "objects of the classes beyond would carry no or another name",
    "correct num-detected-classes or the labels file",
)
def label_count(config: Config) -> Iterator[Hit]:
    """Yield detectors whose labels do not count up to num-detected-classes."""
    labels, count = _labels(config), config.integer("num-detected-classes")
    if config.network_type == DETECTOR and labels and count and len(labels) != count:
        what = f"num-detected-classes={count}, {len(labels)} labels"
        yield Hit(what, key="num-detected-classes")


@rule(
    "RW207",
    Severity.WARNING,
    "engine is built again at each start",
    "nvinfer writes what it builds to <onnx>_b<batch>_gpu<N>_<precision>.engine and reads only "
    "model-engine-file; where they differ and the named one is absent, every start takes minutes",
    "name exactly the file that nvinfer writes",
)
def rebuilt(config: Config) -> Iterator[Hit]:
    """Yield an engine name that nvinfer never writes, where an ONNX is named."""
    onnx, engine = config.path("onnx-file"), config.path("model-engine-file")
    if onnx is None or config.words("engine-create-func-name"):
        return
    precision = _MODES[config.integer("network-mode")]
    device = f"gpu{config.integer('gpu-id')}"
    if config.flag("enable-dla"):
        device = f"dla{config.integer('use-dla-core')}"
    batch = config.integer("batch-size")
    named = engine_name(config.words("onnx-file"), batch=batch, precision=precision, device=device)
    fix = f"write model-engine-file={named}"
    if engine is None:
        yield Hit("no model-engine-file beside onnx-file", key="onnx-file", fix=fix)
    elif not engine.is_file():
        wanted = onnx.parent / named.rsplit("/", 1)[-1]
        if engine.resolve() != wanted.resolve():
            what = f"model-engine-file={config.words('model-engine-file')} is absent"
            yield Hit(what, key="model-engine-file", fix=fix)


@rule(
    "RW208",
    Severity.WARNING,
    "engine for a smaller batch",
    "nvinfer rejects an engine whose greatest batch is below batch-size and builds another one",
    "build the engine for batch-size, or lower batch-size",
)
def small_engine(config: Config) -> Iterator[Hit]:
    """Yield batch sizes above what the engine's name says."""
    match = config.named_engine()
    if match is not None and int(match["batch"]) < config.integer("batch-size"):
        what = f"batch-size={config.integer('batch-size')}, the engine is for {match['batch']}"
        yield Hit(what, key="batch-size")


@rule(
    "RW209",
    Severity.WARNING,
    "engine of another precision",
    "nvinfer does not compare network-mode with an engine that loads: the engine's precision runs",
    "make network-mode and the engine's name agree",
)
def other_precision(config: Config) -> Iterator[Hit]:
    """Yield engine names that say another precision than network-mode."""
    match = config.named_engine()
    wanted = _MODES[config.integer("network-mode")]
    if match is not None and match["precision"] != wanted and not config.flag("strongly-typed"):
        mode = config.integer("network-mode")
        what = f"network-mode={mode} is {wanted}, not {match['precision']}"
        yield Hit(what, key="network-mode")


@rule(
    "RW210",
    Severity.WARNING,
    "engine older than its ONNX",
    "nvinfer never compares them: a changed ONNX has no effect while the old engine loads",
    "build the engine again, or remove it",
)
def stale_engine(config: Config) -> Iterator[Hit]:
    """Yield engines that were written before their ONNX."""
    onnx, engine = config.onnx(), config.path("model-engine-file")
    if onnx is None or engine is None or not onnx.is_file() or not engine.is_file():
        return
    if engine.stat().st_mtime_ns < onnx.stat().st_mtime_ns:
        yield Hit(f"{engine.name} is older than {onnx.name}", key="model-engine-file")


@rule(
    "RW211",
    Severity.ERROR,
    "ONNX and manifest do not belong together",
    "the file was changed after its export, so nothing that was measured on it holds",
    "export the model again",
)
def changed_onnx(config: Config) -> Iterator[Hit]:
    """Yield ONNX files whose digest is not the manifest's."""
    engine, named = config.path("model-engine-file"), config.path("onnx-file")
    match = engine and ENGINE_NAME.search(engine.name)
    onnx = engine.with_name(match["onnx"]) if engine and match else named
    onnx = named or onnx
    if onnx is None or not onnx.is_file() or not manifest.manifest_of(onnx).is_file():
        return
    try:
        manifest.load_verified(onnx)
    except ModelError as error:
        key = "onnx-file" if named else "model-engine-file"
        yield Hit(str(error).splitlines()[0], key=key)


@rule(
    "RW212",
    Severity.ERROR,
    "detector head that is not clustered",
    "ropewatch's detectors give every candidate; without NMS one person becomes many",
    "set cluster-mode=2",
)
@of_model
def unclustered(config: Config, model: manifest.Manifest) -> Iterator[Hit]:
    """Yield our detectors under another cluster mode than NMS."""
    if model.kind == "detector" and config.cluster_mode not in (0, 2):
        what = f"cluster-mode={config.cluster_mode}"
        yield Hit(what, key="cluster-mode", edits=(Edit("cluster-mode", "2"),))


@rule(
    "RW213",
    Severity.ERROR,
    "model of any picture size without infer-dims",
    "nvinfer cannot build or use an engine whose height and width nobody says: invalid dims",
    "write infer-dims=3;height;width",
)
@of_model
def open_dims(config: Config, model: manifest.Manifest) -> Iterator[Hit]:
    """Yield models with a symbolic height or width."""
    shape = model.inputs[0].shape[1:]
    if not config.numbers("infer-dims") and any(isinstance(one, str) for one in shape):
        yield Hit(f"no infer-dims, the manifest says {';'.join(map(str, shape))}")


@rule(
    "RW214",
    Severity.WARNING,
    "half-precision outputs",
    "a parser that reads float32 reads nonsense from them, and no message would say so",
    "export with float32 outputs, or write output-io-formats=NAME:fp32:chw for each",
)
@of_model
def half_outputs(config: Config, model: manifest.Manifest) -> Iterator[Hit]:
    """Yield models whose outputs nobody converts back."""
    halves = [one.name for one in model.outputs if one.dtype == "float16"]
    if halves and not config.given("output-io-formats"):
        yield Hit(f"float16: {', '.join(halves)}", key="output-io-formats")


@rule(
    "RW215",
    Severity.ERROR,
    "detector head without its parser",
    "nvinfer's own parser looks for outputs named like bbox and cov; it finds none, and what is "
    "kept of a frame is garbage",
    "set custom-lib-path and parse-bbox-func-name, as in configs/nvinfer/demo_person.txt",
)
@of_model
def no_parser(config: Config, model: manifest.Manifest) -> Iterator[Hit]:
    """Yield our detectors that nvinfer's own parser would read."""
    keys = ("custom-lib-path", "parse-bbox-func-name")
    missing = [key for key in keys if not config.words(key)]
    if missing and model.kind == "detector" and config.network_type == DETECTOR:
        yield Hit(f"{missing[0]} is missing", key=missing[0])


@rule(
    "RW216",
    Severity.WARNING,
    "label with something invisible around it",
    "nvinfer strips nothing: blanks, carriage returns, a byte order mark and bytes that are no "
    "UTF-8 become a part of the label, which then equals no other spelling of it",
    "save the labels file with line ends of Unix, as UTF-8 without a mark, and without blanks "
    "around labels",
)
def unstripped_label(config: Config) -> Iterator[Hit]:
    """Yield the first label of a file that is not what it looks like."""
    path = config.path("labelfile-path")
    if path is None or not path.is_file() or config.network_type not in (DETECTOR, CLASSIFIER):
        return
    lines = path.read_bytes().decode("utf-8", "replace").split("\n")
    for number, line in enumerate(lines, 1):
        for label in line.split(";"):
            # The mark of replacement: bytes that are no UTF-8, on which pyds raises.
            if label != label.strip().removeprefix("\ufeff") or "\ufffd" in label:
                yield Hit(f"{label!r}", line=number, file=path)
                return


def _labels(config: Config) -> tuple[str, ...]:
    """Labels of a well-shaped file, else nothing; the shape is RW205's."""
    path = config.path("labelfile-path")
    read = {DETECTOR: read_detector_labels, CLASSIFIER: read_classifier_labels}
    reader = read.get(config.network_type)
    if path is None or reader is None:
        return ()
    try:
        return reader(path)
    except ModelError:
        return ()
