"""SVG charts of one person's scores over time; no script, so a report opens anywhere."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH_PX: Final = 940
HEIGHT_PX: Final = 150
LEFT_PX: Final = 44
RIGHT_PX: Final = 12
TOP_PX: Final = 10
PLOT_HEIGHT_PX: Final = 100
BAR_TOP_PX: Final = TOP_PX + PLOT_HEIGHT_PX + 4

STATE_FILL: Final = {"safe": "#d7f0dc", "unsafe": "#f8d4d2", "unknown": "#fdebc8"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame of one person: stream time, scores between 0 and 1, state."""

    time_s: float
    score: float | None
    smoothed: float | None
    state: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time with a caption: an incident, seen or expected."""

    start_s: float
    end_s: float
    caption: str


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps stream time to the picture."""

    start_s: float
    end_s: float

    def x(self, time_s: float) -> float:
        """Return the horizontal position in pixels."""
        share = (time_s - self.start_s) / max(self.end_s - self.start_s, 1e-9)
        return LEFT_PX + min(max(share, 0.0), 1.0) * (WIDTH_PX - LEFT_PX - RIGHT_PX)


def y(score: float) -> float:
    """Return the vertical position of a score in pixels."""
    return TOP_PX + (1 - score) * PLOT_HEIGHT_PX


def score_chart(
    samples: Sequence[Sample],
    *,
    axis: Axis,
    threshold: float,
    incidents: Sequence[Span],
    expected: Sequence[Span],
) -> str:
    """Draw raw and smoothed scores with threshold, states and incidents.

    Args:
        samples: in order of time; at least one.
        axis: shared by all charts of a camera, so that they line up.
        threshold: drawn as a dashed line.
        incidents: as received from the broker.
        expected: from the renderer's truth.
    """
    parts = [
        (
            f'<svg viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" xmlns="http://www.w3.org/2000/svg" '
            'font-family="sans-serif" font-size="10" role="img">'
        ),
        *_state_bands(samples, axis),
        *_grid(axis, threshold),
        *_dots(samples, axis),
        *_line(samples, axis),
        *_bars(incidents, axis, top=BAR_TOP_PX, fill="#c4312a"),
        *_bars(expected, axis, top=BAR_TOP_PX + 12, fill="#6b7a8f"),
        "</svg>",
    ]
    return "".join(parts)


def _state_bands(samples: Sequence[Sample], axis: Axis) -> Iterable[str]:
    start = samples[0]
    for previous, sample in zip(samples, [*samples[1:], None], strict=True):
        if sample is None or sample.state != start.state or sample.time_s - previous.time_s > 1:
            left = axis.x(start.time_s)
            until_s = (
                previous.time_s if sample is None else min(sample.time_s, previous.time_s + 1)
            )
            right = axis.x(until_s)
            yield (
                f'<rect x="{left:.1f}" y="{TOP_PX}" width="{max(right - left, 0.5):.1f}" '
                f'height="{PLOT_HEIGHT_PX}" fill="{STATE_FILL[start.state]}"/>'
            )
            if sample is not None:
                start = sample


def _grid(axis: Axis, threshold: float) -> Iterable[str]:
    right = WIDTH_PX - RIGHT_PX
    for score in (0.0, 0.5, 1.0):
        yield (
            f'<line x1="{LEFT_PX}" x2="{right}" y1="{y(score)}" y2="{y(score)}" stroke="#bbb" '
            f'stroke-width="0.5"/><text x="{LEFT_PX - 6}" y="{y(score) + 3}" '
            f'text-anchor="end">{score:g}</text>'
        )
    yield (
        f'<line x1="{LEFT_PX}" x2="{right}" y1="{y(threshold):.1f}" y2="{y(threshold):.1f}" '
        'stroke="#333" stroke-dasharray="4 3"/>'
    )
    step_s = 5
    for time_s in range(0, int(axis.end_s) + 1, step_s):
        yield (
            f'<text x="{axis.x(time_s):.1f}" y="{HEIGHT_PX - 2}" text-anchor="middle" '
            f'fill="#666">{time_s} s</text>'
        )


def _dots(samples: Sequence[Sample], axis: Axis) -> Iterable[str]:
    for sample in samples:
        if sample.score is not None:
            yield (
                f'<circle cx="{axis.x(sample.time_s):.1f}" cy="{y(sample.score):.1f}" r="1.6" '
                'fill="#7a8fb5"/>'
            )


def _line(samples: Sequence[Sample], axis: Axis) -> Iterable[str]:
    points: list[str] = []
    for sample in samples:
        if sample.smoothed is None:
            continue
        points.append(f"{axis.x(sample.time_s):.1f},{y(sample.smoothed):.1f}")
    if points:
        yield (
            f'<polyline points="{" ".join(points)}" fill="none" stroke="#123a7a" '
            'stroke-width="1.4"/>'
        )


def _bars(spans: Sequence[Span], axis: Axis, *, top: float, fill: str) -> Iterable[str]:
    for span in spans:
        left, right = axis.x(span.start_s), axis.x(span.end_s)
        yield (
            f'<rect x="{left:.1f}" y="{top}" width="{max(right - left, 2):.1f}" height="9" '
            f'fill="{fill}"><title>{html.escape(span.caption)}</title></rect>'
        )
