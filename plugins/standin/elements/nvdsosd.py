"""nvdsosd: paints boxes, texts and display metas onto the first frame of a batch."""

import logging
import time
from functools import cache

from plugins.standin import element as base
from plugins.standin import enums
from plugins.standin.gst import Gst, structure_of
from plugins.standin.metadata import NvDsBatchMeta, NvDsDisplayMeta, NvDsObjectMeta
from plugins.standin.osd_params import NvOSD_RectParams, NvOSD_TextParams
from plugins.standin.painting import (
    Picture,
    blur_box,
    paint_arrow,
    paint_circle,
    paint_line,
    paint_mask,
    paint_rect,
    paint_text,
)
from plugins.standin.pixels import rgba_to_nv12
from plugins.standin.surface import Surface

log = logging.getLogger("ropewatch.standin")

_CPU_MODE = 0
_BLUR_MASK = 2
_RED = 0xFF0000FF
_MAX_BORDER_PX = 32
_RGBA = "video/x-raw(memory:NVMM), format=(string)RGBA"


class NvDsOsd(base.BatchTransform):
    """As NVIDIA's, it paints the boxes of all frames onto one: use it behind the tiler."""

    __gtype_name__ = "GstNvDsOsd"
    __gstmetadata__ = ("On-screen display", "Generic", "Paints metadata", "ropewatch")
    __gsttemplates__ = base.in_place_templates(
        "video/x-raw(memory:NVMM), format=(string){ NV12, RGBA }"
    )
    PROPERTIES = (
        base.enum("process-mode", enums.OSD_MODE, 1),
        base.boolean("display-text", True),
        base.boolean("display-bbox", True),
        base.boolean("display-clock"),
        base.uint("clock-font-size", 12, high=60),
        base.uint("x-clock-offset"),
        base.uint("y-clock-offset"),
        base.uint("clock-color", _RED),
        base.string("clock-font", "Serif", effect=False),
        # What 9.1 starts with, although it declares True.
        base.boolean("display-mask", False),
        base.uint("blur-bbox", high=2),
        base.string("blur-on-gie-class-ids"),
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

    def on_plain(self) -> None:
        """Let a frame pass that no muxer has batched, as on the device."""
        if self.settings["display-clock"]:
            _warn_no_clock()

    def on_batch(self, batch: NvDsBatchMeta, buffer: Gst.Buffer) -> None:  # noqa: ARG002  the base's signature
        """Paint; an NV12 frame goes through RGBA and back."""
        blurs = self._blurs()
        objects = [item for frame in batch.frames for item in frame.objects]
        displays = [item for frame in batch.frames for item in frame.displays]
        if not batch.surfaces or not (objects or displays or self.settings["display-clock"]):
            return
        surface = batch.surfaces[0]
        picture = surface.rgba()
        for item in objects:
            self._blur(picture, item, blurs)
        self._paint(picture, objects, displays)
        if not surface.is_rgba:
            batch.surfaces[0] = Surface.from_nv12(rgba_to_nv12(picture))

    def _blurs(self) -> frozenset[tuple[int, int]] | None:
        """Return networks and classes to blur; an empty set is everything, None is nothing.

        Raises:
            ValueError: the mode cannot blur, or the device would read past the setting's end.
        """
        if not self.settings["blur-bbox"]:
            return None
        if self.settings["process-mode"] == _CPU_MODE:
            raise ValueError("blur-bbox: process-mode 0 cannot blur, want process-mode=1; set it")
        return parse_gie_classes(self.settings["blur-on-gie-class-ids"])

    def _blur(
        self, picture: Picture, item: NvDsObjectMeta, blurs: frozenset[tuple[int, int]] | None
    ) -> None:
        if blurs is None or (blurs and (item.unique_component_id, item.class_id) not in blurs):
            return
        # As in 9.1 the mask counts only where classes are named; otherwise the whole box goes.
        by_mask = blurs and self.settings["blur-bbox"] == _BLUR_MASK
        blur_box(picture, item.rect_params, item.mask_params if by_mask else None)

    def _paint(
        self, picture: Picture, objects: list[NvDsObjectMeta], displays: list[NvDsDisplayMeta]
    ) -> None:
        """Paint kind by kind, so that a text is above all boxes and below all lines."""
        if self.settings["display-bbox"]:
            for item in objects:
                self._paint_rect(picture, item.rect_params)
            for display in displays:
                for rect in display.rect_params[: display.num_rects]:
                    self._paint_rect(picture, rect)
        if self.settings["display-mask"]:
            smooth = self.settings["process-mode"] != _CPU_MODE
            for item in objects:
                paint_mask(picture, item.rect_params, item.mask_params, smooth=smooth)
        if self.settings["display-text"]:
            for item in objects:
                paint_text(picture, item.text_params)
            for display in displays:
                for text in display.text_params[: display.num_labels]:
                    paint_text(picture, text)
            if self.settings["display-clock"]:
                paint_text(picture, self._clock())
        for display in displays:
            for line in display.line_params[: display.num_lines]:
                paint_line(picture, line)
        for display in displays:
            for arrow in display.arrow_params[: display.num_arrows]:
                paint_arrow(picture, arrow)
        for display in displays:
            for circle in display.circle_params[: display.num_circles]:
                paint_circle(picture, circle)

    def _paint_rect(self, picture: Picture, rect: NvOSD_RectParams) -> None:
        if rect.border_width > _MAX_BORDER_PX:
            raise ValueError(
                f"border_width: {rect.border_width}, want at most {_MAX_BORDER_PX}; thin it"
            )
        if self.settings["process-mode"] != _CPU_MODE and rect.border_color.alpha * 255 < 1:
            if rect.has_bg_color:
                _warn_unpainted()
            return
        paint_rect(picture, rect)

    def _clock(self) -> NvOSD_TextParams:
        """Make the text of the time of day; clock-color is 0xRRGGBBAA."""
        text = NvOSD_TextParams()
        now = time.localtime()
        # The two libraries behind the modes write it differently.
        text.display_text = (
            f"{now.tm_year}-{now.tm_mon}-{now.tm_mday}  {time.strftime('%H:%M:%S', now)}"
            if self.settings["process-mode"] == _CPU_MODE
            else time.strftime("%Y-%m-%d %H:%M:%S", now)
        )
        text.x_offset = self.settings["x-clock-offset"]
        text.y_offset = self.settings["y-clock-offset"]
        text.font_params.font_size = self.settings["clock-font-size"]
        packed = self.settings["clock-color"]
        text.font_params.font_color.set(
            *((packed >> shift & 0xFF) / 255 for shift in (24, 16, 8, 0))
        )
        return text


def parse_gie_classes(text: str | None) -> frozenset[tuple[int, int]]:
    """Read "GIE,CLASS;GIE,CLASS"; empty is all objects, also where no number stands, as in 9.1.

    Raises:
        ValueError: a network without a class; the device reads past the end of its array.
    """
    if not text:
        return frozenset()
    pairs = [pair.split(",", 1) for pair in text.split(";")]
    try:
        numbers = [tuple(int(part) for part in pair) for pair in pairs]
    except ValueError:
        _warn_blurs_all(text)
        return frozenset()
    if any(len(pair) != 2 for pair in numbers):
        raise ValueError(
            f"blur-on-gie-class-ids: {text!r}, want GIE,CLASS;GIE,CLASS; name the class as well"
        )
    return frozenset((pair[0], pair[1]) for pair in numbers)


@cache
def _warn_blurs_all(text: str) -> None:
    log.warning(
        "blur-on-gie-class-ids=%r, want GIE,CLASS;GIE,CLASS, all objects are blurred", text
    )


@cache
def _warn_no_clock() -> None:
    log.warning("nvdsosd paints the clock on frames of nvstreammux alone; put it before nvdsosd")


@cache
def _warn_unpainted() -> None:
    log.warning(
        "nvdsosd in process-mode 1 paints no background under a border of alpha 0; "
        "give border_color an alpha, with border_width 0 if no border is wanted"
    )
