"""nvv4l2decoder: libav's decoders, NV12 out, tagged as NVMM."""

import weakref
from typing import Any

from plugins.standin import element as base
from plugins.standin import enums
from plugins.standin.elements.retag import ToNvmm
from plugins.standin.elements.skip_frames import SkipFrames
from plugins.standin.gst import Gst, structure_of

DECODERS = {
    "video/x-h264": "avdec_h264",
    "video/x-h265": "avdec_h265",
    "video/x-vp8": "vp8dec",
    "video/x-vp9": "vp9dec",
    "image/jpeg": "jpegdec",
}
_SINK_CAPS = "; ".join(DECODERS)
# skip-frames: 0 decodes all, 1 leaves out what no other frame refers to, 2 keeps key frames.
_KEYS_ONLY = 2


class NvV4l2Decoder(base.Settings, Gst.Bin):
    """Choose the decoder when the caps are known."""

    __gtype_name__ = "GstNvV4l2Decoder"
    __gstmetadata__ = ("Decoder", "Codec/Decoder/Video", "Decodes on the CPU", "ropewatch")
    __gsttemplates__ = (
        base.caps_template("sink", Gst.PadDirection.SINK, _SINK_CAPS),
        base.caps_template(
            "src", Gst.PadDirection.SRC, "video/x-raw(memory:NVMM), format=(string)NV12"
        ),
    )
    PROPERTIES = (
        base.uint("drop-frame-interval", high=30),
        base.enum("skip-frames", enums.DECODER_SKIP_FRAMES),
        base.uint("gpu-id", effect=False),
        base.enum("cudadec-memtype", enums.DECODER_MEMORY, effect=False),
        base.uint("num-extra-surfaces", effect=False),
        base.boolean("enable-max-performance", effect=False),
        base.boolean("low-latency-mode", effect=False),
        base.boolean("disable-dpb", effect=False),
        base.boolean("enable-full-frame", effect=False),
        base.boolean("enable-frame-type-reporting", effect=False),
        base.boolean("enable-error-check", effect=False),
        base.boolean("mjpeg", effect=False),
        base.boolean("bufapi-version", effect=False),
        base.uint("capture-io-mode", effect=False),
        base.uint("output-io-mode", effect=False),
        base.uint("capture-buffer-dynamic-allocation", effect=False),
        base.boolean("extract-sei-type5-data", effect=False),
        base.string("sei-uuid", effect=False),
        base.string("device", "/dev/nvhost-nvdec", effect=False),
    )
    __gproperties__ = base.gproperties(PROPERTIES)

    def __init__(self) -> None:
        super().__init__()
        self.start_settings()
        self.decoder: Gst.Element | None = None
        self.entry = Gst.ElementFactory.make("identity", None)
        self.entry.set_property("silent", True)
        self.convert = Gst.ElementFactory.make("videoconvert", None)
        sized = Gst.ElementFactory.make("capsfilter", None)
        sized.set_property("caps", Gst.Caps.from_string("video/x-raw, format=NV12"))
        tag = ToNvmm()
        for item in (self.entry, self.convert, sized, tag):
            self.add(item)
        self.convert.link(sized)
        sized.link(tag)
        this = weakref.ref(self)
        self.entry.get_static_pad("src").add_probe(
            Gst.PadProbeType.EVENT_DOWNSTREAM, _on_entry_event, this
        )
        for name, pad in (
            ("sink", self.entry.get_static_pad("sink")),
            ("src", tag.get_static_pad("src")),
        ):
            self.add_pad(Gst.GhostPad.new_from_template(name, pad, self.get_pad_template(name)))
        base.cure_floating(self)

    @base.guarded(None)
    def use_caps(self, caps: Gst.Caps) -> None:
        """Put the decoder for these caps between the entry and the converter."""
        name = DECODERS[structure_of(caps, 0).get_name()]
        if self.decoder is not None:
            if self.decoder.get_factory().get_name() == name:
                return
            self.decoder.set_state(Gst.State.NULL)
            self.remove(self.decoder)
        decoder = Gst.ElementFactory.make(name, None)
        if decoder is None:
            raise ValueError(
                f"no {name}, want it installed; install gstreamer1.0-libav and -plugins-good"
            )
        if self.settings["skip-frames"]:
            skip = SkipFrames(caps, keys_only=self.settings["skip-frames"] == _KEYS_ONLY)
            decoder.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, skip)
        self.add(decoder)
        self.entry.link(decoder)
        decoder.link(self.convert)
        if self.settings["drop-frame-interval"] > 1:
            keep_every = KeepEvery(self.settings["drop-frame-interval"])
            decoder.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, keep_every)
        self.decoder = decoder
        decoder.sync_state_with_parent()


class KeepEvery:
    """Buffer probe that passes the first of every `interval` frames."""

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.seen = 0

    def __call__(self, _pad: Any, _info: Any) -> Gst.PadProbeReturn:
        """Pass or drop one frame."""
        first = self.seen % self.interval == 0
        self.seen += 1
        return Gst.PadProbeReturn.OK if first else Gst.PadProbeReturn.DROP


def _on_entry_event(_pad: Any, info: Any, decoder: Any) -> Gst.PadProbeReturn:
    """Build before the caps pass; the element is weak, or its own pad would keep it alive."""
    event = info.get_event()
    this = decoder()
    if event.type == Gst.EventType.CAPS and this is not None:
        this.use_caps(event.parse_caps())
    return Gst.PadProbeReturn.OK
