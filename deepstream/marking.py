"""Marks on a snapshot: the person and what the classifier looked at, drawn into the JPEG."""

import io
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from ropewatch.incidents import IncidentEvent
from ropewatch.observations import BoxLtwh
from ropewatch.settings import AlertWhen, SnapshotSettings

RED: Final = (217, 26, 26)
YELLOW: Final = (255, 214, 10)
LOWEST_QUALITY: Final = 20
QUALITY_STEP: Final = 15
FONT_SIDES: Final = 45
"""The letters are this part of the picture's longer side."""
LEAST_FONT_PX: Final = 6


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG with its width and height."""

    jpeg: bytes
    size_wh_px: tuple[int, int]


def mark(jpeg: bytes, event: IncidentEvent | None, settings: SnapshotSettings) -> Picture:
    """Draw an incident into the JPEG of its frame, and make that as small as the settings want.

    The person is red with number and score, the expanded crop of the newest score is yellow.
    Without an incident nothing is drawn.

    Raises:
        OSError: it is no JPEG.
    """
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as opened:
        image = opened.convert("RGB")
    image.thumbnail((settings.max_side_px, settings.max_side_px))
    if event is None:
        return _fit(image, settings)
    draw = ImageDraw.Draw(image)
    crop = None if event.evidence is None else event.evidence.crop_ltwh_px
    if crop is not None:
        _rectangle(draw, image, crop, event.frame_wh_px, colour=YELLOW, text="judged", below=True)
    _rectangle(draw, image, event.box_ltwh_px, event.frame_wh_px, colour=RED, text=caption(event))
    return _fit(image, settings)


def caption(event: IncidentEvent) -> str:
    """Say where, who, and what was compared: a picture is shown to others by itself."""
    side = ">=" if event.alert_when is AlertWhen.AT_OR_ABOVE else "<"
    score = f"p({event.score_label}) {event.smoothed:.2f} {side} {event.threshold:g}"
    return f"{event.source_id} person {event.person}: {score}"


def _rectangle(
    draw: ImageDraw.ImageDraw,
    image: Image.Image,
    ltwh_px: BoxLtwh,
    frame_wh_px: tuple[int, int],
    *,
    colour: tuple[int, int, int],
    text: str,
    below: bool = False,
) -> None:
    """Draw a box of the frame, and its text above it, or inside at the top or the bottom."""
    x, y = image.width / frame_wh_px[0], image.height / frame_wh_px[1]
    left, top, width, height = ltwh_px
    last = image.width - 1, image.height - 1
    corners = (left * x, top * y), ((left + width) * x, (top + height) * y)
    near, far = (tuple(min(max(v, 0), e) for v, e in zip(c, last, strict=True)) for c in corners)
    side_px = max(image.size)
    draw.rectangle((*near, *far), outline=colour, width=max(side_px // 400, 2))
    font = font_for(text, image.width, size=side_px / FONT_SIDES)
    _, _, right, bottom = draw.textbbox((0, 0), text, font=font)
    text_top = near[1] - bottom if near[1] >= bottom else near[1]
    at = min(near[0], max(image.width - right, 0)), far[1] - bottom if below else text_top
    draw.rectangle(draw.textbbox(at, text, font=font), fill=colour)
    draw.text(at, text, font=font, fill=(0, 0, 0) if colour == YELLOW else (255, 255, 255))


def font_for(
    text: str, width_px: int, *, size: float
) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font in which a text fits, as far as it can be read then."""
    font = ImageFont.load_default(size=size)
    # Widths of letters are whole pixels, so nothing follows from one size for another.
    while size > LEAST_FONT_PX and font.getlength(text) > width_px:
        size *= 0.9
        font = ImageFont.load_default(size=size)
    return font


def _fit(image: Image.Image, settings: SnapshotSettings) -> Picture:
    """Encode, with less quality and then with fewer pixels until it is small enough."""
    quality = settings.quality
    while True:
        memory = io.BytesIO()
        image.save(memory, "JPEG", quality=quality)
        if memory.tell() <= settings.max_bytes:
            return Picture(memory.getvalue(), image.size)
        if quality > LOWEST_QUALITY:
            quality = max(quality - QUALITY_STEP, LOWEST_QUALITY)
        else:
            image = image.reduce(2)
