"""The demo's report: one self-contained HTML page, to be looked at rather than read."""

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from demo.charts import Axis, Sample, Span, score_chart

MIN_SAMPLES: Final = 5
"""People seen in fewer frames get no chart; the page says how many there were."""

STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2733;background:#fff;margin:2em auto;
max-width:1000px;padding:0 1em}
h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2em}h3{font-size:1em;margin:1.2em 0 .2em}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3em .6em;
border-bottom:1px solid #dde3ea}th{color:#5b6b7d;font-weight:600}
.PASS{color:#1c7a35;font-weight:700}.FAIL{color:#b3261e;font-weight:700}
.big{font-size:1.2em;padding:.4em .8em;border-radius:6px;display:inline-block}
.big.PASS{background:#d7f0dc}.big.FAIL{background:#f8d4d2}
.key span{padding:0 .5em;margin-right:.8em;border-radius:3px}
.shot{width:22em;display:block}.shot:hover{width:44em}
figure{margin:0}svg{width:100%;height:auto}
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison with the truth.

    Attributes:
        verdict: PASS or FAIL.
        expected: what the truth asks for; a dash for an incident that it does not hold.
        seen: what arrived from the broker; a dash for an incident that did not come.
        incident_id: of the incident that came, None where none did.
    """

    camera: str
    person: str
    verdict: str
    expected: str
    seen: str
    incident_id: str | None = None


@dataclass(frozen=True, slots=True)
class PersonTrace:
    """One person as the graph saw them."""

    person: int
    samples: Sequence[Sample]
    incidents: Sequence[Span]


@dataclass(frozen=True, slots=True)
class CameraTrace:
    """One camera: everybody in it, and the incidents that the truth expects."""

    camera: str
    people: Sequence[PersonTrace]
    expected: Mapping[int, Sequence[Span]]
    unmatched: Sequence[Span]


def render(
    checks: Sequence[Check],
    cameras: Sequence[CameraTrace],
    *,
    threshold: float,
    rule: str,
    figures: Mapping[str, str],
    graph_svg: str,
    pictures: Mapping[str, bytes],
) -> str:
    """Return the page.

    Args:
        checks: comparison with the truth, one row each.
        cameras: traces for the charts.
        threshold: operating point, drawn in every chart.
        rule: the alert rule in words.
        figures: throughput and other numbers, caption to value.
        graph_svg: picture of the graph.
        pictures: JPEG of each incident's start, by incident id.
    """
    verdict = "PASS" if checks and all(check.verdict == "PASS" for check in checks) else "FAIL"
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f"<title>ropewatch demo: {verdict}</title><style>{STYLE}</style></head><body>",
            "<h1>ropewatch demo</h1>",
            f'<p class="big {verdict}">{verdict}: {_summary(checks)}</p>',
            f"<p>Alert rule: {html.escape(rule)}.</p>",
            "<h2>Incidents against the renderer's truth</h2>",
            _check_table(checks, pictures),
            "<h2>Figures</h2>",
            _figure_table(figures),
            "<h2>Scores over time</h2>",
            _legend(),
            *(_camera(camera, threshold) for camera in cameras),
            "<h2>The graph</h2><figure>",
            graph_svg,
            "</figure></body></html>",
        ]
    )


def _summary(checks: Sequence[Check]) -> str:
    passed = sum(check.verdict == "PASS" for check in checks)
    return f"{passed} of {len(checks)} checks"


def _check_table(checks: Iterable[Check], pictures: Mapping[str, bytes]) -> str:
    rows = "".join(
        f'<tr><td class="{check.verdict}">{check.verdict}</td><td>{html.escape(check.camera)}</td>'
        f"<td>{html.escape(check.person)}</td><td>{html.escape(check.expected)}</td>"
        f"<td>{html.escape(check.seen)}</td>"
        f"<td>{_picture(pictures.get(check.incident_id or ''))}</td></tr>"
        for check in checks
    )
    return (
        "<table><tr><th></th><th>camera</th><th>person</th><th>expected (truth)</th>"
        f"<th>received from the broker</th><th>its snapshot</th></tr>{rows}</table>"
    )


def _picture(jpeg: bytes | None) -> str:
    if jpeg is None:
        return "-"
    text = base64.b64encode(jpeg).decode()
    return f'<img class="shot" alt="snapshot" src="data:image/jpeg;base64,{text}">'


def _figure_table(figures: Mapping[str, str]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(caption)}</td><td>{html.escape(value)}</td></tr>"
        for caption, value in figures.items()
    )
    return f"<table>{rows}</table>"


def _legend() -> str:
    return (
        '<p class="key"><span style="background:#d7f0dc">safe</span>'
        '<span style="background:#f8d4d2">unsafe</span>'
        '<span style="background:#fdebc8">unknown</span>'
        '<span style="color:#7a8fb5">&#9679; raw score</span>'
        '<span style="color:#123a7a">&#9473; smoothed</span>'
        '<span style="color:#333">&#9476; threshold</span>'
        '<span style="color:#c4312a">&#9644; incident received</span>'
        '<span style="color:#6b7a8f">&#9644; incident expected</span></p>'
    )


def _camera(camera: CameraTrace, threshold: float) -> str:
    shown = [trace for trace in camera.people if len(trace.samples) >= MIN_SAMPLES]
    times = [sample.time_s for trace in shown for sample in trace.samples]
    if not times:
        return f"<h3>{html.escape(camera.camera)}: nobody was seen</h3>"
    axis = Axis(min(0.0, *times), max(times))
    parts = [f"<h3>{html.escape(camera.camera)}</h3>"]
    for trace in shown:
        chart = score_chart(
            trace.samples,
            axis=axis,
            threshold=threshold,
            incidents=trace.incidents,
            expected=camera.expected.get(trace.person, ()),
        )
        caption = f"person {trace.person}, {len(trace.samples)} frames"
        parts.append(f"<figure><figcaption>{caption}</figcaption>{chart}</figure>")
    hidden = len(camera.people) - len(shown)
    if hidden:
        parts.append(f"<p>{hidden} people in fewer than {MIN_SAMPLES} frames are not drawn.</p>")
    parts += [
        f'<p class="FAIL">expected and never received: {html.escape(span.caption)}</p>'
        for span in camera.unmatched
    ]
    return "".join(parts)
