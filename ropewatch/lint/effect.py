"""What a key means for one site: its value, where that comes from, and what follows in numbers."""

from collections.abc import Callable, Iterator
from typing import Final

from ropewatch.errors import ModelError
from ropewatch.labels import read_classifier_labels
from ropewatch.lint.config import Config, Role
from ropewatch.lint.source import shown
from ropewatch.nvinfer_keys import CLASS_KEYS, INT_MAX, PGIE_ID, PROPERTY_KEYS, SGIE_ID, Value

_CHANNELS: Final = {0: "RGB", 1: "BGR", 2: "G"}
_FILTERS: Final = (
    "nearest neighbour",
    "bilinear",
    "cubic on a GPU, 5-tap on the VIC",
    "super sampling on a GPU, 10-tap on the VIC",
    "Lanczos on a GPU, smart on the VIC",
    "ignored on a GPU, nicest on the VIC",
    "nearest neighbour",
)


def effects(config: Config, name: str) -> Iterator[str]:
    """Yield lines about a key in one configuration of a site; none where it does not apply."""
    assert config.use is not None
    key = PROPERTY_KEYS.get(name) or CLASS_KEYS[name]
    letter = {0: "D", 1: "C", 2: "G", 3: "I"}.get(config.network_type, "O")
    networks = key.networks if name in PROPERTY_KEYS else "DI"
    if letter not in networks or ("S" if config.on_objects else "P") not in key.modes:
        return
    yield f"  {config.use.role.value}, {shown(config.text.path)}: {_value(config, name)}"
    wanted = _manifest(config, name)
    if wanted is not None:
        yield f"    the model's manifest: {wanted}"
    consequence = _CONSEQUENCES.get(name)
    for line in consequence(config) if consequence is not None else ():
        yield f"    {line}"


def _value(config: Config, name: str) -> str:
    """Value and origin: the graph's properties win over the file, that over nvinfer's default."""
    use = config.use
    assert use is not None
    detector = use.role is Role.DETECTOR
    if name == "batch-size" and detector:
        return f"{name}={len(use.site.sources)}, set by the graph: as many as cameras"
    if name == "gie-unique-id":
        return f"{name}={PGIE_ID if detector else SGIE_ID}, set by the graph"
    if name in PROPERTY_KEYS:
        if config.given(name):
            return f"{name}={text_of(config.values[name])}, line {config.line(name)}"
        return f"{name}={text_of(PROPERTY_KEYS[name].default)}, nvinfer's default"
    person = str(use.site.detector.person_class_id)
    for suffix in (person, "all"):
        if name in config.classes.get(suffix, {}):
            group = f"class-attrs-{suffix}"
            value = text_of(config.classes[suffix][name])
            return f"{name}={value}, line {config.line(name, group)}"
    return f"{name}={text_of(CLASS_KEYS[name].default)}, nvinfer's default"


def text_of(value: Value | None) -> str:
    """Write a value as a file would."""
    if value is None or value == ():
        return "(none)"
    if isinstance(value, tuple):
        return ";".join(text_of(one) for one in value)
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _manifest(config: Config, name: str) -> str | None:
    model = config.manifest()
    if model is None:
        return None
    wanted = model.preprocessing
    known: dict[str, Value] = {
        "net-scale-factor": wanted.net_scale_factor,
        "offsets": wanted.offsets,
        "maintain-aspect-ratio": wanted.maintain_aspect_ratio,
        "symmetric-padding": wanted.symmetric_padding,
        "scaling-filter": wanted.scaling_filter,
        "model-color-format": f"{int(wanted.model_color_format == 'BGR')}"
        f" ({wanted.model_color_format})",
        "infer-dims": ";".join(map(str, model.inputs[0].shape[1:])),
        "network-type": f"a {model.kind}",
        "num-detected-classes": len(model.labels),
        "labelfile-path": ", ".join(model.labels),
    }
    return text_of(known[name]) if name in known else None


def _person(config: Config, name: str) -> float:
    """A class key of the site's persons."""
    assert config.use is not None
    value: Value | None = CLASS_KEYS[name].default
    for suffix in ("all", str(config.use.site.detector.person_class_id)):
        value = config.classes.get(suffix, {}).get(name, value)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _pixels(config: Config) -> Iterator[str]:
    factor = config.number("net-scale-factor")
    offsets = config.numbers("offsets") or (0.0, 0.0, 0.0)
    if factor <= 0:
        yield "a factor of 0 or less: pixels reach the network as 0 to 255, offsets too are unused"
        return
    letters = _CHANNELS[config.integer("model-color-format")]
    for letter, offset in zip(letters, offsets, strict=False):
        low, high = factor * (0.0 - offset), factor * (255 - offset)
        yield f"{letter}: pixel 0 becomes {low:.4g}, pixel 255 becomes {high:.4g}"


def _interval(config: Config) -> Iterator[str]:
    assert config.use is not None
    fps, skipped = config.use.site.muxer.fps, config.integer("interval")
    looks = "detections" if config.use.role is Role.DETECTOR else "looks at the frame"
    yield (
        f"at {fps:g} fps: {fps / (skipped + 1):.3g} {looks} a second and camera, "
        f"{(skipped + 1) / fps:.3g} s from one to the next"
    )


def _reinfer(config: Config) -> Iterator[str]:
    assert config.use is not None
    fps, interval = config.use.site.muxer.fps, config.integer("secondary-reinfer-interval")
    if interval == INT_MAX:
        yield "a tracked person is judged once; someone who unclips later is never noticed"
    elif interval == 0:
        yield f"every person on every frame, {fps:g} times a second"
    else:
        yield f"a tracked person is judged again after {interval / fps:.3g} s at {fps:g} fps"


def _confidence(config: Config) -> Iterator[str]:
    yield f"a person less certain than {_person(config, 'pre-cluster-threshold'):g} is not seen"


def _overlap(config: Config) -> Iterator[str]:
    iou = _person(config, "nms-iou-threshold")
    yield f"of two boxes whose IoU is above {iou:g} the less certain one goes"
    # Two equal boxes side by side, shifted by d widths: IoU = (1 - d) / (1 + d).
    yield f"two people of one size stay two from {(1 - iou) / (1 + iou):.0%} of a width apart"


def _most(config: Config) -> Iterator[str]:
    most = int(_person(config, "topk"))
    yield "no limit" if most < 0 else f"at most {most} people a frame; the others go unseen"


def _verdicts(config: Config) -> Iterator[str]:
    assert config.use is not None
    least, site = config.number("classifier-threshold"), config.use.site
    wanted, path = site.classifier.score_label, config.path("labelfile-path")
    try:
        labels = read_classifier_labels(path) if path is not None else ()
    except ModelError:
        labels = ()
    yield f"nvinfer attaches the best of {', '.join(labels) or 'its labels'} above {least:g}"
    yield (
        f"the site decides by the score of {wanted}: {site.classifier.alert_when.value} "
        f"{site.decision.threshold:g} is unsafe"
    )
    if least > 0:
        yield f"a frame whose best score is {least:g} or less has no verdict: unknown"


def _picture(config: Config) -> Iterator[str]:
    assert config.use is not None
    try:
        width, height = config.network_wh_px
    except ModelError:
        return
    muxer = config.use.site.muxer
    if config.on_objects:
        low_w, low_h = max(16, -(-width // 16)), max(16, -(-height // 16))
        yield (
            f"a person's crop is scaled to {width} x {height}; a Jetson's VIC takes crops from "
            f"{low_w} x {low_h} to {16 * width} x {16 * height} px"
        )
        return
    if not config.flag("maintain-aspect-ratio"):
        yield f"{muxer.width_px} x {muxer.height_px} is stretched to {width} x {height}"
        return
    # As nvinfer truncates: the side that decides is kept, the other one is rounded down.
    inner_w, inner_h = width, int(width * muxer.height_px / muxer.width_px)
    if inner_h > height:
        inner_w, inner_h = int(height * muxer.width_px / muxer.height_px), height
    place = "on both sides" if config.flag("symmetric-padding") else "right and below"
    yield (
        f"{muxer.width_px} x {muxer.height_px} becomes {inner_w} x {inner_h} in {width} x "
        f"{height}: {width - inner_w} columns and {height - inner_h} rows of black, {place}"
    )


def _filter(config: Config) -> Iterator[str]:
    yield _FILTERS[config.integer("scaling-filter")]


def _engine(config: Config) -> Iterator[str]:
    found = config.named_engine()
    if found is not None:
        yield f"by its name the engine is for batches of {found['batch']}, {found['precision']}"
    onnx = config.onnx()
    yield f"the ONNX: {'none that can be found' if onnx is None else onnx.name}"


def _floor(config: Config) -> Iterator[str]:
    if config.integer("scaling-compute-hw") != 1:
        yield "on the VIC nothing below 16 px is classified, whatever is written here"


def _people(config: Config) -> Iterator[str]:
    assert config.use is not None
    yield f"the site's person is class {config.use.site.detector.person_class_id}"


_CONSEQUENCES: Final[dict[str, Callable[[Config], Iterator[str]]]] = {
    "net-scale-factor": _pixels,
    "offsets": _pixels,
    "model-color-format": _pixels,
    "interval": _interval,
    "secondary-reinfer-interval": _reinfer,
    "pre-cluster-threshold": _confidence,
    "nms-iou-threshold": _overlap,
    "topk": _most,
    "classifier-threshold": _verdicts,
    "infer-dims": _picture,
    "maintain-aspect-ratio": _picture,
    "symmetric-padding": _picture,
    "scaling-filter": _filter,
    "model-engine-file": _engine,
    "network-mode": _engine,
    "batch-size": _engine,
    "input-object-min-width": _floor,
    "input-object-min-height": _floor,
    "operate-on-class-ids": _people,
    "filter-out-class-ids": _people,
    "num-detected-classes": _people,
}
