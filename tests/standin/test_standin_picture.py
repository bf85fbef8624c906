"""Converter, tiler and encoder: worked pixels and coordinates."""

import importlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from plugins.standin import buffer_meta, metadata
from plugins.standin.gst import Gst, structure_of
from plugins.standin.surface import Surface
from plugins.standin.tiling import grid_for
from tests.standin.pipelines import (
    RGBA,
    Bench,
    Feed,
    Run,
    add_box,
    bench,
    play,
    through,
    wait_for,
    watch,
)

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]


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
    (frame,) = batch.frames
    (moved,) = frame.objects
    rect = moved.rect_params
    assert (rect.left, rect.top, rect.width, rect.height) == (16, 20, 8, 4)
    assert (moved.text_params.x_offset, moved.text_params.y_offset) == (16, 18)
    luma = batch.surfaces[0].nv12()[0]
    assert luma.shape == (32, 32)
    assert (luma[:16] == 100).all()
    assert (luma[16:] == 200).all()


def test_behind_the_tiler_there_is_one_frame_of_no_source_and_no_time() -> None:
    tail = "nvmultistreamtiler rows=1 columns=2 width=128 height=32 ! nvvideoconvert"
    batch = through(tail, sources=2, before=_label)

    (frame,) = batch.frames
    numbers = (frame.pad_index, frame.source_id, frame.frame_num, frame.buf_pts, frame.batch_id)
    assert numbers == (0, 0, 0, 0, 0)
    assert (batch.max_frames_in_batch, frame.source_frame_width) == (1, 0)
    # NvTiler goes through a batch from its end.
    assert [item.obj_label for item in frame.objects] == ["of 1", "of 0"]


def test_a_source_without_a_tile_makes_the_grid_larger_and_an_empty_tile_is_black() -> None:
    grown = tiled("nvmultistreamtiler rows=1 columns=1 width=64 height=32", sources=2)
    empty = through("nvmultistreamtiler rows=1 columns=2 width=64 height=32", sources=1)

    assert grown.tolist() == [[60, 60, 80, 80]] * 4
    assert (empty.surfaces[0].nv12()[0][:, 32:] == 16).all()


@pytest.mark.parametrize(("index", "grid"), [(1, (1, 2)), (3, (2, 2)), (4, (2, 3)), (9, (3, 4))])
def test_the_grid_grows_as_nvidias(index: int, grid: tuple[int, int]) -> None:
    assert grid_for(index) == grid


def test_a_silent_source_keeps_picture_and_boxes_and_an_ended_one_is_black_without(
    stopper: list[Bench],
) -> None:
    made = bench(sources=2, batch_size=2, batched_push_timeout=20_000)
    stopper.append(made)
    tiler = Gst.ElementFactory.make("nvmultistreamtiler")
    for name, value in (("columns", 2), ("width", 64), ("height", 32)):
        tiler.set_property(name, value)
    made.pipeline.set_state(Gst.State.NULL)
    out = made.pipeline.get_by_name("out")
    made.pipeline.add(tiler)
    made.muxer.unlink(out)
    made.muxer.link(tiler)
    tiler.link(out)
    watch(made.muxer.get_static_pad("src"), Run(), _label)
    made.pipeline.set_state(Gst.State.PLAYING)
    shown = []

    def push(*sources: int) -> None:
        before = len(made.batches)
        for source in sources:
            made.feeds[source].push(grey=100 + 50 * source)
        assert wait_for(lambda: len(made.batches) > before)
        batch = made.batches[-1]
        labels = sorted(item.obj_label for item in batch.frames[0].objects)
        shown.append((batch.surfaces[0].nv12()[0][16, 16::32].tolist(), labels))

    for feed in made.feeds:
        feed.start()
    push(0, 1)
    push(0)
    made.feeds[1].end()
    push(0)

    both = ([100, 150], ["of 0", "of 1"])
    assert shown == [both, both, ([100, 16], ["of 0"])]


def _label(batch: Any) -> None:
    for frame in batch.frames:
        item = metadata.NvDsObjectMeta()
        item.obj_label = f"of {frame.pad_index}"
        frame.objects.append(item)


def test_a_tile_that_a_vic_cannot_fill_is_an_error_unless_the_gpu_scales() -> None:
    small = "nvmultistreamtiler width=640 height=640"

    with pytest.raises(AssertionError, match="frames of 64x32 go into tiles of 640x640, want"):
        through(small)
    assert through(f"{small} compute-hw=GPU").surfaces[0].height == 640


def tiled(tail: str, *, sources: int) -> Any:
    """Return the luma in the middle of each tile of a picture of 64 x 32, tiles of 16 x 8."""
    greys = tuple(60 + 20 * index for index in range(sources))
    luma = through(tail, sources=sources, greys=greys).surfaces[0].nv12()[0]
    return luma[4::8, 8::16]


@pytest.mark.parametrize(
    ("sources", "picture"),
    [
        (1, [[60] * 4] * 4),
        (2, [[60, 60, 80, 80], [60, 60, 80, 80], [16] * 4, [16] * 4]),
        (4, [[60, 60, 80, 80], [60, 60, 80, 80], [100, 100, 120, 120], [100, 100, 120, 120]]),
    ],
)
def test_a_square_grid_is_as_large_as_its_sources_need_whatever_rows_say(
    sources: int, picture: list[list[int]]
) -> None:
    tiler = "nvmultistreamtiler rows=1 columns=1 width=64 height=32 square-seq-grid=true"

    assert tiled(tiler, sources=sources).tolist() == picture


def test_one_source_is_shown_alone_in_the_whole_picture() -> None:
    tiler = "nvmultistreamtiler rows=2 columns=2 width=64 height=32 show-source=1"

    assert tiled(tiler, sources=3).tolist() == [[80] * 4] * 4


def test_the_picture_begins_anew_when_its_tiles_move() -> None:
    pipeline = Gst.parse_launch(
        "nvstreammux name=mux batch-size=1 width=64 height=32 ! nvmultistreamtiler name=tiler "
        "rows=1 columns=1 width=64 height=32 ! identity name=tail ! fakesink sync=false"
    )
    feed = Feed(pipeline.get_by_name("mux"), 0, wh=(64, 32))
    lumas: list[Any] = []
    watch(
        pipeline.get_by_name("tail").get_static_pad("sink"),
        Run(),
        lambda batch: lumas.append(batch.surfaces[0].nv12()[0]),
    )
    pipeline.set_state(Gst.State.PLAYING)
    feed.start()
    feed.push()
    assert wait_for(lambda: len(lumas) == 1)
    pipeline.get_by_name("tiler").set_property("columns", 2)
    feed.push(100_000_000)
    assert wait_for(lambda: len(lumas) == 2)
    pipeline.set_state(Gst.State.NULL)

    assert (lumas[0] == 100).all()
    assert (lumas[1][:, :32] == 100).all()
    assert (lumas[1][:, 32:] == 16).all()


def test_the_picture_has_another_size_when_it_is_told_while_it_runs() -> None:
    pipeline = Gst.parse_launch(
        "nvstreammux name=mux batch-size=1 width=64 height=32 ! nvmultistreamtiler name=tiler "
        "width=64 height=32 ! nvvideoconvert ! identity name=tail ! fakesink sync=false"
    )
    feed, tail = Feed(pipeline.get_by_name("mux"), 0, wh=(64, 32)), pipeline.get_by_name("tail")
    surfaces: list[Any] = []
    watch(tail.get_static_pad("sink"), Run(), lambda batch: surfaces.append(batch.surfaces[0]))
    pipeline.set_state(Gst.State.PLAYING)
    feed.start()
    feed.push()
    assert wait_for(lambda: len(surfaces) == 1)
    for name, side in (("width", 32), ("height", 48)):
        pipeline.get_by_name("tiler").set_property(name, side)
    feed.push(100_000_000)
    assert wait_for(lambda: len(surfaces) == 2)
    told = structure_of(tail.get_static_pad("src").get_current_caps(), 0)
    pipeline.set_state(Gst.State.NULL)

    assert [(item.width, item.height) for item in surfaces] == [(64, 32), (32, 48)]
    assert (told.get_int("width").value, told.get_int("height").value) == (32, 48)
    assert (surfaces[1].nv12()[0] == 100).all()


@pytest.mark.parametrize("method", [None, 0, 1, 2, 3, 4, 5, 6])
def test_tiles_mix_greys_unless_they_take_the_nearest(method: int | None) -> None:
    def stripes(batch: Any) -> None:
        planes = np.full((48, 64), 128, np.uint8)
        planes[:32] = np.where(np.arange(64) % 3 == 1, 200, 40)
        batch.surfaces[0] = Surface.from_nv12(planes)

    setting = "" if method is None else f"interpolation-method={method}"
    luma = (
        through(f"nvmultistreamtiler {setting} width=40 height=20", before=stripes)
        .surfaces[0]
        .nv12()[0]
    )

    mixed = bool(set(np.unique(luma)) - {40, 200})
    assert mixed is (method in (1, 2, 3, 4, 5))


def test_a_converter_before_the_tiler_keeps_the_frames_size() -> None:
    # Half of 64 x 32; had the converter scaled already, the tiler would leave the box alone.
    batch = through(
        f"nvvideoconvert ! {RGBA} ! nvmultistreamtiler rows=1 columns=1 width=32 height=16",
        before=lambda batch: add_box(batch, ltwh=(16, 8, 32, 16)),
    )

    rect = batch.frames[0].objects[0].rect_params
    assert (rect.left, rect.top, rect.width, rect.height) == (8, 4, 16, 8)


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
