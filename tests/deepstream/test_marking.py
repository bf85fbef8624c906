"""What is drawn into a snapshot, and how small it gets; pictures are made and read with Pillow."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFont

from deepstream.marking import RED, YELLOW, Picture, caption, font_for, mark
from ropewatch.evidence import Evidence
from ropewatch.incidents import IncidentEvent
from ropewatch.settings import AlertWhen, SnapshotSettings
from tests.deepstream.shots import jpeg_of
from tests.incident_events import START

GREY = 128
FINE = SnapshotSettings(quality=95)


def plain(wh: tuple[int, int] = (640, 360)) -> bytes:
    return jpeg_of(np.full((wh[1], wh[0], 3), GREY, np.uint8))


def pixels(picture: Picture) -> "np.ndarray[tuple[int, ...], np.dtype[np.int16]]":
    with Image.open(io.BytesIO(picture.jpeg)) as image:
        assert image.format == "JPEG"
        assert image.size == picture.size_wh_px
        return np.asarray(image, np.int16)


def is_near(pixel: object, colour: tuple[int, int, int]) -> bool:
    # JPEG halves the resolution of colours, so a thin line is paler than it was drawn.
    return bool(np.abs(np.asarray(pixel) - colour).max() < 90)


def test_the_person_is_framed_in_red_and_the_crop_in_yellow() -> None:
    shown = pixels(mark(plain(), START, FINE))

    left, top, width, height = (int(v) for v in START.box_ltwh_px)
    assert is_near(shown[top + height // 2, left], RED)
    assert is_near(shown[top + height, left + width // 2], RED)
    assert is_near(shown[250, 260], YELLOW)  # crop: left edge at 260
    assert np.abs(shown[top + height // 2, left + width // 2] - GREY).max() < 20
    assert np.abs(shown[350, 600] - GREY).max() < 20


@pytest.mark.parametrize(
    ("alert_when", "said"),
    [
        (AlertWhen.AT_OR_ABOVE, "gate person 3: p(unroped) 0.80 >= 0.461"),
        (AlertWhen.BELOW, "gate person 3: p(unroped) 0.80 < 0.461"),
    ],
)
def test_a_picture_says_by_itself_where_it_was_and_why(alert_when: AlertWhen, said: str) -> None:
    assert caption(replace(START, alert_when=alert_when)) == said


def test_a_long_caption_gets_letters_in_which_it_fits() -> None:
    text = caption(replace(START, source_id="a" * 64))

    usual = ImageFont.load_default(size=28)
    assert usual.getlength(text) > 1280
    assert font_for(text, 1280, size=28).getlength(text) <= 1280
    assert font_for("gate", 1280, size=28).getlength("gate") == usual.getlength("gate")


def test_boxes_follow_a_picture_of_another_size_than_the_frame() -> None:
    shown = pixels(mark(plain((1280, 720)), START, FINE))

    assert is_near(shown[320, 600], RED)  # the frame's left edge at 300, height 120 to 200
    assert is_near(shown[500, 520], YELLOW)


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((-50.0, -50.0, 100.0, 100.0), id="over-the-corner"),
        pytest.param((600.0, 340.0, 400.0, 400.0), id="over-the-other"),
        pytest.param((2000.0, 2000.0, 10.0, 10.0), id="outside"),
        pytest.param((0.0, 0.0, 640.0, 360.0), id="all-of-it"),
    ],
)
def test_a_box_beyond_the_frame_is_cut(box: tuple[float, float, float, float]) -> None:
    picture = mark(plain(), replace(START, box_ltwh_px=box), FINE)

    assert picture.size_wh_px == (640, 360)
    assert any(is_near(pixel, RED) for pixel in pixels(picture).reshape(-1, 3))


@pytest.mark.parametrize(
    "evidence", [None, Evidence(trail=(), crop_ltwh_px=None, tracks=(), crossed=())]
)
def test_without_a_known_crop_the_person_is_marked_alone(evidence: Evidence | None) -> None:
    shown = pixels(mark(plain(), replace(START, evidence=evidence), FINE))

    assert is_near(shown[160, 300], RED)
    assert not is_near(shown[250, 260], YELLOW)


def test_the_longer_side_keeps_to_its_bound_and_the_shape_stays() -> None:
    picture = mark(plain(), START, SnapshotSettings(max_side_px=320))

    assert picture.size_wh_px == (320, 180)
    assert is_near(pixels(picture)[80, 150], RED)


@pytest.mark.parametrize("max_bytes", [16 * 1024, 64 * 1024])
def test_a_picture_with_much_in_it_is_made_to_fit(max_bytes: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)

    picture = mark(jpeg_of(noise), START, SnapshotSettings(max_bytes=max_bytes))

    assert len(picture.jpeg) <= max_bytes
    pixels(picture)


def test_pixels_go_only_after_quality_has() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
    jpeg = jpeg_of(noise)
    full = mark(jpeg, START, SnapshotSettings(quality=95))

    fitted = mark(jpeg, START, SnapshotSettings(quality=95, max_bytes=int(len(full.jpeg) * 0.7)))

    assert fitted.size_wh_px == full.size_wh_px
    assert len(fitted.jpeg) <= 0.7 * len(full.jpeg)


def test_what_is_no_jpeg_is_refused() -> None:
    with pytest.raises(OSError, match="cannot identify image file"):
        mark(b"no picture", START, FINE)


def test_letters_that_the_font_lacks_do_not_cost_the_picture() -> None:
    event: IncidentEvent = replace(START, score_label="ロープなし")

    assert mark(plain(), event, FINE).size_wh_px == (640, 360)
