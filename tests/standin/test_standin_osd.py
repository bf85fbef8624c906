"""The display: what is painted and blurred, in real pixels."""

import importlib
import logging
from typing import Any

import numpy as np
import pytest

from plugins.standin import metadata
from plugins.standin.gst import Gst
from plugins.standin.surface import Surface
from tests.standin.pipelines import RGBA, Run, add_box, play, through

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]


def red(picture: Any) -> Any:
    """Return where the picture is pure red."""
    return (picture[..., 0] == 255) & (picture[..., 1] == 0) & (picture[..., 2] == 0)


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


def noise(batch: Any) -> None:
    """Give the first frame pixels in which nothing is even."""
    planes = np.random.default_rng(7).integers(40, 220, (96, 64), np.uint8)
    planes[64:] = 128
    batch.surfaces[0] = Surface.from_nv12(planes)


def blurred(
    properties: str,
    *,
    mask: Any = None,
    ltwh: tuple[float, float, float, float] = (8, 16, 32, 32),
    border: int = 0,
) -> tuple[Any, Any]:
    """Return a noisy grey 64 x 64 frame before and after the display, red parts, (64, 64) int."""

    def add(batch: Any) -> None:
        noise(batch)
        item = add_box(batch, ltwh=ltwh, border=border)
        item.unique_component_id, item.class_id = 1, 2
        if mask is not None:
            item.mask_params.width = item.mask_params.height = len(mask)
            item.mask_params.alloc_mask_array()[:] = np.ravel(mask)

    before, after = (
        through(f"nvvideoconvert ! {RGBA} ! {display}", wh=(64, 64), before=add)
        for display in ("identity", f"nvdsosd {properties}")
    )
    return tuple(batch.surfaces[0].rgba()[..., 0].astype(int) for batch in (before, after))


def changed(before: Any, after: Any) -> Any:
    """Return the first and last row and column with a difference: top, bottom, left, right."""
    rows, columns = np.nonzero(before != after)
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_a_box_is_blurred_to_the_mean_of_its_neighbourhood() -> None:
    before, after = blurred("blur-bbox=1")

    box = before[16:48, 8:40]
    for row, column in ((0, 0), (3, 5), (16, 16), (31, 30)):
        # A box of 32 pixels is sampled at each of them; the mean is of 7 x 7 within the box.
        near = box[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4]
        assert after[16 + row, 8 + column] == int(near.mean())
    assert after[16:48, 8:40].std() < before[16:48, 8:40].std() / 4
    assert changed(before, after) == (16, 47, 8, 39)


def test_a_large_box_is_blurred_by_its_own_measure() -> None:
    before, after = blurred("blur-bbox=1", ltwh=(0, 0, 64, 64))

    # 32 x 32 places on 64 x 64 pixels: each fills a square of 2 x 2.
    assert (after[::2, ::2] == after[1::2, 1::2]).all()
    assert after.std() < before.std() / 4


@pytest.mark.parametrize("ltwh", [(-20, 50, 40, 40), (50, -20, 40, 40.5), (60, 60, 300, 300)])
def test_a_box_across_the_edge_is_blurred_as_far_as_the_picture_goes(
    ltwh: tuple[float, float, float, float],
) -> None:
    before, after = blurred("blur-bbox=1", ltwh=ltwh)

    left, top, width, height = (int(value) for value in ltwh)
    inside = np.zeros((64, 64), bool)
    inside[max(top, 0) : top + height, max(left, 0) : left + width] = True
    assert (before[~inside] == after[~inside]).all()
    assert (before[inside] != after[inside]).mean() > 0.9


@pytest.mark.parametrize(
    ("classes", "hit"),
    [("1,2", True), ("3,0;1,2", True), ("1,1", False), ("2,2", False), ("person", True)],
)
def test_only_named_classes_are_blurred_and_everything_where_none_can_be_read(
    classes: str, hit: bool
) -> None:
    before, after = blurred(f"blur-bbox=1 blur-on-gie-class-ids={classes}")

    assert bool((before != after).any()) is hit


def test_what_cannot_blur_is_an_error_and_no_sharp_picture() -> None:
    with pytest.raises(AssertionError, match="process-mode 0 cannot blur, want process-mode=1"):
        blurred("blur-bbox=1 process-mode=0")
    with pytest.raises(AssertionError, match="blur-on-gie-class-ids: '1', want GIE,CLASS"):
        blurred("blur-bbox=1 blur-on-gie-class-ids=1")


def test_mode_2_blurs_the_mask_where_classes_are_named_and_the_box_where_none_are() -> None:
    # The right half of the box.
    mask = np.array([[0, 0.2], [0, 0.2]])

    half = blurred("blur-bbox=2 blur-on-gie-class-ids=1,2", mask=mask)
    whole = blurred("blur-bbox=2", mask=mask)
    unmasked = blurred("blur-bbox=2 blur-on-gie-class-ids=1,2")

    assert changed(*half) == (16, 47, 24, 39)
    assert changed(*whole) == (16, 47, 8, 39)
    assert changed(*unmasked) == (16, 47, 8, 39)


def test_borders_are_painted_above_the_blur() -> None:
    _, after = blurred("blur-bbox=1", border=1)

    assert (after[16, 8:41] == 255).all()
    assert (after[17:47, 9:39] < 255).all()


@pytest.mark.parametrize(
    ("properties", "first"),
    # In process-mode 1 the device begins one pixel further in.
    [("process-mode=0", 8), ("process-mode=1", 9)],
)
def test_a_mask_tints_its_part_of_the_box_half(properties: str, first: int) -> None:
    mask = np.zeros((32, 32))
    mask[:, :16] = 1

    before, after = blurred(f"display-mask=1 {properties}", mask=mask)
    hidden = blurred(properties, mask=mask)

    # The border's colour is red: 255 in the channel that is looked at, of which it gets half.
    row = after[30, first : first + 15]
    np.testing.assert_allclose(row, (before[30, first : first + 15] + 255) / 2, atol=2)
    assert changed(before, after)[2:] == (first, first + 15)
    assert (hidden[0] == hidden[1]).all()


def test_masks_are_handed_out_row_by_row_as_samples_index_them() -> None:
    pyds = importlib.import_module("pyds")
    params = pyds.NvDsObjectMeta().mask_params
    params.width, params.height = 3, 2

    params.alloc_mask_array()[4] = 0.5

    assert params.get_mask_array().tolist() == [0, 0, 0, 0, 0.5, 0]
    assert params.size == 24
    assert pyds.NvOSD_MaskParams().get_mask_array() is None


@pytest.mark.parametrize(
    ("properties", "rgb"),
    [("", (255, 0, 0)), ("clock-color=0x00ff00ff", (0, 255, 0)), ("display-text=0", None)],
)
def test_the_clock_stands_where_and_as_it_is_told(
    properties: str, rgb: tuple[int, int, int] | None
) -> None:
    batch = through(
        f"nvvideoconvert ! {RGBA} ! nvdsosd display-clock=1 x-clock-offset=40 y-clock-offset=20 "
        f"{properties}",
        wh=(320, 64),
    )

    picture = batch.surfaces[0].rgba()[..., :3].astype(int)
    rows, columns = np.nonzero(np.abs(picture - picture[-1, -1]).sum(2) > 60)
    if rgb is None:
        assert rows.size == 0
    else:
        assert (picture == rgb).all(2).any()
        assert (rows.min() >= 20, rows.max() < 44, columns.min() >= 40) == (True, True, True)


def display_rect(batch: Any, *, border_alpha: float) -> None:
    display = metadata.NvDsDisplayMeta()
    display.num_rects = 1
    rect = display.rect_params[0]
    rect.left, rect.top, rect.width, rect.height = 8, 8, 16, 16
    rect.has_bg_color = 1
    rect.bg_color.set(1.0, 0.0, 0.0, 1.0)
    rect.border_color.set(0.0, 0.0, 0.0, border_alpha)
    batch.frames[0].displays.append(display)


@pytest.mark.parametrize(
    ("properties", "border_alpha", "painted"),
    [
        ("process-mode=1", 1.0, True),
        ("process-mode=1", 0.0, False),
        ("process-mode=0", 0.0, True),
        ("process-mode=0 display-bbox=0", 1.0, False),
    ],
)
def test_a_background_needs_a_border_that_is_not_clear_in_gpu_mode_and_display_bbox(
    caplog: pytest.LogCaptureFixture, properties: str, border_alpha: float, painted: bool
) -> None:
    with caplog.at_level(logging.WARNING, logger="ropewatch.standin"):
        batch = through(
            f"nvvideoconvert ! {RGBA} ! nvdsosd {properties}",
            before=lambda batch: display_rect(batch, border_alpha=border_alpha),
        )

    assert bool(red(batch.surfaces[0].rgba()).any()) is painted
    clear = "mode=1" in properties and border_alpha == 0
    assert ("paints no background" in caplog.text) is clear


def test_a_border_that_nvdsosd_refuses_is_an_error() -> None:
    with pytest.raises(AssertionError, match="border_width: 33, want at most 32"):
        through("nvdsosd", before=lambda batch: add_box(batch, ltwh=(0, 0, 9, 9), border=33))


def test_a_frame_that_no_muxer_batched_passes(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = Gst.parse_launch(
        "videotestsrc num-buffers=3 ! nvvideoconvert ! nvdsosd display-clock=true ! fakesink"
    )

    run = play(pipeline, Run())

    assert (run.eos, run.errors) == (True, [])
    assert "nvdsosd paints the clock on frames of nvstreammux alone" in caplog.text
