"""nvmultistreamtiler: the frames of a batch side by side in one picture.

It follows NVIDIA's source of it (gstnvmultistreamtiler.cpp, NvTiler.cpp).
"""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from plugins.standin import buffer_meta, enums, events
from plugins.standin import element as base
from plugins.standin.gst import Gst, GstBase, structure_of
from plugins.standin.metadata import NvDsBatchMeta
from plugins.standin.surface import Surface
from plugins.standin.tiling import MAX_TILES, Canvas, Tile, grid_for, move_frame, tile_of

_CAPS = "video/x-raw(memory:NVMM), format=(string){ NV12, RGBA }"
_BLACK_Y, _GREY_UV = 16, 128
_GPU = 1
_MOST_SCALE = 16
_LAYOUT = ("rows", "columns", "show-source", "square-seq-grid")
# By interpolation-method, what NVIDIA's graphics cards do.
_INTERPOLATIONS = (
    cv2.INTER_NEAREST,
    cv2.INTER_LINEAR,
    cv2.INTER_CUBIC,
    cv2.INTER_AREA,
    cv2.INTER_LANCZOS4,
    cv2.INTER_LANCZOS4,
    cv2.INTER_NEAREST,
)


class NvMultiStreamTiler(base.Settings, GstBase.BaseTransform):
    """A source that gives nothing keeps its last tile and boxes; one that ended is black.

    Behind it a batch has one frame, of no source, with the objects of all.
    """

    __gtype_name__ = "GstNvMultiStreamTiler"
    __gstmetadata__ = ("Tiler", "Filter/Video", "Puts many frames into one", "ropewatch")
    __gsttemplates__ = base.in_place_templates(_CAPS)
    PROPERTIES = (
        base.uint("rows", 1, high=1024),
        base.uint("columns", 1, high=1024),
        base.uint("width", 1920, high=16384),
        base.uint("height", 1080, high=16384),
        base.integer("show-source", -1, low=-1),
        base.string("custom-tile-config", effect=False),
        base.boolean("square-seq-grid"),
        base.enum("interpolation-method", enums.INTERPOLATION, 6),
        base.enum("compute-hw", enums.COMPUTE_HW),
        base.enum("nvbuf-memory-type", enums.MEMORY_TYPE, effect=False),
        base.uint("buffer-pool-size", 4, effect=False),
        base.uint("gpu-id", effect=False),
    )
    __gproperties__ = base.gproperties(PROPERTIES)

    def __init__(self) -> None:
        super().__init__()
        self.start_settings()
        self.set_qos_enabled(False)
        self.format = "NV12"
        self.canvas: npt.NDArray[np.uint8] | None = None
        self.picture_wh = (0, 0)
        self.sources: set[int] = set()
        self.grown: tuple[int, int] | None = None
        self.shown = Canvas()
        self.stale = False
        base.cure_floating(self)

    def changed(self, name: str, _value: Any) -> None:
        """Begin a new picture with the next batch when the tiles move, or of another size."""
        self.stale = self.stale or name in _LAYOUT
        if name in ("rows", "columns"):
            self.grown = None
        elif name == "show-source":
            self.shown.clear()
        elif name in ("width", "height") and self.canvas is not None:
            self.reconfigure_src()

    def _wanted_wh(self) -> tuple[int, int]:
        """Return the size that is set, pixels, rounded up to multiples of 4 as by NVIDIA's."""
        return (self.settings["width"] + 3) // 4 * 4, (self.settings["height"] + 3) // 4 * 4

    @base.guarded(None)
    def do_transform_caps(self, direction: Any, caps: Gst.Caps, wanted: Any) -> Gst.Caps:
        """Give the source side the picture's size; the sink side takes every size."""
        result = Gst.Caps.new_empty()
        for index in range(caps.get_size()):
            structure = structure_of(caps, index)
            for name in ("width", "height"):
                structure.remove_field(name)
            if direction == Gst.PadDirection.SINK:
                for name, side in zip(("width", "height"), self._wanted_wh(), strict=True):
                    structure.set_value(name, side)
            if structure.has_field("batch-size"):
                structure.remove_field("batch-size")
                if direction == Gst.PadDirection.SINK:
                    structure.set_value("batch-size", 1)
            result.append_structure_full(structure, Gst.CapsFeatures.from_string(base.NVMM))
        return result.intersect(wanted) if wanted is not None else result

    @base.guarded(False)
    def do_set_caps(self, in_caps: Gst.Caps, out_caps: Gst.Caps) -> bool:
        """Start with a black picture."""
        self.set_passthrough(False)
        self.format = structure_of(in_caps, 0).get_string("format")
        sides = structure_of(out_caps, 0)
        self.picture_wh = sides.get_int("width").value, sides.get_int("height").value
        self.canvas = self._black()
        return True

    def _black(self) -> npt.NDArray[np.uint8]:
        width, height = self.picture_wh
        if self.format == "RGBA":
            canvas = np.zeros((height, width, 4), np.uint8)
            canvas[..., 3] = 255
        else:
            canvas = np.full((height * 3 // 2, width), _GREY_UV, np.uint8)
            canvas[:height] = _BLACK_Y
        return canvas

    @base.guarded((Gst.FlowReturn.ERROR, None))
    def do_prepare_output_buffer(self, buffer: Gst.Buffer) -> tuple[Gst.FlowReturn, Any]:
        """Make the picture; the metadata is a deep copy in the picture's pixels."""
        batch = buffer_meta.get(buffer)
        if batch is None:
            raise ValueError("the buffer has no batch metadata, want nvstreammux upstream")
        result = Gst.Buffer.new_allocate(None, 64, None)
        base.set_times(hash(result), pts_ns=buffer.pts, duration_ns=buffer.duration)
        buffer_meta.attach(result, self._tiled(batch))
        return Gst.FlowReturn.OK, result

    def do_transform(self, _in_buffer: Any, _out_buffer: Any) -> Gst.FlowReturn:
        """Do nothing more."""
        return Gst.FlowReturn.OK

    @base.guarded(False)
    def do_sink_event(self, event: Gst.Event) -> bool:
        """Make room for a source that was added; blacken the picture when one ends or goes."""
        parsed = events.parse(event)
        if parsed is not None and parsed[0] == events.PAD_ADDED:
            self._make_room(parsed[1])
        elif parsed is not None and parsed[0] in (events.STREAM_EOS, events.PAD_DELETED):
            self.sources.discard(parsed[1])
            self.shown.forget(parsed[1])
            self.stale = True
        return bool(GstBase.BaseTransform.do_sink_event(self, event))

    def _make_room(self, index: int) -> None:
        self.stale = self.stale or (self.settings["square-seq-grid"] and index not in self.sources)
        self.sources.add(index)
        rows, columns = self.grown or (self.settings["rows"], self.settings["columns"])
        if not self.settings["square-seq-grid"] and rows * columns <= index < MAX_TILES:
            self.grown, self.stale = grid_for(index), True

    def _tiled(self, batch: NvDsBatchMeta) -> NvDsBatchMeta:
        if self.canvas is None or self.stale:
            self.stale = False
            self.canvas = self._black()
        moved, kept = batch.copy(), []
        for frame in moved.frames:
            surface = batch.surfaces[frame.batch_id]
            tile = self._tile(frame.pad_index, (surface.width, surface.height))
            if tile is not None:
                self._place(surface, tile)
                move_frame(frame, tile)
                kept.append(frame)
        self.shown.take(kept)
        tiled = NvDsBatchMeta(1)
        tiled.user_metas = moved.user_metas
        tiled.frames = [self.shown.merged(tiled)]
        picture = self.canvas.copy()
        tiled.surfaces = [
            Surface.from_rgba(picture) if self.format == "RGBA" else Surface.from_nv12(picture)
        ]
        return tiled

    def _tile(self, index: int, frame_wh: tuple[int, int]) -> Tile | None:
        only = self.settings["show-source"]
        if only >= 0:
            width, height = self.picture_wh
            return Tile(0, 0, width, height, frame_wh) if index == only else None
        rows, columns = self.grown or (self.settings["rows"], self.settings["columns"])
        if self.settings["square-seq-grid"]:
            if index not in self.sources:
                return None
            index = sorted(self.sources).index(index)
            rows = columns = math.isqrt(len(self.sources) - 1) + 1
        return tile_of(
            index,
            rows=rows,
            columns=columns,
            picture_wh=self.picture_wh,
            frame_wh=frame_wh,
        )

    def _planes(self, tile: Tile) -> list[npt.NDArray[np.uint8]]:
        """View the tile's part of the picture: one RGBA plane, or luma and chroma."""
        assert self.canvas is not None
        bottom, right = tile.top + tile.height, tile.left + tile.width
        if self.format == "RGBA":
            return [self.canvas[tile.top : bottom, tile.left : right]]
        height = self.picture_wh[1]
        chroma = self.canvas[height:].reshape(height // 2, -1, 2)
        return [
            self.canvas[tile.top : bottom, tile.left : right],
            chroma[tile.top // 2 : bottom // 2, tile.left // 2 : right // 2],
        ]

    def _place(self, surface: Surface, tile: Tile) -> None:
        method = _INTERPOLATIONS[self.settings["interpolation-method"]]
        pixels = [surface.rgba()] if self.format == "RGBA" else list(surface.nv12())
        self._check_scale(tile)
        for source, target in zip(pixels, self._planes(tile), strict=True):
            size = target.shape[1], target.shape[0]
            target[:] = cv2.resize(source, size, interpolation=method)

    def _check_scale(self, tile: Tile) -> None:
        """Refuse what a Jetson's VIC cannot scale; compute-hw=1 has no such limit."""
        if self.settings["compute-hw"] == _GPU or tile.is_within(_MOST_SCALE):
            return
        raise ValueError(
            f"frames of {tile.frame_wh[0]}x{tile.frame_wh[1]} go into tiles of {tile.width}x"
            f"{tile.height}, want at most {_MOST_SCALE} times larger or smaller each way; make "
            f"the picture larger, or set compute-hw=1"
        )
