"""RW4..: what the release of DeepStream that is aimed at does not have; only with --target."""

from collections.abc import Iterator

from ropewatch.element_properties import since
from ropewatch.lint.config import Config, Role, key_of
from ropewatch.lint.findings import Hit, Severity, rule
from ropewatch.lint.rules_cameras import is_rtsp
from ropewatch.nvinfer_keys import Release

# What the graph sets on a live source beyond what every release has.
LIVE_PROPERTIES = (("nvurisrcbin", "init-rtsp-reconnect-interval"),)


@rule(
    "RW401",
    Severity.WARNING,
    "key that the targeted release does not have",
    "that release's nvinfer prints one line about an unknown key and goes on without it",
    "take it out for this release",
)
def key_too_new(config: Config) -> Iterator[Hit]:
    """Yield keys that came after the release."""
    yield from _keys(config, known=False)


@rule(
    "RW402",
    Severity.NOTE,
    "key that is not known for the targeted release",
    "DeepStream 7.1's source is not public; 8.0 has the key and 6.3 does not",
    "look for 'Unknown or legacy key' in nvinfer's output on the box",
)
def key_not_known(config: Config) -> Iterator[Hit]:
    """Yield keys of which nobody here knows whether the release has them."""
    yield from _keys(config, known=None)


def _keys(config: Config, *, known: bool | None) -> Iterator[Hit]:
    if config.target is None:
        return
    for entry in config.text.entries:
        key = key_of(entry)
        if key is not None and key.since.has(config.target) is known:
            what = f"{entry.name} with DeepStream {config.target.value}"
            yield Hit(what, line=entry.line)


@rule(
    "RW403",
    Severity.NOTE,
    "element property that is not known for the targeted release",
    "the graph sets it on every RTSP camera where the element has it, and says in the log where "
    "it leaves it out; the source of 7.1's element is not public, 8.0 has the property",
    "on the box, look for it in gst-inspect-1.0 nvurisrcbin; without it rtsp-reconnect-interval "
    "counts from the start, too",
)
def property_not_known(config: Config) -> Iterator[Hit]:
    """Yield what the graph sets on live sources and the release may lack."""
    use, target = config.use, config.target
    if use is None or target is None or use.role is not Role.DETECTOR:
        return
    live = [one.id for one in use.site.sources if is_rtsp(one.uri)]
    for element, name in LIVE_PROPERTIES if live else ():
        if since(element, name).has(target) is not True:
            what = f"{element} {name} (camera {live[0]}) with DeepStream {target.value}"
            yield Hit(what, line=use.line("sources"), file=use.path)


@rule(
    "RW404",
    Severity.NOTE,
    "half precision under the targeted release's TensorRT",
    "DeepStream 7.1 brings TensorRT 10.3, which is reported to compute networks of the DINOv3 "
    "family wrongly in FP16 (NVIDIA/TensorRT issues 4558, 4723); not measured here",
    "compare the engine with the ONNX before it is used, or build it in FP32",
)
def half_precision(config: Config) -> Iterator[Hit]:
    """Yield the site's classifier if its engine is FP16."""
    use = config.use
    match = config.named_engine()
    if use is None or use.role is not Role.CLASSIFIER or match is None:
        return
    if config.target is Release.DS_7_1 and match["precision"] == "fp16":
        what = f"{config.words('model-engine-file')} with DeepStream {config.target.value}"
        yield Hit(what, key="model-engine-file")
