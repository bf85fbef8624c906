"""A parity as a table for the terminal, as JSON and as a page."""

import base64
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Final

import cv2
from rich.console import Console
from rich.table import Table

from export.chain.answers import Column, Comparison, Person, pairs
from export.chain.frames import Frame
from export.chain.parity import Parity
from export.page import BAD, GOOD, escape, page, section, table, tiles

# Distinct for the colour-blind as well (Okabe and Ito), and each line of another width.
COLOURS: Final = {"pytorch": "#56b4e9", "onnx": "#f0e442", "graph": "#d55e00", "engine": "#cc79a7"}
_STROKES_PX: Final = {"pytorch": 9, "onnx": 6, "graph": 3, "engine": 1.5}
_SHOWN_WIDTH_PX: Final = 960


def print_parity(parity: Parity, console: Console) -> None:
    """Print columns, comparisons and causes."""
    for column in parity.columns:
        console.print(f"{column.title}: {column.note}", markup=False, highlight=False)
    shown = Table(title="largest differences from the ONNX, over all pictures")
    for head in ("column", "same persons", "missed", "extra", "box, px", "confidence"):
        shown.add_column(head, justify="right" if head != "column" else "left")
    shown.add_column(f"p({parity.label})", justify="right")
    shown.add_column("verdict")
    for each in parity.comparisons:
        shown.add_row(*_cells(each), "agrees" if each.agree else "DIFFERS")
    console.print(shown)
    for line in parity.refused:
        console.print(f"ropewatch run refuses {line}", markup=False, highlight=False)
    for cause in parity.causes:
        console.print(cause.sentence(), markup=False, highlight=False)


def as_json(parity: Parity) -> dict[str, Any]:
    """Everything as plain values."""
    return {
        "format": "ropewatch-parity-1",
        "agree": parity.agree,
        "score_label": parity.label,
        "refused": list(parity.refused),
        "columns": [
            {
                "key": column.key,
                "title": column.title,
                "note": column.note,
                "persons": None
                if column.persons is None
                else {
                    name: [dataclasses.asdict(person) for person in persons]
                    for name, persons in column.persons.items()
                },
            }
            for column in parity.columns
        ],
        "comparisons": [
            {**dataclasses.asdict(each), "agree": each.agree} for each in parity.comparisons
        ],
        "causes": [
            {**dataclasses.asdict(cause), "setting": cause.setting} for cause in parity.causes
        ],
    }


def as_page(parity: Parity) -> str:
    """Return a self-contained page: verdict, causes, and each picture with all boxes."""
    ran = [column for column in parity.columns if column.persons is not None]
    body = [
        tiles(
            [
                (str(len(parity.frames)), "pictures"),
                (f"{len(ran)} of {len(parity.columns)}", "columns could be run"),
                (str(sum(each.matched for each in parity.comparisons[-1:])), "persons compared"),
            ]
        ),
        *_refused(parity),
        *_likely(parity),
        section("Differences from the ONNX", _differences(parity), _legend(parity.columns)),
        *(_picture(frame, ran, parity.label) for frame in parity.frames),
    ]
    lead = "The same pictures through each link from the weights to the graph."
    return page(_verdict(parity, ran), body, kicker="ropewatch parity", lead=lead)


def _verdict(parity: Parity, ran: Sequence[Column]) -> str:
    """Say no more than what was run."""
    if not all(comparison.agree for comparison in parity.comparisons):
        return "Columns differ"
    if parity.refused:
        return "ropewatch run refuses these configurations"
    if len(ran) == len(parity.columns):
        return "All columns agree"
    return f"{len(ran)} of {len(parity.columns)} columns ran, and agree"


def _cells(each: Comparison) -> list[str]:
    numbers = (each.box_px, each.confidence, each.probability)
    return [
        each.other,
        *(str(count) for count in (each.matched, each.missed, each.extra)),
        *("-" if number is None else f"{number:.2g}" for number in numbers),
    ]


def _refused(parity: Parity) -> Iterator[str]:
    if parity.refused:
        lines = "".join(f"<p><code>{escape(line)}</code></p>" for line in parity.refused)
        yield section("ropewatch run refuses these configurations", lines)


def _likely(parity: Parity) -> Iterator[str]:
    for cause in parity.causes:
        rows = [
            [f"<code>{escape(trial.setting)}</code>", f"{trial.distance:.3g}"]
            for trial in cause.trials
        ]
        rows.append(["as exported", f"{cause.as_exported:.3g}"])
        yield section(
            f"Likely cause: {cause.setting or 'not found'}",
            f"<p>{escape(cause.sentence())}.</p>",
            table(["the ONNX run with", "distance from the graph"], rows, numbers=(1,)),
        )


def _differences(parity: Parity) -> str:
    rows = []
    for each in parity.comparisons:
        colour, word = (GOOD, "agrees") if each.agree else (BAD, "differs")
        wanted = each.tolerance
        cells = [escape(cell) for cell in _cells(each)]
        allowed = f"{wanted.box_px:g} px, {wanted.confidence:g}, {wanted.probability:g}"
        rows.append(
            [
                *cells,
                f'<span class="quiet">{allowed}</span>',
                f'<b style="color:{colour}">{word}</b>',
            ]
        )
    head = ["column", "same persons", "missed", "extra", "box, px", "confidence"]
    return table([*head, f"p({parity.label})", "tolerances", ""], rows, numbers=(1, 2, 3, 4, 5, 6))


def _legend(columns: Sequence[Column]) -> str:
    rows = []
    for column in columns:
        colour = COLOURS[column.key] if column.persons is not None else "#dde3ea"
        chip = (
            '<svg viewBox="0 0 30 12" style="width:30px;margin-top:.4em">'
            f'<rect width="30" height="12" rx="3" fill="{colour}"/></svg>'
        )
        note = f'<span class="quiet">{escape(column.note)}</span>'
        rows.append([chip, escape(column.title), note])
    return "<h3>Columns</h3>" + table([], rows)


def _picture(frame: Frame, columns: Sequence[Column], label: str) -> str:
    height, width = frame.rgb.shape[:2]
    scale = min(1, _SHOWN_WIDTH_PX / width)
    small = cv2.resize(frame.rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    content = base64.b64encode(jpeg.tobytes()).decode()
    boxes = "".join(
        _box(person, COLOURS[column.key], _STROKES_PX[column.key])
        for column in columns
        for person in (column.persons or {}).get(frame.name, ())
    )
    onnx = next(column for column in columns if column.key == "onnx")
    boxes += "".join(
        _number(person, number)
        for number, person in enumerate((onnx.persons or {}).get(frame.name, ()), 1)
    )
    drawing = (
        f'<svg viewBox="0 0 {width} {height}" role="img"><image width="{width}" '
        f'height="{height}" href="data:image/jpeg;base64,{content}"/>{boxes}</svg>'
    )
    return section(
        frame.name, f"<figure>{drawing}</figure>", _persons_table(frame.name, columns, label)
    )


def _box(person: Person, colour: str, stroke_px: float) -> str:
    left, top, right, bottom = person.box_xyxy_px
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{bottom - top:.1f}" fill="none" stroke="{colour}" stroke-width="{stroke_px}"/>'
    )


def _number(person: Person, number: int) -> str:
    left, top, *_ = person.box_xyxy_px
    top = max(top, 26)
    return (
        f'<rect x="{left - 4:.1f}" y="{top - 26:.1f}" width="{12 + 13 * len(str(number))}" '
        f'height="26" fill="#16212d"/><text x="{left + 2:.1f}" y="{top - 6:.1f}" fill="#fff" '
        f'font-family="system-ui,sans-serif" font-size="21">{number}</text>'
    )


def _persons_table(name: str, columns: Sequence[Column], label: str) -> str:
    """One line a person of the ONNX, then those that other columns alone have."""
    onnx = next(column for column in columns if column.key == "onnx")
    wanted = list((onnx.persons or {}).get(name, ()))
    rows = [[f"person {number}"] for number in range(1, len(wanted) + 1)]
    alone: list[list[str]] = []
    for column in columns:
        persons = list((column.persons or {}).get(name, ()))
        same = {each.one: each.other for each in pairs(wanted, persons)}
        for index, row in enumerate(rows):
            row.append(
                _words(persons[same[index]]) if index in same else '<b class="bad">none</b>'
            )
        for index, person in enumerate(persons):
            if index not in same.values():
                where = ", ".join(f"{value:.0f}" for value in person.box_xyxy_px)
                alone.append([f"{escape(column.title)} alone, at {where}: {_words(person)}"])
    if not rows and not alone:
        return '<p class="quiet">Nobody, in any column.</p>'
    head = ["", *(f"{column.title}" for column in columns)]
    extra = f'<p class="quiet">Confidence, then p({escape(label)}).</p>'
    lines = "".join(f'<p class="bad">{row[0]}</p>' for row in alone)
    return (table(head, rows) if rows else "") + lines + extra


def _words(person: Person) -> str:
    verdict = "not judged" if person.probability is None else f"{person.probability:.4f}"
    return f"{person.confidence:.4f}, {verdict}"
