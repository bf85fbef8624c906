"""The converter: turned, cropped and scaled frames, in real pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.standin.gst import Gst
from plugins.standin.surface import Surface
from plugins.standin.turning import turned_rectangle
from tests.standin.pipelines import RGBA, Feed, Run, play, through, wait_for, watch

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]

NV12 = "video/x-raw(memory:NVMM),format=NV12"
# Each cell of the frame has a grey of its own: a b c over d e f, 16 pixels each way.
CELLS = np.array([[40, 70, 100], [130, 160, 190]])
TURNED = {
    0: CELLS,
    1: [[100, 190], [70, 160], [40, 130]],
    2: [[190, 160, 130], [100, 70, 40]],
    3: [[130, 40], [160, 70], [190, 100]],
    4: [[100, 70, 40], [190, 160, 130]],
    5: [[190, 100], [160, 70], [130, 40]],
    6: [[130, 160, 190], [40, 70, 100]],
    7: [[40, 130], [70, 160], [100, 190]],
}


def cells(batch: Any) -> None:
    planes = np.full((48, 48), 128, np.uint8)
    planes[:32] = CELLS.repeat(16, 0).repeat(16, 1)
    # The left half is blue, so that colours are seen to turn as well.
    planes[32:].reshape(16, 24, 2)[:, :12, 0] = 200
    batch.surfaces[0] = Surface.from_nv12(planes)


def converted(tail: str) -> Any:
    return through(tail, wh=(48, 32), before=cells).surfaces[0]


@pytest.mark.parametrize("flip", TURNED)
def test_a_frame_is_turned_and_without_a_wanted_size_its_sides_are_too(flip: int) -> None:
    surface = converted(f"nvvideoconvert flip-method={flip} ! {NV12}")

    luma, chroma = surface.nv12()
    assert luma[8::16, 8::16].tolist() == np.asarray(TURNED[flip]).tolist()
    blue = chroma[..., 0] == 200
    assert blue.mean() == 0.5
    # Where the left half of the frame goes.
    corner = {0: (0, 0), 1: (-1, 0), 2: (0, -1), 3: (0, 0), 4: (0, -1), 5: (-1, 0)}
    assert blue[corner.get(flip, (0, 0))]


def test_an_rgba_frame_is_turned_and_scaled() -> None:
    surface = converted(
        f"nvvideoconvert ! {RGBA} ! nvvideoconvert flip-method=3 ! {RGBA},width=16,height=24"
    )

    assert surface.rgba().shape == (24, 16, 4)
    greens = surface.rgba()[4::8, 4::8, 1].astype(int)
    assert (greens[:, 0] > greens[:, 1]).all()


def test_a_format_whose_pixels_share_colours_in_pairs_is_refused() -> None:
    with pytest.raises(AssertionError, match="flip-method: the frames are YUY2, want planes"):
        through(
            f"nvvideoconvert ! video/x-raw,format=YUY2 ! nvvideoconvert flip-method=2 ! {NV12}",
            before=lambda batch: None,
        )


def test_a_crop_of_the_source_is_where_it_is_on_the_frame_before_the_turn() -> None:
    # The cell b, turned or not.
    for flip in (0, 3):
        surface = converted(
            f"nvvideoconvert src-crop=16:0:16:16 flip-method={flip} ! {NV12},width=16,height=16"
        )
        assert (surface.nv12()[0] == 70).all()
    for flip in TURNED:
        if flip:
            left, top, width, height = turned_rectangle((16, 0, 16, 16), (48, 32), flip)
            place = np.asarray(TURNED[flip])[top // 16, left // 16]
            assert (place, width, height) == (70, 16, 16)


def test_a_crop_of_the_destination_leaves_the_rest_black() -> None:
    luma = converted(f"nvvideoconvert dest-crop=16:8:24:16 ! {NV12},width=48,height=32").nv12()[0]

    inside = np.zeros((32, 48), bool)
    inside[8:24, 16:40] = True
    assert (luma[~inside] == 16).all()
    assert luma[inside].min() >= 40
    # The frame is scaled to half its sides.
    assert luma[12, 20] == 40
    assert luma[20, 36] == 190


@pytest.mark.parametrize("method", [None, 0, 1, 2, 3, 4, 5, 6])
def test_scaling_mixes_greys_unless_it_takes_the_nearest(method: int | None) -> None:
    setting = "" if method is None else f"interpolation-method={method}"

    luma = converted(f"nvvideoconvert {setting} ! {NV12},width=120,height=80").nv12()[0]

    # The default is 6, which on NVIDIA's hardware is the nearest too.
    mixed = bool(set(np.unique(luma)) - set(CELLS.ravel()))
    assert mixed is (method in (1, 2, 3, 4, 5))


def test_a_plain_frame_of_system_memory_is_turned(tmp_path: Path) -> None:
    planes = np.full((48, 48), 128, np.uint8)
    planes[:32] = CELLS.repeat(16, 0).repeat(16, 1)
    (tmp_path / "in.nv12").write_bytes(planes.tobytes())
    pipeline = Gst.parse_launch(
        f"filesrc location={tmp_path}/in.nv12 ! rawvideoparse format=nv12 width=48 height=32 "
        f"! nvvideoconvert flip-method=3 ! filesink location={tmp_path}/out.nv12"
    )

    run = play(pipeline, Run())

    assert run.eos, run.errors
    # 32 wide by now, 48 high, and the planes of chroma below.
    luma = np.fromfile(tmp_path / "out.nv12", np.uint8).reshape(72, 32)[:48]
    assert luma[8::16, 8::16].tolist() == TURNED[3]


def test_what_is_set_while_frames_flow_holds_from_the_next_frame() -> None:
    pipeline = Gst.parse_launch(
        "nvstreammux name=mux batch-size=1 width=48 height=32 ! identity name=head "
        "! nvvideoconvert name=converter ! identity name=tail ! fakesink sync=false"
    )
    converter = pipeline.get_by_name("converter")
    feed = Feed(pipeline.get_by_name("mux"), 0, wh=(48, 32))
    batches: list[Any] = []
    watch(pipeline.get_by_name("head").get_static_pad("src"), Run(), cells)
    watch(pipeline.get_by_name("tail").get_static_pad("sink"), Run(), batches.append)
    pipeline.set_state(Gst.State.PLAYING)
    feed.start()
    shown = []
    steps: list[dict[str, Any]] = [
        {},
        {"flip-method": 2},
        {"flip-method": 1},
        {"flip-method": 0, "src-crop": "16:0:16:16"},
        {"src-crop": None},
    ]

    for number, settings in enumerate(steps):
        for name, value in settings.items():
            converter.set_property(name, value)
        feed.push(number * Gst.SECOND // 10)
        assert wait_for(lambda: len(batches) == number + 1)  # noqa: B023  waited for at once
        shown.append(batches[-1].surfaces[0].nv12()[0][8::16, 8::16].tolist())
    pipeline.set_state(Gst.State.NULL)

    # As on the device the sides are swapped by a quarter turn, and a crop fills the frame.
    assert shown == [
        CELLS.tolist(),
        np.asarray(TURNED[2]).tolist(),
        np.asarray(TURNED[1]).tolist(),
        [[70, 70, 70], [70, 70, 70]],
        CELLS.tolist(),
    ]
