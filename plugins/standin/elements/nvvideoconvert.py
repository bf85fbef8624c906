"""nvvideoconvert: formats, sizes and memories, of single frames and of batches."""

from dataclasses import replace
from typing import Any

from plugins.standin import buffer_meta, enums
from plugins.standin import element as base
from plugins.standin.gst import Gst, GstBase, GstVideo, structure_of
from plugins.standin.metadata import NvDsBatchMeta
from plugins.standin.pixels import Converter, Crops, rgba_to_nv12, system_buffer, video_info
from plugins.standin.surface import Surface
from plugins.standin.turning import swaps_sides, turned, turned_info, turned_rectangle

_FORMATS = (
    "{ NV12, RGBA, RGBx, BGRx, BGRA, RGB, BGR, I420, YV12, YUY2, UYVY, GRAY8, Y444, P010_10LE }"
)
_CAPS = (
    f"video/x-raw(memory:NVMM), format=(string){_FORMATS}; video/x-raw, format=(string){_FORMATS}"
)
_FREE_FIELDS = ("format", "width", "height", "colorimetry", "chroma-site", "pixel-aspect-ratio")
# What the next frame goes by when it is set while frames flow.
_LIVE = ("src-crop", "dest-crop", "disable-passthrough", "flip-method", "interpolation-method")


class NvVideoConvert(base.Settings, GstBase.BaseTransform):
    """Passes equal caps untouched; else makes a new buffer with a deep copy of the metadata."""

    __gtype_name__ = "GstNvVideoConvert"
    __gstmetadata__ = ("Video converter", "Filter/Converter/Video", "Converts", "ropewatch")
    __gsttemplates__ = base.in_place_templates(_CAPS)
    PROPERTIES = (
        base.string("src-crop"),
        base.string("dest-crop"),
        base.boolean("disable-passthrough"),
        base.enum("flip-method", enums.FLIP),
        base.enum("interpolation-method", enums.INTERPOLATION, 6),
        base.enum("compute-hw", enums.COMPUTE_HW, effect=False),
        base.enum("copy-hw", enums.COMPUTE_HW, effect=False),
        base.enum("nvbuf-memory-type", enums.MEMORY_TYPE, effect=False),
        base.uint("output-buffers", 4, effect=False),
        base.uint("gpu-id", effect=False),
        base.boolean("bl-output", True, effect=False),
    )
    __gproperties__ = base.gproperties(PROPERTIES)

    def __init__(self) -> None:
        super().__init__()
        self.start_settings()
        self.set_qos_enabled(False)
        self.ends: tuple[GstVideo.VideoInfo, GstVideo.VideoInfo] | None = None
        self.infos: tuple[GstVideo.VideoInfo, GstVideo.VideoInfo] | None = None
        self.same_memory = True
        self.stale = False
        self.to_nvmm = False
        self.flip = 0
        self.crops = Crops()
        self.converter: Converter | None = None
        base.cure_floating(self)

    def changed(self, name: str, _value: Any) -> None:
        """Ask for new caps, which a quarter turn needs, and look at the settings again."""
        if name in _LIVE and self.ends is not None:
            self.stale = True
            self.reconfigure_src()

    # Negotiation

    @base.guarded(None)
    def do_transform_caps(self, _direction: Any, caps: Gst.Caps, wanted: Any) -> Gst.Caps:
        """Offer the same caps first, then every format and size in either memory."""
        result = Gst.Caps.new_empty()
        features = [caps.get_features(index).copy() for index in range(caps.get_size())]
        for index, feature in enumerate(features):
            result.append_structure_full(self._turned(structure_of(caps, index)), feature)
        for memory in ("memory:NVMM", "memory:SystemMemory"):
            for index in range(caps.get_size()):
                structure = structure_of(caps, index)
                for field in _FREE_FIELDS:
                    structure.remove_field(field)
                result.append_structure_full(structure, Gst.CapsFeatures.from_string(memory))
        return result.intersect_full(wanted, Gst.CapsIntersectMode.FIRST) if wanted else result

    @base.guarded(None)
    def do_fixate_caps(self, _direction: Any, caps: Gst.Caps, others: Gst.Caps) -> Gst.Caps:
        """Keep the size and the format where the other side leaves them open."""
        known = self._turned(structure_of(caps, 0))
        chosen = _same_size(known, others)
        features = others.get_features(chosen).copy()
        fixed = structure_of(others, chosen)
        for name in ("width", "height"):
            found, size = known.get_int(name)
            if found and not fixed.has_field(name):
                fixed.set_value(name, size)
            elif found:
                fixed.fixate_field_nearest_int(name, size)
        text = known.get_string("format")
        if text and not fixed.has_field("format"):
            fixed.set_value("format", text)
        elif text:
            fixed.fixate_field_string("format", text)
        result = Gst.Caps.new_empty()
        result.append_structure_full(fixed, features)
        return result.fixate()

    def _turned(self, structure: Gst.Structure) -> Gst.Structure:
        """Swap the sides of a caps structure if the flip does; what is no number is left open."""
        if swaps_sides(self.settings["flip-method"]):
            sides = [structure.get_int(name) for name in ("height", "width")]
            for name, (known, side) in zip(("width", "height"), sides, strict=True):
                structure.remove_field(name)
                if known:
                    structure.set_value(name, side)
        return structure

    @base.guarded(False)
    def do_set_caps(self, in_caps: Gst.Caps, out_caps: Gst.Caps) -> bool:
        """Take the layouts of both sides."""
        self.ends = (video_info(in_caps), video_info(out_caps))
        self.to_nvmm = out_caps.get_features(0).contains(base.NVMM)
        self.same_memory = in_caps.get_features(0).contains(base.NVMM) == self.to_nvmm
        self._configure()
        return True

    def _configure(self) -> None:
        """Choose between passing and converting."""
        assert self.ends is not None
        self.stale = False
        self.infos = self.ends
        self.crops = Crops(
            source=parse_crop("src-crop", self.settings["src-crop"]),
            target=parse_crop("dest-crop", self.settings["dest-crop"]),
        )
        self.converter = None
        self.flip = self.settings["flip-method"]
        keep = self._same_layout() and self.crops == Crops() and not self.flip
        self.set_passthrough(keep and not self.settings["disable-passthrough"])
        if self.flip:
            self._turn()

    def _same_layout(self) -> bool:
        layouts = [(info.finfo.format, info.width, info.height) for info in self.ends or ()]
        return self.same_memory and layouts[0] == layouts[1]

    def _turn(self) -> None:
        """Go on as if the source were the turned frame; its crop is where it was on the frame."""
        assert self.infos is not None
        source, target = self.infos
        self.infos = (turned_info(source, self.flip), target)
        if self.crops.source is not None:
            wh = (source.width, source.height)
            rectangle = turned_rectangle(self.crops.source, wh, self.flip)
            self.crops = replace(self.crops, source=rectangle)

    # Frames

    def do_prepare_output_buffer(self, buffer: Gst.Buffer) -> Any:
        """Convert here, where the output is made; do_transform has nothing left to do."""
        if self.stale and not self._configured_again():
            return Gst.FlowReturn.ERROR, None
        if self.is_passthrough():
            # In pass-through C wants its own reference back. To return `buffer` itself would add
            # one that nobody drops; what the parent gives has been counted the same wrong way.
            return GstBase.BaseTransform.do_prepare_output_buffer(self, buffer)
        return self._output(buffer)

    @base.guarded(False)
    def _configured_again(self) -> bool:
        """Go by settings that changed and left the caps as they were."""
        self._configure()
        return True

    @base.guarded((Gst.FlowReturn.ERROR, None))
    def _output(self, buffer: Gst.Buffer) -> tuple[Gst.FlowReturn, Any]:
        batch = buffer_meta.get(buffer)
        if batch is None or not batch.surfaces:
            result = self._convert(self._upright(buffer))
        elif self.to_nvmm:
            result = Gst.Buffer.new_allocate(None, 64, None)
        else:
            result = self._convert(self._frame_of(self._upright_surface(batch.surfaces[0])))
        duration = buffer.duration
        base.set_times(hash(result), pts_ns=buffer.pts, duration_ns=duration)
        if batch is not None:
            buffer_meta.attach(result, self._batch(batch))
        return Gst.FlowReturn.OK, result

    def do_transform(self, _in_buffer: Any, _out_buffer: Any) -> Gst.FlowReturn:
        """Do nothing more."""
        return Gst.FlowReturn.OK

    def _batch(self, batch: NvDsBatchMeta) -> NvDsBatchMeta:
        copied = batch.copy()
        if self.to_nvmm:
            copied.surfaces = [self._surface(surface) for surface in batch.surfaces]
        else:
            # The pixels are in the buffer now; nobody reads surfaces of system memory.
            copied.surfaces = []
        return copied

    def _surface(self, surface: Surface) -> Surface:
        """Convert one frame of a batch; frames of one batch may differ in size (new muxer)."""
        assert self.infos is not None
        source, target = self.infos
        surface = self._upright_surface(surface)
        name = target.finfo.name
        scaled = (source.width, source.height) != (target.width, target.height)
        if not scaled and self.crops == Crops():
            if surface.format == "NV12" and name == "RGBA":
                return Surface.from_rgba(surface.rgba())
            even = surface.width % 2 == 0 and surface.height % 2 == 0
            if surface.is_rgba and name == "NV12" and even:
                return Surface.from_nv12(rgba_to_nv12(surface.rgba()))
            if surface.format == name and name != "RGBA":
                return surface
        buffer = self._convert(self._frame_of(surface))
        return Surface(target.width, target.height, name, buffer=buffer, info=target)

    def _upright(self, buffer: Gst.Buffer) -> Gst.Buffer:
        """Turn a plain frame."""
        if not self.flip:
            return buffer
        assert self.ends is not None
        return turned(buffer, self.ends[0], self.flip)

    def _upright_surface(self, surface: Surface) -> Surface:
        if not self.flip:
            return surface
        info = GstVideo.VideoInfo()
        info.set_format(
            GstVideo.VideoFormat.from_string(surface.format), surface.width, surface.height
        )
        buffer, after = system_buffer(surface, info), turned_info(info, self.flip)
        return Surface(
            after.width,
            after.height,
            surface.format,
            buffer=turned(buffer, info, self.flip),
            info=after,
        )

    def _frame_of(self, surface: Surface) -> Gst.Buffer:
        assert self.infos is not None
        return system_buffer(surface, self.infos[0])

    def _convert(self, buffer: Gst.Buffer) -> Gst.Buffer:
        """Convert one frame; the same layout is shared, not copied."""
        assert self.infos is not None
        source, target = self.infos
        same = (source.finfo.format, source.width, source.height) == (
            target.finfo.format,
            target.width,
            target.height,
        )
        if same and self.crops == Crops():
            flags = Gst.BufferCopyFlags.FLAGS | Gst.BufferCopyFlags.MEMORY
            flags |= Gst.BufferCopyFlags.META
            return buffer.copy_region(flags, 0, buffer.get_size())
        if self.converter is None:
            self.converter = Converter(
                source,
                target,
                self.crops,
                interpolation=self.settings["interpolation-method"],
            )
        return self.converter.convert(buffer)


def _same_size(known: Gst.Structure, others: Gst.Caps) -> int:
    """Find the first alternative that leaves the size as it is, else the very first.

    A tiler names its picture's size first, because GStreamer prefers that it passes frames on.
    """
    size = Gst.Structure.new_empty("size")
    for name in ("width", "height"):
        found, value = known.get_int(name)
        if found:
            size.set_value(name, value)
    for index in range(others.get_size()):
        other = structure_of(others, index)
        other.set_name("size")
        if other.can_intersect(size):
            return index
    return 0


def parse_crop(name: str, text: str | None) -> tuple[int, int, int, int] | None:
    """Read "left:top:width:height"; nothing, or all zeros, is the whole frame."""
    if not text:
        return None
    parts = text.split(":")
    if len(parts) != 4 or not all(part.strip().isdigit() for part in parts):
        raise ValueError(f"{name}: {text!r}, want left:top:width:height in pixels")
    left, top, width, height = (int(part) for part in parts)
    return (left, top, width, height) if width and height else None
