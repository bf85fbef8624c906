"""One page about an exported model, for people: `<name>.report.html` beside the ONNX."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from export.drawing import geometry
from export.page import BAD, GOOD, bar, escape, page, section, table, tiles
from export.tensorrt_operators import RELEASE
from ropewatch.manifest import Manifest, PaddingCost, ParityFact, TensorFact

SUFFIX: Final = ".report.html"
# Operators that get a line of their own.
_MOST: Final = 14
# Decades below the tolerance that a bar shows.
_DECADES: Final = 6


def report_of(onnx: Path) -> Path:
    """Where the report of an ONNX file is."""
    return onnx.with_name(onnx.stem + SUFFIX)


def render(manifest: Manifest) -> str:
    """Return the page; everything on it is from the manifest."""
    columns = (
        (_tensors(manifest), _nvinfer(manifest)),
        (_operators(manifest), _origins(manifest)),
    )
    lead = _lead(manifest)
    return page(
        manifest.onnx.file,
        [
            tiles(_figures(manifest)),
            section("What the network sees", f"<figure>{geometry(manifest)}</figure>"),
            _parity(manifest),
            _padding(manifest.padding_cost) if manifest.kind == "detector" else "",
            *(f'<div class="two">{"".join(pair)}</div>' for pair in columns),
            _architecture(manifest),
            section("Licences", *(f"<p>{escape(note)}</p>" for note in manifest.licence_notes)),
        ],
        kicker="ropewatch export",
        lead=lead,
    )


def worst_by_quantity(manifest: Manifest) -> Iterator[tuple[str, ParityFact, list[int]]]:
    """Yield each quantity that was compared, its largest difference, and all batch sizes."""
    for quantity in dict.fromkeys(fact.quantity for fact in manifest.parity):
        facts = [fact for fact in manifest.parity if fact.quantity == quantity]
        worst = max(facts, key=lambda fact: fact.max_abs_difference / fact.tolerance)
        yield quantity, worst, [fact.batch for fact in facts]


def padding_words(cost: PaddingCost | None) -> str:
    """Return the cost of nvinfer's padding as a sentence without its full stop."""
    if cost is None:
        return "not measured: no pictures were given (--images)"
    words = (
        f"{cost.matched} of {cost.grey} detections on {cost.images} pictures found again, "
        f"{cost.missed} missed, {cost.extra} extra"
    )
    if cost.mean_iou is not None:
        words += (
            f"; mean IoU {cost.mean_iou:.3f}, score {cost.mean_score_change:+.4f} on average, "
            f"{cost.max_score_change:.4f} at most"
        )
    return words


def _lead(manifest: Manifest) -> str:
    what = {
        "crop": "Classifier for nvinfer: one expanded crop of a person a row",
        "frame": "Classifier of whole frames: pictures and boxes in, each box's probabilities out",
        "backbone": "Classifier of whole frames, first part: pictures in, token maps out",
        None: "Detector for nvinfer: rows of x1, y1, x2, y2, score, class",
    }[manifest.mode]
    return f"{what}. Labels: {', '.join(manifest.labels)}. From {manifest.weights.file}."


def _figures(manifest: Manifest) -> list[tuple[str, str]]:
    width, height = manifest.network_wh_px
    worst = max(
        fact.max_abs_difference / fact.tolerance for _, fact, _ in worst_by_quantity(manifest)
    )
    count = "not counted" if manifest.gmacs is None else f"{manifest.gmacs:.3g}"
    per = {"frame": "GMAC for a frame and a box", "crop": "GMAC for a person"}
    return [
        (f"{width} x {height}", "input, width x height in px"),
        (count, per.get(str(manifest.mode), "GMAC for a frame")),
        (f"{manifest.onnx.size_bytes / 1e6:.1f} MB", f"ONNX, opset {manifest.opset}"),
        (
            f"{100 * worst:.{0 if worst > 0.1 else 2}f} %",
            "of the tolerance, the largest difference",
        ),
    ]


def _tensors(manifest: Manifest) -> str:
    def line(way: str, tensor: TensorFact) -> list[str]:
        shape = " x ".join(escape(side) for side in tensor.shape)
        return [way, f"<code>{escape(tensor.name)}</code>", shape, tensor.dtype]

    rows = [line("in", tensor) for tensor in manifest.inputs]
    rows += [line("out", tensor) for tensor in manifest.outputs]
    return section("Inputs and outputs", table(["", "name", "shape", "type"], rows))


def _nvinfer(manifest: Manifest) -> str:
    how = manifest.preprocessing
    width, height = manifest.network_wh_px
    lines = [
        f"infer-dims=3;{height};{width}",
        f"net-scale-factor={how.net_scale_factor!r}",
        f"offsets={';'.join(f'{value:g}' for value in how.offsets)}",
        f"model-color-format={('RGB', 'BGR').index(how.model_color_format)}",
        f"maintain-aspect-ratio={int(how.maintain_aspect_ratio)}",
        f"symmetric-padding={int(how.symmetric_padding)}",
        f"scaling-filter={how.scaling_filter}",
    ]
    note = (
        '<p class="quiet">y = net-scale-factor * (x - offset); padding is zero bytes before that.'
        "</p>"
    )
    return section(
        "For nvinfer's configuration", f"<pre>{escape(chr(10).join(lines))}</pre>", note
    )


def _parity(manifest: Manifest) -> str:
    rows = []
    for quantity, fact, batches in worst_by_quantity(manifest):
        share = fact.max_abs_difference / fact.tolerance
        filled = 0.0 if share <= 0 else 1 + math.log10(share) / _DECADES
        colour = GOOD if share <= 1 else BAD
        rows.append(
            [
                escape(quantity),
                f"{fact.max_abs_difference:.1e}",
                f"{fact.tolerance:g}",
                bar(filled, colour=colour, label=f"{share:.2g} of the tolerance"),
                f'<span class="quiet">{", ".join(map(str, batches))}</span>',
            ]
        )
    derived = manifest.derived_from
    other = "the original in PyTorch" if derived is None else f"outputs of {derived.onnx.file}"
    return section(
        f"ONNX Runtime against {other}",
        table(
            ["quantity", "largest difference", "tolerance", "", "batches"], rows, numbers=(1, 2)
        ),
        '<p class="quiet">A full bar is the tolerance; each sixth less is a factor of ten. Made '
        "on a CPU: an engine is judged by <code>ropewatch engine verify</code>.</p>",
    )


def _padding(cost: PaddingCost | None) -> str:
    words = (
        '<p class="quiet">nvinfer pads with zero bytes where ultralytics trained with grey (114). '
        "The same pictures through this ONNX with both, the person and every other class apart:"
        "</p>"
    )
    if cost is None:
        return section(
            "What black padding costs", words, f"<p><b>{escape(padding_words(cost))}.</b></p>"
        )
    figures = [
        (f"{cost.matched} of {cost.grey}", f"detections found again, {cost.images} pictures"),
        (str(cost.missed), "missed with zero bytes"),
        (str(cost.extra), "extra with zero bytes"),
        ("-" if cost.mean_iou is None else f"{cost.mean_iou:.3f}", "mean IoU of the found"),
        (
            "-" if cost.mean_score_change is None else f"{cost.mean_score_change:+.4f}",
            "mean change of score"
            + ("" if cost.max_score_change is None else f", at most {cost.max_score_change:.4f}"),
        ),
    ]
    note = (
        f'<p class="quiet">Score at least {cost.score_min:g}, NMS at IoU {cost.nms_iou:g}, the '
        "same person from IoU 0.5.</p>"
    )
    return section("What black padding costs", words, tiles(figures), note)


def _operators(manifest: Manifest) -> str:
    ordered = sorted(manifest.operators.items(), key=lambda item: (-item[1], item[0]))
    most = ordered[0][1]
    rows = [[escape(name), str(count), bar(count / most)] for name, count in ordered[:_MOST]]
    rest = ordered[_MOST:]
    if rest:
        names = ", ".join(f"{name} {count}" for name, count in rest)
        rows.append([f'<span class="quiet">{escape(names)}</span>', "", ""])
    total = sum(manifest.operators.values())
    note = f'<p class="quiet">TensorRT {RELEASE} parses all of them.</p>'
    return section(f"{total} operators", table([], rows, numbers=(1,)), note)


def _origins(manifest: Manifest) -> str:
    facts: dict[str, str] = {
        "weights": f"{escape(manifest.weights.file)}<br><code>{manifest.weights.sha256}</code>",
        "ONNX": f"<code>{manifest.onnx.sha256}</code>",
    }
    if manifest.golden is not None:
        facts["golden outputs"] = f"{escape(manifest.golden.file)}"
    if manifest.derived_from is not None:
        facts["made from"] = f"{escape(manifest.derived_from.onnx.file)} by " + escape(
            manifest.derived_from.tool
        )
        half, full = (
            sum(counts.values())
            for counts in (
                manifest.derived_from.fp16_operators,
                manifest.derived_from.fp32_operators,
            )
        )
        facts["precision"] = f"{half} operators in float16, {full} left in float32"
    if manifest.attention is not None:
        facts["attention"] = escape(manifest.attention)
    if manifest.polarity is not None:
        side = manifest.polarity.alert_when.replace("_", " ")
        facts["alert"] = escape(f"p({manifest.polarity.score_label}) {side} the site's threshold")
    made = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    facts["made with"] = escape(made)
    return section("Where it comes from", table([], ([*item] for item in facts.items())))


def _architecture(manifest: Manifest) -> str:
    if manifest.architecture is None:
        return ""
    origins = manifest.architecture_origins or {}
    rows = [
        [
            f"<code>{escape(name)}</code>",
            escape(value if not isinstance(value, list | tuple) else ", ".join(map(str, value))),
            f'<span class="quiet">{escape(origins.get(name, "not recorded"))}</span>',
        ]
        for name, value in manifest.architecture.items()
    ]
    status = manifest.architecture_status
    words = {
        "verified": '<p class="good">Verified: its answers are those of the training code.</p>',
        "unverified": '<p class="bad">Unverified: what leaves no tensor behind, such as pooling '
        "and activation, was never compared with the training code.</p>",
    }
    return section(
        "Architecture", words.get(str(status), ""), table(["field", "value", "from"], rows)
    )
