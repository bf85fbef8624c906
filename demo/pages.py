"""From the demo's recording to its report: who was seen, how scored, how fast."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from calibration.evaluate import Evaluation
from calibration.metrics import Metrics
from deepstream.plan import make_plan
from deepstream.plan_views import to_svg
from demo.charts import Sample, Span
from demo.report import CameraTrace, Check, PersonTrace, render
from demo.truth import ExpectedIncident
from ropewatch import recording
from ropewatch.incidents import IncidentEvent, Phase
from ropewatch.recording import RecordedFrame
from ropewatch.settings import SiteSettings


def write_report(
    output: Path,
    site: SiteSettings,
    *,
    checks: Sequence[Check],
    expected: Mapping[str, Sequence[ExpectedIncident]],
    matched: Mapping[str, ExpectedIncident],
    evaluation: Evaluation,
    elapsed_s: float,
    delivery: Mapping[str, str],
    pictures: Mapping[str, Path],
) -> Path:
    """Write report.html beside the recording and return its path.

    Args:
        output: the demo's folder; holds recording.jsonl.
        site: settings of the run.
        checks: comparison with the truth.
        expected: incidents of the truth by camera.
        matched: expected incident that each received one was taken for, by incident id.
        evaluation: the scores judged frame by frame.
        elapsed_s: wall time of the run, start and engine loading included.
        delivery: figures of an outage, caption to value; empty without one.
        pictures: JPEG of each incident's start, by incident id.
    """
    frames: list[RecordedFrame] = []
    events: list[IncidentEvent] = []
    for row in recording.read(output / "recording.jsonl"):
        if isinstance(row, RecordedFrame):
            frames.append(row)
        elif isinstance(row, IncidentEvent):
            events.append(row)
    cameras = [
        _camera(source.id, frames, events, expected.get(source.id, ()), matched)
        for source in site.sources
    ]
    side = "at or above" if site.classifier.alert_when.value == "at_or_above" else "below"
    page = render(
        checks,
        cameras,
        threshold=site.decision.threshold,
        rule=f"smoothed p({site.classifier.score_label}) {side} {site.decision.threshold:g} for "
        f"{site.decision.open_after_s:g} s",
        figures={**_figures(frames, events, elapsed_s), **delivery, **judged(evaluation)},
        graph_svg=to_svg(make_plan(site)),
        pictures={name: path.read_bytes() for name, path in pictures.items()},
    )
    path = output / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def judged(evaluation: Evaluation) -> dict[str, str]:
    """Return the detector's and the classifier's figures against the truth, caption to value."""
    together = evaluation.together
    return {
        "persons found of those in the truth": f"{together.found} of {together.expected}, "
        f"{together.found_nobody} found where nobody is",
        "rope, single frame": _metrics(together.single_frame),
        "rope, smoothed": _metrics(together.smoothed),
    }


def _metrics(metrics: Metrics) -> str:
    named = (
        ("AP", metrics.average_precision),
        ("F1", metrics.f1),
        ("precision", metrics.precision),
        ("recall", metrics.recall),
    )
    shares = ", ".join(f"{name} {'-' if v is None else format(v, '.3f')}" for name, v in named)
    return f"{shares}; TP {metrics.tp}, FP {metrics.fp}, FN {metrics.fn}, TN {metrics.tn}"


def _figures(
    frames: Sequence[RecordedFrame], events: Sequence[IncidentEvent], elapsed_s: float
) -> dict[str, str]:
    persons = sum(len(frame.persons) for frame in frames)
    scored = sum(person.score is not None for frame in frames for person in frame.persons)
    return {
        "frames judged": str(len(frames)),
        "persons found in them": str(persons),
        "persons judged by the classifier": str(scored),
        "incident messages": str(len(events)),
        "wall time of the run, start included": f"{elapsed_s:.1f} s",
        "throughput": f"{len(frames) / max(elapsed_s, 1e-9):.1f} frames a second",
    }


def _camera(
    camera: str,
    frames: Sequence[RecordedFrame],
    events: Sequence[IncidentEvent],
    expected: Sequence[ExpectedIncident],
    matched: Mapping[str, ExpectedIncident],
) -> CameraTrace:
    samples: dict[int, list[Sample]] = defaultdict(list)
    for frame in frames:
        if frame.source_id == camera:
            for person in frame.persons:
                samples[person.person].append(
                    Sample(frame.pts_ns / 1e9, person.score, person.smoothed, person.state.value)
                )
    last_s = max((s.time_s for trace in samples.values() for s in trace), default=0.0)
    incidents = _spans(camera, events, last_s)
    taken: dict[int, list[Span]] = defaultdict(list)
    for event in events:
        wanted = matched.get(event.incident_id)
        if event.source_id == camera and event.phase is Phase.START and wanted is not None:
            taken[event.person].append(_expected_span(wanted))
    matched_here = {span.caption for spans in taken.values() for span in spans}
    return CameraTrace(
        camera,
        [PersonTrace(p, trace, incidents.get(p, ())) for p, trace in sorted(samples.items())],
        taken,
        [s for wanted in expected if (s := _expected_span(wanted)).caption not in matched_here],
    )


def _spans(camera: str, events: Sequence[IncidentEvent], last_s: float) -> dict[int, list[Span]]:
    """Return the incidents of each person of a camera; one without an end lasts to the end."""
    ends = {e.incident_id: e for e in events if e.phase is Phase.END}
    spans: dict[int, list[Span]] = defaultdict(list)
    for event in events:
        if event.phase is Phase.START and event.source_id == camera:
            end = ends.get(event.incident_id)
            end_s = last_s if end is None else end.pts_ns / 1e9
            reason = "no end" if end is None or end.end_reason is None else end.end_reason.value
            caption = f"{event.pts_ns / 1e9:.1f} s to {end_s:.1f} s, {reason}"
            spans[event.person].append(Span(event.pts_ns / 1e9, end_s, caption))
    return spans


def _expected_span(wanted: ExpectedIncident) -> Span:
    caption = (
        f"{wanted.person}: {wanted.start_s:.1f} s to {wanted.end_s:.1f} s, {wanted.end_reason}"
    )
    return Span(wanted.start_s, wanted.end_s, caption)
