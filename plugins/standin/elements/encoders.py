"""nvv4l2h264enc and nvv4l2h265enc: x264 and x265 behind NVIDIA's properties, as a Jetson's."""

import logging
from typing import Any

from plugins.standin import element as base
from plugins.standin import enums
from plugins.standin.elements.nvvideoconvert import NvVideoConvert
from plugins.standin.gst import GObject, Gst, GstVideo

log = logging.getLogger("ropewatch.standin")

_SINK_CAPS = "video/x-raw(memory:NVMM), format=(string){ NV12, I420, RGBA }"
_PRESETS = ("ultrafast", "ultrafast", "fast", "medium", "slow")
# By NVIDIA's number: GStreamer's name, CABAC, 8x8 transform. The latter two make the profile,
# whatever the preset would choose.
_H264_PROFILES = {
    0: ("constrained-baseline", False, False),
    2: ("main", True, False),
    4: ("high", True, True),
}
_X264_SWITCHES = {"insert-aud": "aud", "insert-vui": "insert-vui"}
_LONGEST_VBV_MS = 10_000
_VARIABLE = 0
_OF_THE_BUFFER = ("bitrate", "vbv-size", "control-rate")
_SIGNALS = {"force-IDR": (GObject.SignalFlags.RUN_LAST | GObject.SignalFlags.ACTION, None, ())}
_IN_BOTH = (
    "bitrate",
    "iframeinterval",
    "idrinterval",
    "preset-level",
    "insert-aud",
    "control-rate",
)


def _properties(profiles: enums.Enum, *own: str) -> tuple[base.Property, ...]:
    """Describe the properties; `own` have an effect on this encoder, besides those of both."""
    numbers = {
        "bitrate": 4_000_000,
        "iframeinterval": 30,
        "idrinterval": 256,
        "peak-bitrate": 0,
        "preset-id": 1,
        "num-B-Frames": 0,
        "vbv-size": 4_000_000,
        "qos": 0,
        "gpu-id": 0,
        "capture-io-mode": 0,
        "output-io-mode": 0,
        "quant-i-frames": 2**32 - 1,
        "quant-p-frames": 2**32 - 1,
        "quant-b-frames": 2**32 - 1,
    }
    choices = {
        "profile": (profiles, 0),
        "control-rate": (enums.RATE_CONTROL, 1),
        "preset-level": (enums.PRESET_LEVEL, 1),
        "tuning-info-id": (enums.TUNING, 2),
    }
    switches = (
        "insert-sps-pps",
        "insert-vui",
        "insert-aud",
        "maxperf-enable",
        "bufapi-version",
        "enable-lossless",
        "MeasureEncoderLatency",
    )
    highest = {"num-B-Frames": 2, "preset-id": 7}
    effective = (*_IN_BOTH, *own)
    return (
        *(
            base.uint(name, default, high=highest.get(name, 2**32 - 1), effect=name in effective)
            for name, default in numbers.items()
        ),
        *(
            base.enum(name, kinds, default, effect=name in effective)
            for name, (kinds, default) in choices.items()
        ),
        *(base.boolean(name, effect=name in effective) for name in switches),
        base.boolean("ratecontrol-enable", True, effect=False),
        base.string("qp-range", "-1,-1:-1,-1:-1,-1", effect=False),
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
        self.out = Gst.ElementFactory.make("capsfilter", None)
        self.out.set_property("caps", self.get_pad_template("src").get_caps().copy())
        previous = None
        for item in (convert, raw, self.encoder, self.out):
            self.add(item)
            if previous is not None:
                previous.link(item)
            previous = item
        for name, pad in (
            ("sink", convert.get_static_pad("sink")),
            ("src", self.out.get_static_pad("src")),
        ):
            self.add_pad(Gst.GhostPad.new_from_template(name, pad, self.get_pad_template(name)))
        for item in self.PROPERTIES:
            if item.effect:
                self.changed(item.name, item.default)
        base.cure_floating(self)

    def changed(self: Any, name: str, value: Any) -> None:
        """Hand on what x264 and x265 have; NVIDIA's bitrate is in bits, theirs in kilobits."""
        if name in ("iframeinterval", "idrinterval"):
            # Each I frame is an IDR frame here, so the shorter of the two intervals holds.
            lengths = [self.settings[key] for key in ("iframeinterval", "idrinterval")]
            self.encoder.set_property("key-int-max", min(filter(None, lengths), default=0))
        elif name == "preset-level":
            self.encoder.set_property("speed-preset", _PRESETS[value])
        else:
            if name == "bitrate":
                self.encoder.set_property("bitrate", max(1, value // 1000))
            self.tune(name, value)

    def force_key_frame(self: Any) -> None:
        """Ask the encoder for a key frame, as RTSP servers do."""
        now = base.CLOCK_TIME_NONE
        event = GstVideo.video_event_new_upstream_force_key_unit(now, True, 0)
        self.encoder.get_static_pad("src").send_event(event)


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
    # x264 in byte-stream repeats SPS and PPS in any case.
    PROPERTIES = _properties(
        enums.H264_PROFILE, "profile", "num-B-Frames", "vbv-size", "insert-sps-pps", "insert-vui"
    )
    __gproperties__ = base.gproperties(PROPERTIES)
    __gsignals__ = _SIGNALS
    FACTORY = "x264enc"

    def __init__(self) -> None:
        super().__init__()
        self.build()

    def do_force_IDR(self) -> None:  # noqa: N802  NVIDIA's name
        """Make the next frame an IDR frame."""
        self.force_key_frame()

    def tune(self, name: str, value: Any) -> None:
        """Hand on what is x264's alone."""
        if name == "profile":
            self._choose_profile(value)
        elif name == "num-B-Frames":
            self.encoder.set_property("bframes", value)
        elif name in _X264_SWITCHES:
            self.encoder.set_property(_X264_SWITCHES[name], value)
        elif name == "control-rate" and value == _VARIABLE:
            # Without a buffer x264 keeps the mean alone.
            self.encoder.set_property("vbv-buf-capacity", 0)
        elif name in _OF_THE_BUFFER and self.settings["control-rate"] != _VARIABLE:
            length_ms = self.settings["vbv-size"] * 1000 // max(1, self.settings["bitrate"])
            self.encoder.set_property("vbv-buf-capacity", min(length_ms, _LONGEST_VBV_MS))

    def _choose_profile(self, number: int) -> None:
        if number not in _H264_PROFILES:
            log.warning(
                "nvv4l2h264enc profile=%d, want one of %s; the profile stays as it was",
                number,
                ", ".join(f"{key} ({name})" for key, (name, *_) in _H264_PROFILES.items()),
            )
            return
        name, cabac, transform = _H264_PROFILES[number]
        self.encoder.set_property("cabac", cabac)
        self.encoder.set_property("dct8x8", transform)
        caps = self.get_pad_template("src").get_caps().copy()
        caps.set_value("profile", name)
        self.out.set_property("caps", caps)


class NvV4l2H265Enc(_Encoder, Gst.Bin):
    """H.265."""

    __gtype_name__ = "GstNvV4l2H265Enc"
    __gstmetadata__ = ("Encoder", "Codec/Encoder/Video", "Encodes H.265", "ropewatch")
    __gsttemplates__ = _templates("video/x-h265, stream-format=byte-stream, alignment=au")
    PROPERTIES = _properties(enums.H265_PROFILE, "peak-bitrate", "vbv-size", "insert-sps-pps")
    __gproperties__ = base.gproperties(PROPERTIES)
    __gsignals__ = _SIGNALS
    FACTORY = "x265enc"

    def __init__(self) -> None:
        super().__init__()
        self.build()

    def do_force_IDR(self) -> None:  # noqa: N802  NVIDIA's name
        """Make the next frame an IDR frame."""
        self.force_key_frame()

    def tune(self, _name: str, _value: Any) -> None:
        """Hand on what is x265's alone, for which it has one text."""
        bitrate = self.settings["bitrate"]
        # In variable_bitrate, 0, the peak is a fifth above the mean unless it is told.
        peak = self.settings["peak-bitrate"] or bitrate * 6 // 5
        fastest = bitrate if self.settings["control-rate"] else max(peak, bitrate)
        options = {
            "open-gop": 0,
            "vbv-maxrate": max(1, fastest // 1000),
            "vbv-bufsize": max(1, self.settings["vbv-size"] // 1000),
            "aud": int(self.settings["insert-aud"]),
            "repeat-headers": int(self.settings["insert-sps-pps"]),
        }
        text = ":".join(f"{key}={value}" for key, value in options.items())
        self.encoder.set_property("option-string", text)
