"""nvdsosd: paints boxes, texts and display metas onto the first frame of a batch."""

import time

from plugins.standin import element as base
from plugins.standin.gst import Gst, structure_of
from plugins.standin.metadata import NvDsBatchMeta, NvDsFrameMeta
from plugins.standin.osd_params import NvOSD_TextParams
from plugins.standin.painting import Picture, paint_display, paint_rect, paint_text
from plugins.standin.pixels import rgba_to_nv12
from plugins.standin.surface import Surface

_CPU_MODE = 0
_RGBA = "video/x-raw(memory:NVMM), format=(string)RGBA"


class NvDsOsd(base.BatchTransform):
    """As NVIDIA's, it paints the boxes of all frames onto one: use it behind the tiler."""

    __gtype_name__ = "GstNvDsOsd"
    __gstmetadata__ = ("On-screen display", "Generic", "Paints metadata", "ropewatch")
    __gsttemplates__ = base.in_place_templates(
        "video/x-raw(memory:NVMM), format=(string){ NV12, RGBA }"
    )
    PROPERTIES = (
        base.uint("process-mode", 1, high=2),
        base.boolean("display-text", True),
        base.boolean("display-bbox", True),
        base.boolean("display-clock"),
        base.uint("clock-font-size", 12),
        base.uint("x-clock-offset"),
        base.uint("y-clock-offset"),
        base.uint("clock-color"),
        base.string("clock-font", effect=False),
        base.boolean("display-mask", True, effect=False),
        base.uint("blur-bbox", effect=False),
        base.string("blur-on-gie-class-ids", effect=False),
        base.uint("gpu-id", effect=False),
    )
    __gproperties__ = base.gproperties(PROPERTIES)

    @base.guarded(None)
    def do_transform_caps(
        self, direction: Gst.PadDirection, caps: Gst.Caps, wanted: Gst.Caps | None
    ) -> Gst.Caps:
        """Ask upstream for RGBA when the CPU paints, so that nvvideoconvert gives it."""
        if direction == Gst.PadDirection.SRC and self.settings["process-mode"] == _CPU_MODE:
            caps = caps.intersect(Gst.Caps.from_string(_RGBA))
        return caps if wanted is None else wanted.intersect(caps)

    @base.guarded(False)
    def do_accept_caps(self, direction: Gst.PadDirection, caps: Gst.Caps) -> bool:
        """Take what the template has: do_set_caps explains a refusal, GStreamer does not."""
        name = "sink" if direction == Gst.PadDirection.SINK else "src"
        return bool(caps.is_subset(self.get_pad_template(name).get_caps()))

    @base.guarded(False)
    def do_set_caps(self, in_caps: Gst.Caps, _out_caps: Gst.Caps) -> bool:
        """Refuse frames that this mode does not paint on."""
        name = structure_of(in_caps, 0).get_string("format")
        if name != "RGBA" and self.settings["process-mode"] == _CPU_MODE:
            raise ValueError(
                f"process-mode 0 paints on RGBA, the frames are {name}; put nvvideoconvert "
                f"before nvdsosd, or set process-mode=1"
            )
        return True

    def on_batch(self, batch: NvDsBatchMeta, buffer: Gst.Buffer) -> None:  # noqa: ARG002  the base's signature
        """Paint; an NV12 frame goes through RGBA and back."""
        if not batch.surfaces or not self._has_work(batch):
            return
        surface = batch.surfaces[0]
        picture = surface.rgba()
        for frame in batch.frames:
            self._paint(picture, frame)
        if self.settings["display-clock"]:
            paint_text(picture, self._clock())
        if not surface.is_rgba:
            batch.surfaces[0] = Surface.from_nv12(rgba_to_nv12(picture))

    def _has_work(self, batch: NvDsBatchMeta) -> bool:
        shapes = any(frame.objects or frame.displays for frame in batch.frames)
        return bool(shapes or self.settings["display-clock"])

    def _paint(self, picture: Picture, frame: NvDsFrameMeta) -> None:
        boxes, texts = self.settings["display-bbox"], self.settings["display-text"]
        for item in frame.objects:
            if boxes:
                paint_rect(picture, item.rect_params)
        for item in frame.objects:
            if texts:
                paint_text(picture, item.text_params)
        for display in frame.displays:
            paint_display(picture, display, text=texts)

    def _clock(self) -> NvOSD_TextParams:
        """Make the text of the time of day; clock-color is 0xRRGGBBAA."""
        text = NvOSD_TextParams()
        text.display_text = time.strftime("%a %b %d %H:%M:%S %Y")
        text.x_offset = self.settings["x-clock-offset"]
        text.y_offset = self.settings["y-clock-offset"]
        text.font_params.font_size = self.settings["clock-font-size"]
        packed = self.settings["clock-color"] or 0xFFFFFFFF
        text.font_params.font_color.set(
            *((packed >> shift & 0xFF) / 255 for shift in (24, 16, 8, 0))
        )
        return text
