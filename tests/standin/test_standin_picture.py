"""Converter, tiler, display and encoder: worked pixels and coordinates."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from plugins.standin import buffer_meta, metadata
from plugins.standin.gst import Gst
from tests.standin.pipelines import Feed, Run, play, wait_for, watch

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]

RGBA = "video/x-raw(memory:NVMM),format=RGBA"


def through(
    tail: str,
    *,
    wh: tuple[int, int] = (64, 32),
    sources: int = 1,
    before: Callable[[Any], None] | None = None,
    greys: tuple[int, ...] = (100, 200),
) -> Any:
    """Push one frame of each source through muxer ! tail; return the batch at its end."""
    pipeline = Gst.parse_launch(
        f"nvstreammux name=mux batch-size={sources} width={wh[0]} height={wh[1]} "
        f"! identity name=head ! {tail} ! identity name=tail ! fakesink async=false sync=false"
    )
    feeds = [Feed(pipeline.get_by_name("mux"), index, wh=wh) for index in range(sources)]
    if before is not None:
        watch(pipeline.get_by_name("head").get_static_pad("src"), Run(), before)
    batches: list[Any] = []
    watch(pipeline.get_by_name("tail").get_static_pad("sink"), Run(), batches.append)
    pipeline.set_state(Gst.State.PLAYING)
    for feed, grey in zip(feeds, greys, strict=False):
        feed.start()
        feed.push(grey=grey)
    errors: list[Any] = []
    wait_for(lambda: bool(batches) or _failed(pipeline, errors))
    pipeline.set_state(Gst.State.NULL)
    assert batches, errors
    return batches[0]


def _failed(pipeline: Any, errors: list[Any]) -> bool:
    message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
    if message is not None:
        errors.append(message.parse_error()[0].message)
    return bool(errors)


def add_box(
    batch: Any, *, ltwh: tuple[float, float, float, float], border: int = 1, text: str = ""
) -> Any:
    item = metadata.NvDsObjectMeta()
    rect = item.rect_params
    rect.left, rect.top, rect.width, rect.height = ltwh
    rect.border_width = border
    rect.border_color.set(1.0, 0.0, 0.0, 1.0)
    if text:
        item.text_params.display_text = text
        item.text_params.font_params.font_size = 12
        item.text_params.font_params.font_color.set(1.0, 1.0, 1.0, 1.0)
    batch.frames[0].objects.append(item)
    return item


def red(picture: Any) -> Any:
    """Return where the picture is pure red."""
    return (picture[..., 0] == 255) & (picture[..., 1] == 0) & (picture[..., 2] == 0)


def test_equal_caps_pass_the_buffer_and_its_metadata() -> None:
    before = buffer_meta.copy_count()

    batch = through("nvvideoconvert ! nvvideoconvert")

    assert buffer_meta.copy_count() == before
    assert batch.surfaces[0].format == "NV12"


def test_a_converted_buffer_is_nobody_elses() -> None:
    before = buffer_meta.copy_count()

    through(f"nvvideoconvert ! {RGBA} ! nvmultistreamtiler width=64 height=32 ! nvdsosd")

    # The identity at the end is in place: it would copy a buffer that somebody else holds.
    assert buffer_meta.copy_count() == before


def test_the_real_surface_call_gives_the_mutable_pixels_and_only_of_rgba() -> None:
    pyds = importlib.import_module("pyds")

    refused = []

    def paint(_pad: Any, info: Any, wanted: str) -> Any:
        address = hash(info.get_buffer())
        if wanted == "NV12":
            with pytest.raises(RuntimeError, match="the frames are NV12, want RGBA"):
                pyds.get_nvds_buf_surface(address, 0)
            refused.append(True)
        else:
            pyds.get_nvds_buf_surface(address, 0)[:4, :4] = (1, 2, 3, 255)
        return Gst.PadProbeReturn.OK

    pipeline = Gst.parse_launch(
        "nvstreammux name=mux batch-size=1 width=32 height=32 ! identity name=nv12 "
        f"! nvvideoconvert ! {RGBA} ! identity name=rgba ! queue ! identity name=tail ! fakesink"
    )
    feed = Feed(pipeline.get_by_name("mux"), 0)
    for name, wanted in (("nv12", "NV12"), ("rgba", "RGBA")):
        pad = pipeline.get_by_name(name).get_static_pad("src")
        pad.add_probe(Gst.PadProbeType.BUFFER, paint, wanted)
    batches: list[Any] = []
    watch(pipeline.get_by_name("tail").get_static_pad("sink"), Run(), batches.append)
    pipeline.set_state(Gst.State.PLAYING)
    feed.start()
    feed.push(grey=128)
    assert wait_for(lambda: bool(batches))
    pipeline.set_state(Gst.State.NULL)

    assert refused == [True]
    assert (batches[0].surfaces[0].rgba()[:4, :4] == (1, 2, 3, 255)).all()


def test_rgba_and_back_keeps_the_luma() -> None:
    batch = through(
        f"nvvideoconvert ! {RGBA} ! nvvideoconvert ! video/x-raw(memory:NVMM),format=NV12"
    )

    luma, chroma = batch.surfaces[0].nv12()
    # Every byte of the frame was 100: a colour within what RGB can hold.
    assert abs(int(luma.mean()) - 100) <= 1
    assert abs(int(chroma.mean()) - 100) <= 2


def test_frames_are_scaled_and_cropped() -> None:
    scaled = through(f"nvvideoconvert ! {RGBA},width=16,height=8")
    cropped = through(f"nvvideoconvert src-crop=0:0:32:16 ! {RGBA},width=32,height=16")

    assert scaled.surfaces[0].rgba().shape == (8, 16, 4)
    assert cropped.surfaces[0].rgba().shape == (16, 32, 4)


def test_a_crop_that_is_none_is_an_error() -> None:
    with pytest.raises(AssertionError, match="src-crop: 'all', want left:top:width:height"):
        through("nvvideoconvert src-crop=all ! video/x-raw(memory:NVMM),format=RGBA")


def test_the_tiler_moves_boxes_and_texts_into_the_picture() -> None:
    def add(batch: Any) -> None:
        # Frame pixels of the second source: (32, 8) of 64x32, 16 wide, 8 high.
        item = metadata.NvDsObjectMeta()
        rect = item.rect_params
        rect.left, rect.top, rect.width, rect.height = 32, 8, 16, 8
        item.text_params.x_offset, item.text_params.y_offset = 32, 4
        batch.frames[1].objects.append(item)

    batch = through(
        "nvmultistreamtiler rows=2 columns=1 width=32 height=32", sources=2, before=add
    )

    # Each tile is 32x16, half of the frame; the second one begins at row 16.
    moved = next(f for f in batch.frames if f.pad_index == 1).objects[0]
    rect = moved.rect_params
    assert (rect.left, rect.top, rect.width, rect.height) == (16, 20, 8, 4)
    assert (moved.text_params.x_offset, moved.text_params.y_offset) == (16, 18)
    luma = batch.surfaces[0].nv12()[0]
    assert luma.shape == (32, 32)
    assert (luma[:16] == 100).all()
    assert (luma[16:] == 200).all()


def test_a_source_without_a_tile_of_its_own_is_left_out_and_an_empty_tile_is_black() -> None:
    batch = through("nvmultistreamtiler rows=1 columns=1 width=64 height=32", sources=2)
    empty = through("nvmultistreamtiler rows=1 columns=2 width=64 height=32", sources=1)

    assert [frame.pad_index for frame in batch.frames] == [0]
    assert (empty.surfaces[0].nv12()[0][:, 32:] == 16).all()


def test_the_display_paints_a_border_where_the_box_is() -> None:
    batch = through(
        f"nvvideoconvert ! {RGBA} ! nvdsosd process-mode=0",
        before=lambda batch: add_box(batch, ltwh=(10, 5, 20, 10)),
    )

    painted = red(batch.surfaces[0].rgba())
    assert painted[5, 10:31].all()
    assert painted[15, 10:31].all()
    assert painted[5:16, 10].all()
    assert not painted[6:15, 11:30].any()


def test_a_converter_before_the_tiler_keeps_the_frames_size() -> None:
    # Half of 64 x 32; had the converter scaled already, the tiler would leave the box alone.
    batch = through(
        f"nvvideoconvert ! {RGBA} ! nvmultistreamtiler rows=1 columns=1 width=32 height=16",
        before=lambda batch: add_box(batch, ltwh=(16, 8, 32, 16)),
    )

    rect = batch.frames[0].objects[0].rect_params
    assert (rect.left, rect.top, rect.width, rect.height) == (8, 4, 16, 8)


def test_painting_with_the_cpu_makes_the_converter_before_it_give_rgba() -> None:
    batch = through("nvvideoconvert ! nvdsosd process-mode=0", before=lambda batch: None)

    assert batch.surfaces[0].format == "RGBA"


def test_the_display_hides_what_has_no_border_no_background_and_no_text() -> None:
    batch = through(
        f"nvvideoconvert ! {RGBA} ! nvdsosd process-mode=0",
        before=lambda batch: add_box(batch, ltwh=(10, 5, 20, 10), border=0),
    )

    picture = batch.surfaces[0].rgba()
    assert (picture == picture[0, 0]).all()


@pytest.mark.parametrize(("shown", "changed"), [(True, True), (False, False)])
def test_display_text_shows_or_hides_texts(shown: bool, changed: bool) -> None:
    batch = through(
        f"nvvideoconvert ! {RGBA} ! nvdsosd process-mode=0 display-text={shown}",
        before=lambda batch: add_box(batch, ltwh=(0, 0, 0, 0), border=0, text="rope"),
    )

    picture = batch.surfaces[0].rgba()
    assert bool((picture != picture[-1, -1]).any()) is changed


def test_a_half_opaque_background_is_mixed_with_the_picture() -> None:
    def add(batch: Any) -> None:
        item = add_box(batch, ltwh=(8, 8, 16, 16), border=0)
        item.rect_params.has_bg_color = 1
        item.rect_params.bg_color.set(1.0, 1.0, 1.0, 0.5)

    batch = through(f"nvvideoconvert ! {RGBA} ! nvdsosd process-mode=0", before=add)

    picture = batch.surfaces[0].rgba().astype(int)
    assert picture[0, 0, 0] < picture[12, 12, 0] < 255
    assert abs(picture[12, 12, 0] - (picture[0, 0, 0] + 255) / 2) <= 1


def test_lines_circles_and_arrows_of_display_metas_are_painted() -> None:
    def add(batch: Any) -> None:
        display = metadata.NvDsDisplayMeta()
        display.num_lines = display.num_circles = display.num_arrows = 1
        line, circle, arrow = (
            display.line_params[0],
            display.circle_params[0],
            display.arrow_params[0],
        )
        line.x1, line.y1, line.x2, line.y2, line.line_width = 2, 2, 20, 2, 1
        circle.xc, circle.yc, circle.radius = 40, 16, 6
        arrow.x1, arrow.y1, arrow.x2, arrow.y2, arrow.arrow_width = 2, 28, 20, 28, 1
        for colour in (line.line_color, circle.circle_color, arrow.arrow_color):
            colour.set(1.0, 0.0, 0.0, 1.0)
        batch.frames[0].displays.append(display)

    batch = through(f"nvvideoconvert ! {RGBA} ! nvdsosd process-mode=0", before=add)

    picture = batch.surfaces[0].rgba().astype(int)
    # Smoothed lines are mixed with the picture, so redder than it is what counts.
    redder = picture[..., 0] - picture[0, 0, 0] > 60
    assert redder[2, 4:18].all()
    assert redder[16, 46]
    assert redder[28, 4:16].all()


def test_the_display_paints_nv12_in_gpu_mode_and_refuses_it_in_cpu_mode() -> None:
    batch = through("nvdsosd", before=lambda batch: add_box(batch, ltwh=(8, 8, 16, 16), border=4))

    luma = batch.surfaces[0].nv12()[0]
    assert luma[8, 16] != luma[0, 0]
    with pytest.raises(AssertionError, match="process-mode 0 paints on RGBA, the frames are NV12"):
        through("nvdsosd process-mode=0", before=lambda b: add_box(b, ltwh=(0, 0, 9, 9)))


@pytest.mark.parametrize(
    ("encoder", "parser"), [("nvv4l2h264enc", "h264parse"), ("nvv4l2h265enc", "h265parse")]
)
def test_an_encoded_picture_can_be_read_again(tmp_path: Path, encoder: str, parser: str) -> None:
    file = tmp_path / "out.mkv"
    pipeline = Gst.parse_launch(
        f"nvstreammux name=mux batch-size=1 width=64 height=48 ! nvvideoconvert ! {RGBA} "
        f"! nvdsosd ! nvvideoconvert ! {encoder} bitrate=800000 ! {parser} ! matroskamux "
        f"! filesink location={file} "
        "videotestsrc num-buffers=12 pattern=white ! video/x-raw,width=64,height=48,"
        "framerate=10/1 ! mux.sink_0"
    )

    run = play(pipeline, Run())

    reader = cv2.VideoCapture(str(file))
    frames = []
    while (read := reader.read())[0]:
        frames.append(read[1])
    assert run.eos, run.errors
    assert len(frames) == 12
    assert frames[0].shape == (48, 64, 3)
    assert np.abs(frames[-1].astype(int) - 255).max() <= 6
