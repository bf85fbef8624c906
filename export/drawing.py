"""How a frame or a crop becomes a network's input, drawn to scale as SVG."""

from typing import Final

import numpy as np

from export.page import ACCENT, INK, LINE, QUIET
from ropewatch.boxes import crop_boxes
from ropewatch.manifest import Manifest
from ropewatch.preprocess import place
from ropewatch.settings import ExpansionSettings

# The muxer's frame as ropewatch has it by default, and someone in it.
FRAME_WH_PX: Final = (1280, 720)
PERSON_LTWH_PX: Final = (560.0, 150.0, 110.0, 250.0)

_WIDTH, _HEIGHT, _TOP = 1000, 318, 34
_FRAME_WIDTH, _NETWORK_LEFT, _NETWORK_WH = 440, 560, (430, 248)
_SKY, _FLOOR, _PADDING = "#e8eef5", "#cfd9e4", "#16212d"


def geometry(manifest: Manifest) -> str:
    """Return the picture for a model."""
    scale = _FRAME_WIDTH / FRAME_WH_PX[0]
    frame_h = FRAME_WH_PX[1] * scale
    network_wh = manifest.network_wh_px
    zoom = min(_NETWORK_WH[0] / network_wh[0], _NETWORK_WH[1] / network_wh[1])
    shown_w, shown_h = (side * zoom for side in network_wh)
    left, top = _NETWORK_LEFT + (_NETWORK_WH[0] - shown_w) / 2, _TOP
    whole = (0.0, 0.0, float(FRAME_WH_PX[0]), float(FRAME_WH_PX[1]))
    taken = _crop(network_wh) if manifest.mode == "crop" else whole
    parts = [
        (
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" xmlns="http://www.w3.org/2000/svg" '
            f'font-family="system-ui,sans-serif" font-size="13" fill="{QUIET}" role="img">'
        ),
        _text(_FRAME_WIDTH / 2, 20, f"frame of the muxer, {FRAME_WH_PX[0]} x {FRAME_WH_PX[1]}"),
        (
            f'<svg x="0" y="{_TOP}" width="{_FRAME_WIDTH}" height="{frame_h:.1f}" '
            f'viewBox="0 0 {FRAME_WH_PX[0]} {FRAME_WH_PX[1]}">{_scene()}{_boxes(manifest)}</svg>'
        ),
        _arrow(_FRAME_WIDTH + 22, _NETWORK_LEFT - 6, _TOP + frame_h / 2),
        _text(left + shown_w / 2, 20, f"input of the network, {network_wh[0]} x {network_wh[1]}"),
        _input(manifest, taken, (left, top, shown_w, shown_h)),
        "</svg>",
    ]
    return "".join(parts)


def _crop(network_wh: tuple[int, int]) -> tuple[float, float, float, float]:
    """What the classifier looks at: left, top, width, height in the frame."""
    crop = crop_boxes(
        np.array([PERSON_LTWH_PX]),
        expansion=ExpansionSettings(),
        frame_wh_px=FRAME_WH_PX,
        network_wh_px=network_wh,
    )[0]
    left, top, width, height = (float(value) for value in crop)
    return left, top, width, height


def _scene() -> str:
    """A frame's worth of building site: floor, edge, rope, and a person on it."""
    x, y, width, height = PERSON_LTWH_PX
    middle, head = x + width / 2, width * 0.19
    body = y + 2.1 * head
    limbs = f'stroke="{INK}" stroke-width="22" stroke-linecap="round" fill="none"'
    return (
        f'<rect width="1280" height="720" fill="{_SKY}"/>'
        f'<path d="M0 620H1280V720H0Z" fill="{_FLOOR}"/>'
        f'<path d="M300 400H1010" stroke="#9fb0c2" stroke-width="16"/>'
        f'<path d="M340 400V620M960 400V620M340 500L960 620" stroke="#b9c6d4" stroke-width="9"/>'
        f'<path d="M{middle} {body + 30}Q{middle + 150} {y + 60} 900 0" stroke="{ACCENT}" '
        'stroke-width="8" fill="none"/>'
        f'<circle cx="{middle}" cy="{y + head}" r="{head}" fill="{INK}"/>'
        f'<path d="M{middle - head - 5} {y + head}a{head + 5} {head + 5} 0 0 1 '
        f'{2 * (head + 5)} 0Z" fill="{ACCENT}"/>'
        f'<path d="M{middle - 26} {body}h52v92h-52Z" fill="{INK}" stroke="{INK}" '
        'stroke-width="12" stroke-linejoin="round"/>'
        f'<path d="M{middle - 30} {body + 8}L{x + 8} {body + 84}M{middle + 30} {body + 8}'
        f'L{x + width - 8} {body + 84}" {limbs}/>'
        f'<path d="M{middle - 16} {body + 96}L{middle - 24} {y + height - 12}'
        f'M{middle + 16} {body + 96}L{middle + 24} {y + height - 12}" {limbs}/>'
    )


def _boxes(manifest: Manifest) -> str:
    """The person's box, and the part that the classifier looks at, in frame px."""
    if manifest.kind == "detector":
        return ""
    left, top, width, height = _crop(manifest.network_wh_px)
    x, y, w, h = PERSON_LTWH_PX
    return (
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="{ACCENT}" '
        f'fill-opacity=".1" stroke="{ACCENT}" stroke-width="7" stroke-dasharray="22 14"/>'
        f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="none" stroke="{INK}" '
        'stroke-width="6"/>'
        f'<g font-size="34" fill="{INK}" text-anchor="middle">'
        f'<text x="{x - w / 2}" y="{y + h / 2}">1 w</text>'
        f'<text x="{x + w * 1.5}" y="{y + h / 2}">1 w</text>'
        f'<text x="{x + w / 2}" y="{y + h + 190}">1.5 h</text></g>'
    )


def _input(
    manifest: Manifest,
    taken_ltwh: tuple[float, float, float, float],
    shown_ltwh: tuple[float, float, float, float],
) -> str:
    """The network's input with what was taken of the frame in it."""
    left, top, shown_w, shown_h = shown_ltwh
    network_w, network_h = manifest.network_wh_px
    how = manifest.preprocessing
    placed = place(
        (round(taken_ltwh[2]), round(taken_ltwh[3])),
        (network_w, network_h),
        keep_aspect=how.maintain_aspect_ratio,
        symmetric=how.symmetric_padding,
    )
    view = " ".join(f"{value:g}" for value in taken_ltwh)
    free = (network_w - placed.width, network_h - placed.height)
    words = "stretched to fit"
    if any(free):
        where = ("beside", "above and below")[free[1] > 0]
        each = max(free) // 2 if how.symmetric_padding else max(free)
        where = where if how.symmetric_padding else ("on the right", "below")[free[1] > 0]
        words = f"ratio kept, {each} black {'rows' if free[1] else 'columns'} {where}"
    elif how.maintain_aspect_ratio:
        words = "ratio kept, nothing left over"
    boxes = _boxes(manifest) if manifest.mode == "frame" else ""
    return (
        f'<svg x="{left:.1f}" y="{top}" width="{shown_w:.1f}" height="{shown_h:.1f}" '
        f'viewBox="0 0 {network_w} {network_h}">'
        f'<rect width="{network_w}" height="{network_h}" fill="{_PADDING}"/>'
        f'<svg x="{placed.offset_left}" y="{placed.offset_top}" width="{placed.width}" '
        f'height="{placed.height}" viewBox="{view}" preserveAspectRatio="none">'
        f"{_scene()}{boxes}</svg></svg>"
        f'<rect x="{left:.1f}" y="{top}" width="{shown_w:.1f}" height="{shown_h:.1f}" '
        f'fill="none" stroke="{LINE}"/>' + _text(left + shown_w / 2, top + shown_h + 22, words)
    )


def _arrow(start: float, end: float, y: float) -> str:
    return (
        f'<path d="M{start} {y}H{end}m-11 -8l11 8l-11 8" stroke="{QUIET}" stroke-width="2.5" '
        'fill="none" stroke-linecap="round" stroke-linejoin="round"/>'
    )


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{text}</text>'
