"""nvv4l2h264enc and nvv4l2h265enc: x264 and x265 behind NVIDIA's properties."""

from typing import Any

from plugins.standin import element as base
from plugins.standin.elements.nvvideoconvert import NvVideoConvert
from plugins.standin.gst import Gst

_DEFAULT_BITRATE = 4_000_000
_SINK_CAPS = "video/x-raw(memory:NVMM), format=(string){ NV12, I420, RGBA }"
_PROPERTIES = (
    base.uint("bitrate", _DEFAULT_BITRATE),
    base.uint("iframeinterval", 30),
    base.uint("idrinterval", 256, effect=False),
    base.uint("profile", effect=False),
    base.uint("control-rate", 1, effect=False),
    base.uint("peak-bitrate", effect=False),
    base.uint("preset-level", 1, effect=False),
    base.uint("preset-id", 1, effect=False),
    base.uint("tuning-info-id", 2, effect=False),
    base.boolean("insert-sps-pps", effect=False),
    base.boolean("insert-vui", effect=False),
    base.boolean("insert-aud", effect=False),
    base.boolean("maxperf-enable", effect=False),
    base.boolean("bufapi-version", effect=False),
    base.boolean("enable-lossless", effect=False),
    base.uint("num-B-Frames", effect=False),
    base.uint("vbv-size", 4_000_000, effect=False),
    base.uint("qos", effect=False),
    base.uint("gpu-id", effect=False),
    base.uint("capture-io-mode", effect=False),
    base.uint("output-io-mode", effect=False),
    base.string("device", "/dev/nvhost-msenc", effect=False),
)


class _Encoder(base.Settings):
    """What both encoders share; a plain mix-in, see nvstreammux."""

    FACTORY = ""

    def build(self: Any) -> None:
        """Make the inside: frames to system memory, the encoder, one access unit a buffer."""
        self.start_settings()
        convert = NvVideoConvert()
        raw = Gst.ElementFactory.make("capsfilter", None)
        raw.set_property("caps", Gst.Caps.from_string("video/x-raw, format=I420"))
        self.encoder = Gst.ElementFactory.make(self.FACTORY, None)
        if self.encoder is None:
            raise ValueError(f"no {self.FACTORY}, want it installed; install gstreamer1.0-plugins")
        self.encoder.set_property("tune", 4)
        self.encoder.set_property("speed-preset", "veryfast")
        out = Gst.ElementFactory.make("capsfilter", None)
        caps = self.get_pad_template("src").get_caps().copy()
        out.set_property("caps", caps)
        previous = None
        for item in (convert, raw, self.encoder, out):
            self.add(item)
            if previous is not None:
                previous.link(item)
            previous = item
        for name, pad in (
            ("sink", convert.get_static_pad("sink")),
            ("src", out.get_static_pad("src")),
        ):
            self.add_pad(Gst.GhostPad.new_from_template(name, pad, self.get_pad_template(name)))
        for name in ("bitrate", "iframeinterval"):
            self.changed(name, self.settings[name])
        base.cure_floating(self)

    def changed(self: Any, name: str, value: Any) -> None:
        """Hand on what x264 and x265 have; NVIDIA's bitrate is in bits, theirs in kilobits."""
        if name == "bitrate":
            self.encoder.set_property("bitrate", max(1, value // 1000))
        elif name == "iframeinterval":
            self.encoder.set_property("key-int-max", value)


def _templates(caps: str) -> tuple[Gst.PadTemplate, Gst.PadTemplate]:
    return (
        base.caps_template("sink", Gst.PadDirection.SINK, _SINK_CAPS),
        base.caps_template("src", Gst.PadDirection.SRC, caps),
    )


class NvV4l2H264Enc(_Encoder, Gst.Bin):
    """H.264."""

    __gtype_name__ = "GstNvV4l2H264Enc"
    __gstmetadata__ = ("Encoder", "Codec/Encoder/Video", "Encodes H.264", "ropewatch")
    __gsttemplates__ = _templates("video/x-h264, stream-format=byte-stream, alignment=au")
    PROPERTIES = _PROPERTIES
    __gproperties__ = base.gproperties(PROPERTIES)
    FACTORY = "x264enc"

    def __init__(self) -> None:
        super().__init__()
        self.build()


class NvV4l2H265Enc(_Encoder, Gst.Bin):
    """H.265."""

    __gtype_name__ = "GstNvV4l2H265Enc"
    __gstmetadata__ = ("Encoder", "Codec/Encoder/Video", "Encodes H.265", "ropewatch")
    __gsttemplates__ = _templates("video/x-h265, stream-format=byte-stream, alignment=au")
    PROPERTIES = _PROPERTIES
    __gproperties__ = base.gproperties(PROPERTIES)
    FACTORY = "x265enc"

    def __init__(self) -> None:
        super().__init__()
        self.build()
