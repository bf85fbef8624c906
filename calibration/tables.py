"""Evaluations as tables for a terminal."""

from rich.console import Console
from rich.table import Table

from calibration.evaluate import Evaluation, Result
from calibration.metrics import Metrics


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Two tables, persons found and ropes judged, and what was left out."""
    terms = evaluation.terms
    results = dict(evaluation.cameras)
    if len(results) > 1:
        results["all"] = evaluation.together
    people = Table(title="persons, counted frame by frame", title_justify="left")
    for heading in ("camera", "frames", "expected", "found", "recall", "false", "not judged"):
        people.add_column(heading, justify="left" if heading == "camera" else "right")
    for camera, result in results.items():
        people.add_row(camera, *_people(result))
    ropes = Table(
        title=f"ropes; unsafe is {terms.alert_when.value} {terms.threshold:g}",
        title_justify="left",
    )
    headings = ("camera", "score", "n", "AP", "F1", "precision", "recall", "TP", "FP", "FN", "TN")
    for heading in headings:
        ropes.add_column(heading, justify="left" if heading in headings[:2] else "right")
    for camera, result in results.items():
        ropes.add_row(camera, "single frame", *_rope(result.single_frame))
        ropes.add_row("", "smoothed", *_rope(result.smoothed))
    console.print(people, ropes, sep="\n")
    for note in (*evaluation.notes, *_left_out(evaluation.together)):
        console.print(note, highlight=False)


def _people(result: Result) -> tuple[str, ...]:
    recall = result.found / result.expected if result.expected else None
    unjudged = result.without_score + result.not_finite
    counts = (result.frames, result.expected, result.found)
    return (*map(str, counts), _share(recall), str(result.found_nobody), str(unjudged))


def _rope(metrics: Metrics) -> tuple[str, ...]:
    shares = (metrics.average_precision, metrics.f1, metrics.precision, metrics.recall)
    counts = (metrics.tp, metrics.fp, metrics.fn, metrics.tn)
    return (str(metrics.samples), *map(_share, shares), *map(str, counts))


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _left_out(result: Result) -> tuple[str, ...]:
    notes = []
    if result.frames_beyond_truth:
        notes.append(f"{result.frames_beyond_truth} frames after the truth's end were left out")
    if result.found_hardly_visible:
        notes.append(f"{result.found_hardly_visible} persons hardly visible were left out")
    if result.not_finite:
        notes.append(
            f"{result.not_finite} scores were no numbers: the model or its engine is broken"
        )
    return tuple(notes)
