"""Windows: nveglglessink and nv3dsink show frames where there is a display, else take them."""

import os
from typing import Any

from plugins.standin import element as base
from plugins.standin.elements.nvvideoconvert import NvVideoConvert
from plugins.standin.gst import Gst, GstBase

_CAPS = "video/x-raw(memory:NVMM); video/x-raw"
_HANDED_ON = ("sync", "async", "qos", "max-lateness", "enable-last-sample")
_PROPERTIES = (
    base.boolean("sync", True),
    base.boolean("async", True),
    base.boolean("qos"),
    base.boolean("enable-last-sample", True),
    base.Property("max-lateness", int, -1, -1, 2**63 - 1, bits=64),
    base.uint("window-x", effect=False),
    base.uint("window-y", effect=False),
    base.uint("window-width", effect=False),
    base.uint("window-height", effect=False),
    base.uint("nvbuf-api-version", effect=False),
    base.boolean("create-window", True, effect=False),
    base.boolean("force-aspect-ratio", True, effect=False),
    base.uint("rows", 1, effect=False),
    base.uint("columns", 1, effect=False),
    base.integer("profile", effect=False),
    base.uint("plane-id", effect=False),
    base.boolean("winsys", effect=False),
    base.uint("gpu-id", effect=False),
)


class NvEglTransform(base.Settings, GstBase.BaseTransform):
    """nvegltransform: there are no EGL images here, so frames pass."""

    __gtype_name__ = "GstNvEglTransform"
    __gstmetadata__ = ("EGL transform", "Filter/Video", "Passes frames", "ropewatch")
    __gsttemplates__ = base.in_place_templates(_CAPS)

    def __init__(self) -> None:
        super().__init__()
        self.set_passthrough(True)
        base.cure_floating(self)


class _Window(base.Settings):
    """What both sinks share; a plain mix-in, see nvstreammux."""

    def build(self: Any) -> None:
        """Make the inside, by what the environment offers."""
        self.start_settings()
        display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        if display:
            items = [
                NvVideoConvert(),
                Gst.ElementFactory.make("videoconvert", None),
                Gst.ElementFactory.make("autovideosink", None),
            ]
        else:
            items = [Gst.ElementFactory.make("fakesink", None)]
        self.sink = items[-1]
        for item in items:
            self.add(item)
        for index in range(1, len(items)):
            items[index - 1].link(items[index])
        pad = items[0].get_static_pad("sink")
        self.add_pad(Gst.GhostPad.new_from_template("sink", pad, self.get_pad_template("sink")))
        for name in _HANDED_ON:
            self.changed(name, self.settings[name])
        base.cure_floating(self)

    def changed(self: Any, name: str, value: Any) -> None:
        """Hand on what the inner sink has, too."""
        if name in _HANDED_ON and self.sink.find_property(name):
            self.sink.set_property(name, value)


class NvEglGlesSink(_Window, Gst.Bin):
    """nveglglessink."""

    __gtype_name__ = "GstNvEglGlesSink"
    __gstmetadata__ = ("Window", "Sink/Video", "Shows frames", "ropewatch")
    __gsttemplates__ = base.caps_template("sink", Gst.PadDirection.SINK, _CAPS)
    PROPERTIES = _PROPERTIES
    __gproperties__ = base.gproperties(PROPERTIES)

    def __init__(self) -> None:
        super().__init__()
        self.build()


class Nv3dSink(_Window, Gst.Bin):
    """nv3dsink."""

    __gtype_name__ = "GstNv3dSink"
    __gstmetadata__ = ("Window", "Sink/Video", "Shows frames", "ropewatch")
    __gsttemplates__ = base.caps_template("sink", Gst.PadDirection.SINK, _CAPS)
    PROPERTIES = _PROPERTIES
    __gproperties__ = base.gproperties(PROPERTIES)

    def __init__(self) -> None:
        super().__init__()
        self.build()
