"""The page about an exported model, made from a manifest alone."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from ropewatch.manifest import Manifest, PaddingCost, manifest_of

report = pytest.importorskip("export.report", reason="needs scripts/setup --export")

MODELS = Path(__file__).parents[2] / "demo/models"
COST = PaddingCost(
    images=3,
    score_min=0.35,
    nms_iou=0.7,
    grey=8,
    matched=6,
    missed=2,
    extra=1,
    mean_iou=0.97,
    mean_score_change=-0.0125,
    max_score_change=0.05,
)


class _Balanced(HTMLParser):
    """Collects what is opened and never closed."""

    ALONE = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in self.ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _manifest(name: str, **changes: Any) -> Manifest:
    manifest = Manifest.load(manifest_of(MODELS / f"{name}.onnx"))
    return manifest.model_copy(update=changes)


def _shown(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.mark.parametrize("name", ["person", "rope"])
def test_report_is_one_whole_page_without_anything_from_elsewhere(name: str) -> None:
    page = report.render(_manifest(name, gmacs=0.474))

    parser = _Balanced()
    parser.feed(page)
    assert parser.open == []
    assert not re.search(r"<script|src=|href=|@import|url\(", page)
    for drawing in re.findall(r"<figure>(<svg.*</svg>)</figure>", page):
        ET.fromstring(drawing)
    assert "0.474 GMAC" in _shown(page)


def test_report_of_a_detector_shows_letterbox_keys_and_cost_of_padding() -> None:
    page = _shown(report.render(_manifest("person", padding_cost=COST)))

    assert "ratio kept, 6 black rows above and below" in page
    assert "infer-dims=3;192;320" in page
    assert "6 of 8 detections found again, 3 pictures" in page
    assert "-0.0125 mean change of score, at most 0.0500" in page


def test_report_without_pictures_says_that_padding_was_not_measured() -> None:
    page = _shown(report.render(_manifest("person")))

    assert "not measured: no pictures were given (--images)" in page


def test_report_of_a_classifier_shows_what_was_never_verified() -> None:
    page = _shown(report.render(_manifest("rope", architecture_status="unverified")))

    assert "stretched to fit" in page
    assert "Unverified: what leaves no tensor behind" in page


def test_report_shows_a_difference_beyond_the_tolerance_in_red() -> None:
    (fact, *_) = _manifest("rope").parity
    wrong = fact.model_copy(update={"max_abs_difference": 2 * fact.tolerance})

    page = report.render(_manifest("rope", parity=(wrong,)))

    assert '<rect width="100.00" height="6" rx="1.5" fill="#b3261e"/>' in page
    assert "200 %" in _shown(page)


def test_report_writes_names_as_text() -> None:
    page = report.render(_manifest("rope", labels=("<b>roped", "unroped")))

    assert "&lt;b&gt;roped" in page
    assert "<b>roped" not in page


def test_padding_words_say_what_was_measured() -> None:
    words = report.padding_words(COST)

    assert words.startswith("6 of 8 detections on 3 pictures found again, 2 missed, 1 extra; ")
    assert words.endswith("mean IoU 0.970, score -0.0125 on average, 0.0500 at most")
