"""Where each source goes in the tiled picture: arithmetic on metadata, no pixels."""

import math
from dataclasses import dataclass

from plugins.standin.metadata import NvDsBatchMeta, NvDsDisplayMeta, NvDsFrameMeta
from plugins.standin.osd_params import NvOSD_RectParams, NvOSD_TextParams

MAX_TILES = 128


@dataclass(frozen=True)
class Tile:
    """A source's place in the picture, pixels, and the size of the frames that go there."""

    left: int
    top: int
    width: int
    height: int
    frame_wh: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Tile pixels per frame pixel, across and down."""
        return self.width / self.frame_wh[0], self.height / self.frame_wh[1]

    def is_within(self, most: int) -> bool:
        """Tell whether frames are made at most so many times larger or smaller each way."""
        return all(1 / most <= scale <= most for scale in self.scale)


class Canvas:
    """The newest metadata of each source that is in the picture."""

    def __init__(self) -> None:
        self._batches: dict[int, NvDsBatchMeta] = {}

    def take(self, frames: list[NvDsFrameMeta]) -> None:
        """Replace what was known of these frames' sources; of several the last one stays.

        The last source of a batch comes first, as in NvTiler.
        """
        for index in {frame.pad_index for frame in frames}:
            self.forget(index)
        for frame in reversed(frames):
            held = NvDsBatchMeta(1)
            held.frames = [frame]
            if frame.pad_index in self._batches:
                held.release()
            else:
                self._batches[frame.pad_index] = held

    def forget(self, index: int) -> None:
        """Drop a source."""
        held = self._batches.pop(index, None)
        if held is not None:
            held.release()

    def clear(self) -> None:
        """Drop all sources."""
        for index in list(self._batches):
            self.forget(index)

    def merged(self, batch: NvDsBatchMeta) -> NvDsFrameMeta:
        """Make the one frame of a tiled batch: of no source and no time, with all objects."""
        merged = NvDsFrameMeta()
        merged.base_meta.batch_meta = batch
        for held in self._batches.values():
            frame = held.copy().frames[0]
            for name in ("objects", "displays", "user_metas"):
                items = getattr(frame, name)
                for item in items:
                    item.base_meta.batch_meta = batch
                getattr(merged, name).extend(items)
        return merged


def grid_for(index: int) -> tuple[int, int]:
    """Return the rows and columns that NVIDIA's makes when a source has no tile."""
    rows = math.isqrt(index + 1)
    return rows, math.ceil((index + 1) / rows)


def tile_of(
    index: int, *, rows: int, columns: int, picture_wh: tuple[int, int], frame_wh: tuple[int, int]
) -> Tile | None:
    """Return the place of a source; None when there are more sources than tiles.

    Tiles have even sides, since NV12 halves its colour planes.
    """
    if index >= rows * columns:
        return None
    row, column = divmod(index, columns)
    width = picture_wh[0] // columns // 2 * 2
    height = picture_wh[1] // rows // 2 * 2
    return Tile(column * width, row * height, width, height, frame_wh)


def move_frame(frame: NvDsFrameMeta, tile: Tile) -> None:
    """Rewrite a frame's boxes, texts and shapes into the tiled picture's pixels."""
    for item in frame.objects:
        _move_rect(item.rect_params, tile)
        _move_text(item.text_params, tile)
    for display in frame.displays:
        _move_display(display, tile)


def _move_rect(rect: NvOSD_RectParams, tile: Tile) -> None:
    across, down = tile.scale
    rect.left = tile.left + rect.left * across
    rect.top = tile.top + rect.top * down
    rect.width *= across
    rect.height *= down


def _move_text(text: NvOSD_TextParams, tile: Tile) -> None:
    across, down = tile.scale
    text.x_offset = tile.left + int(text.x_offset * across)
    text.y_offset = tile.top + int(text.y_offset * down)


def _move_display(display: NvDsDisplayMeta, tile: Tile) -> None:
    across, down = tile.scale
    for rect in display.rect_params[: display.num_rects]:
        _move_rect(rect, tile)
    for text in display.text_params[: display.num_labels]:
        _move_text(text, tile)
    segments = [
        *display.line_params[: display.num_lines],
        *display.arrow_params[: display.num_arrows],
    ]
    for item in segments:
        item.x1 = tile.left + int(item.x1 * across)
        item.x2 = tile.left + int(item.x2 * across)
        item.y1 = tile.top + int(item.y1 * down)
        item.y2 = tile.top + int(item.y2 * down)
    for circle in display.circle_params[: display.num_circles]:
        circle.xc = tile.left + int(circle.xc * across)
        circle.yc = tile.top + int(circle.yc * down)
        circle.radius = int(circle.radius * min(across, down))
