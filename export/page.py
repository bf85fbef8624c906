"""Self-contained HTML pages without a script: style, tables, tiles and bars."""

import html
from collections.abc import Iterable, Sequence
from typing import Final

INK, QUIET, LINE, ACCENT = "#1c2733", "#5b6b7d", "#dde3ea", "#e06c1f"
GOOD, BAD = "#1c7a35", "#b3261e"

_STYLE: Final = f"""
*{{box-sizing:border-box}}
body{{font:15px/1.55 system-ui,"Segoe UI",Roboto,sans-serif;color:{INK};background:#f3f5f8;
margin:0}}
header{{background:#16212d;color:#fff;padding:2.2em 0 4.6em}}
header h1{{font-size:1.9em;margin:0;letter-spacing:-.01em}}
header p{{margin:.35em 0 0;color:#b9c6d4;max-width:50em}}
header .kicker{{color:{ACCENT};font-weight:650;letter-spacing:.08em;font-size:.78em;
text-transform:uppercase;margin:0 0 .5em}}
.wide{{max-width:1060px;margin:0 auto;padding:0 1.4em}}
main{{margin-top:-3.2em!important;padding-bottom:3em!important}}
section,.tile{{background:#fff;border:1px solid {LINE};border-radius:10px}}
section{{padding:1.3em 1.6em;margin:1.1em 0}}
h2{{font-size:1.08em;margin:0 0 .7em}}
h3{{font-size:.95em;margin:1.2em 0 .4em}}
.tiles{{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.9em}}
.tile{{padding:.85em 1.1em 1em}}
.tile b{{display:block;font-size:1.55em;line-height:1.25;font-weight:650;letter-spacing:-.01em}}
.tile span{{color:{QUIET};font-size:.85em}}
.two{{display:grid;grid-template-columns:1fr 1fr;gap:0 1.1em}}
.two section{{min-width:0;margin:0 0 1.1em}}
section>p:last-child{{margin-bottom:0}}
table{{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}}
td,th{{text-align:left;padding:.38em .8em .38em 0;border-bottom:1px solid {LINE};
vertical-align:top}}
tr:last-child td{{border-bottom:0}}
th{{color:{QUIET};font-weight:600;font-size:.85em}}
td.number,th.number{{text-align:right}}
code,pre{{font:13px/1.55 ui-monospace,"DejaVu Sans Mono",monospace}}
pre{{background:#f3f5f8;border-radius:6px;padding:.8em 1em;margin:0;overflow:auto}}
code{{overflow-wrap:anywhere}}td:first-child code{{white-space:nowrap}}
.quiet{{color:{QUIET}}}.good{{color:{GOOD};font-weight:650}}.bad{{color:{BAD};font-weight:650}}
figure{{margin:0}}figcaption{{color:{QUIET};font-size:.9em;margin-top:.5em}}
svg{{display:block;width:100%;height:auto}}
@media(max-width:760px){{.two{{grid-template-columns:1fr}}}}
@media print{{body,section,.tile{{background:#fff}}section{{break-inside:avoid}}}}
"""


def page(title: str, body: Iterable[str], *, kicker: str, lead: str) -> str:
    """Return a whole page; title, kicker and lead are text, body is HTML."""
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            f'<header><div class="wide"><p class="kicker">{escape(kicker)}</p>',
            f"<h1>{escape(title)}</h1><p>{escape(lead)}</p></div></header>",
            '<main class="wide">',
            *body,
            "</main></body></html>\n",
        ]
    )


def escape(text: object) -> str:
    """Return text as HTML."""
    return html.escape(str(text))


def section(title: str, *parts: str) -> str:
    """Return a card; title is text, parts are HTML."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def tiles(values: Sequence[tuple[str, str]]) -> str:
    """Return large figures with captions: (figure, caption), both text."""
    shown = (
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(caption)}</span></div>'
        for value, caption in values
    )
    return f'<div class="tiles">{"".join(shown)}</div>'


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()
) -> str:
    """Return a table.

    Args:
        head: text of the columns' heads; empty for a table without.
        rows: cells, HTML.
        numbers: columns that are set flush right.
    """
    kind = dict.fromkeys(numbers, ' class="number"')
    heads = "".join(f"<th{kind.get(i, '')}>{escape(cell)}</th>" for i, cell in enumerate(head))
    lines = (
        "<tr>"
        + "".join(f"<td{kind.get(i, '')}>{cell}</td>" for i, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f"<table>{f'<tr>{heads}</tr>' if head else ''}{''.join(lines)}</table>"


def bar(share: float, *, colour: str = ACCENT, label: str = "") -> str:
    """Return a horizontal bar, share of its width from 0 to 1, with text for who hovers."""
    width = 100 * min(max(share, 0), 1)
    return (
        '<svg viewBox="0 0 100 6" preserveAspectRatio="none" style="height:10px;min-width:90px;'
        f'margin-top:.45em" role="img"><title>{escape(label)}</title>'
        '<rect width="100" height="6" rx="1.5" fill="#edf0f4"/>'
        f'<rect width="{width:.2f}" height="6" rx="1.5" fill="{colour}"/></svg>'
    )
