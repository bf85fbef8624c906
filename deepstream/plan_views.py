"""The plan as JSON for machines, as dot for Graphviz and as SVG for people."""

import html
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from deepstream.plan import ElementSpec, Plan, PropertyValue, ViewSpec
from ropewatch.load import redact

BOX_WIDTH_PX: Final = 210
BOX_GAP_PX: Final = 26
LINE_HEIGHT_PX: Final = 15
COLUMNS: Final = 5
MAX_LINE_CHARS: Final = 32

COLOURS: Final = {
    "nvurisrcbin": "#d9ead3",
    "nvstreammux": "#d9ead3",
    "nvinfer": "#cfe2f3",
    "nvtracker": "#fff2cc",
    "queue": "#f3f3f3",
}


def to_json(plan: Plan) -> str:
    """Return the plan as a JSON object: elements, links, views, probes, what cameras go by."""
    return json.dumps(
        {
            "elements": [_described(element) for element in plan.elements],
            "links": [[link.upstream, link.downstream] for link in plan.links],
            "views": {
                view.camera: {
                    "taken_at": f"mux.sink_{view.index}",
                    "elements": [_described(element) for element in view.elements],
                }
                for view in plan.views
            },
            "probes": [
                {"stage": probe.stage, "element": probe.element, "pad": probe.pad}
                for probe in plan.probes
            ],
            "judging": plan.judging,
        },
        indent=2,
    )


def to_dot(plan: Plan) -> str:
    """Return the plan as a Graphviz digraph."""
    lines = ["digraph ropewatch {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];']
    lines += [_dot_box(element) for element in plan.elements]
    lines += [f'  "{link.upstream}" -> "{link.downstream}";' for link in plan.links]
    for view in plan.views:
        lines += [_dot_box(element) for element in view.elements]
        lines += [f'  "{one.name}" -> "{other.name}";' for one, other in _pairs(view)]
        taken = f'[style=dotted, label="{_taken_at(view)}"]'
        lines.append(f'  "mux" -> "{view.elements[0].name}" {taken};')
    lines += [
        f'  "{probe.element}.{probe.pad}: {probe.stage}" [shape=note];\n'
        f'  "{probe.element}" -> "{probe.element}.{probe.pad}: {probe.stage}" [style=dotted];'
        for probe in plan.probes
    ]
    return "\n".join([*lines, "}"])


def to_svg(plan: Plan) -> str:
    """Return the plan as a standalone SVG picture: sources on top, the trunk in rows below."""
    sources = [e for e in plan.elements if e.factory == "nvurisrcbin"]
    trunk = [e for e in plan.elements if e.factory != "nvurisrcbin"]
    probes = defaultdict(list)
    for probe in plan.probes:
        probes[probe.element].append(f"probe {probe.stage} on {probe.pad}")
    rows = [sources[i : i + COLUMNS] for i in range(0, len(sources), COLUMNS)]
    rows += [trunk[i : i + COLUMNS] for i in range(0, len(trunk), COLUMNS)]
    for view in plan.views:
        rows.append(list(view.elements))
        probes[view.elements[0].name].append(_taken_at(view))

    shapes: list[str] = []
    places: dict[str, _Place] = {}
    top = BOX_GAP_PX
    for row in rows:
        height = max(_box_height(element, probes[element.name]) for element in row)
        for column, element in enumerate(row):
            left = BOX_GAP_PX + column * (BOX_WIDTH_PX + BOX_GAP_PX)
            places[element.name] = _Place(left, top, height)
            shapes.append(_box(element, probes[element.name], places[element.name]))
        top += height + BOX_GAP_PX
    links = [(link.upstream, link.downstream) for link in plan.links]
    links += [(one.name, other.name) for view in plan.views for one, other in _pairs(view)]
    arrows = [_arrow(places[upstream], places[downstream]) for upstream, downstream in links]
    width = BOX_GAP_PX + COLUMNS * (BOX_WIDTH_PX + BOX_GAP_PX)
    return "\n".join([_svg_head(width, top), *arrows, *shapes, "</svg>"])


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a box stands, in pixels."""

    left: int
    top: int
    height: int

    @property
    def middle(self) -> int:
        return self.left + BOX_WIDTH_PX // 2


def _arrow(upstream: _Place, downstream: _Place) -> str:
    """Draw along a row, or down through the gap above the lower row."""
    if upstream.top == downstream.top:
        y = upstream.top + upstream.height // 2
        points = [(upstream.left + BOX_WIDTH_PX, y), (downstream.left, y)]
    else:
        gap = downstream.top - BOX_GAP_PX // 2
        points = [
            (upstream.middle, upstream.top + upstream.height),
            (upstream.middle, gap),
            (downstream.middle, gap),
            (downstream.middle, downstream.top),
        ]
    path = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline points="{path}" class="link" marker-end="url(#head)"/>'


def _svg_head(width: int, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11"><style>'
        ".link{stroke:#777;stroke-width:1.5;fill:none}.box{stroke:#555}"
        ".name{font-weight:bold;font-size:12px}.probe{fill:#a61c00}</style>"
        '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="7" refY="4" '
        'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#777"/></marker></defs>'
        '<rect width="100%" height="100%" fill="white"/>'
    )


def _box_height(element: ElementSpec, probes: list[str]) -> int:
    return LINE_HEIGHT_PX * (2 + len(element.properties) + len(probes)) + 10


def _box(element: ElementSpec, probes: list[str], place: _Place) -> str:
    lines = [(f"{element.name} ({element.factory})", "name")]
    lines += [(line, "property") for line in _property_lines(element)]
    lines += [(line, "probe") for line in probes]
    fill = COLOURS.get(element.factory, "#fce5cd")
    rect = (
        f'<rect x="{place.left}" y="{place.top}" width="{BOX_WIDTH_PX}" '
        f'height="{place.height}" rx="5" class="box" fill="{fill}"/>'
    )
    texts = [
        f'<text x="{place.left + 8}" y="{place.top + LINE_HEIGHT_PX * (n + 1)}" class="{style}">'
        f"{html.escape(line)}</text>"
        for n, (line, style) in enumerate(lines)
    ]
    return "\n".join([rect, *texts])


def _dot_box(element: ElementSpec) -> str:
    text = "\\n".join([f"{element.name} ({element.factory})", *_property_lines(element)])
    escaped = text.replace('"', '\\"')
    return f'  "{element.name}" [label="{escaped}"];'


def _pairs(view: ViewSpec) -> Iterator[tuple[ElementSpec, ElementSpec]]:
    return itertools.pairwise(view.elements)


def _taken_at(view: ViewSpec) -> str:
    return f"frames taken at mux.sink_{view.index}"


def _described(element: ElementSpec) -> dict[str, Any]:
    return {"name": element.name, "factory": element.factory, "properties": _shown(element)}


def _shown(element: ElementSpec) -> dict[str, PropertyValue]:
    """Return the properties without credentials."""
    return {
        key: redact(value) if isinstance(value, str) else value
        for key, value in element.properties.items()
    }


def _property_lines(element: ElementSpec) -> list[str]:
    """Return `key=value` lines, long values shortened from the left: a path ends in its name."""
    lines = []
    for key, value in _shown(element).items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        room = MAX_LINE_CHARS - len(key)
        if len(text) > room:
            text = "…" + text[-room:]
        lines.append(f"{key}={text}")
    return lines
