"""The graph on a release whose element lacks a property that came later."""

import logging

import pytest

from deepstream.graph import build_graph
from deepstream.gst import Gst
from deepstream.plan import ElementSpec, Plan
from ropewatch import element_properties
from ropewatch.errors import SettingsError
from ropewatch.nvinfer_keys import Since

pytestmark = pytest.mark.gst

# A stock element stands for an older release's: it has "silent" and lacks "came-later".
LACKING = Plan((ElementSpec("one", "identity", {"came-later": 1, "silent": False}),), (), ())


@pytest.fixture(autouse=True)
def gstreamer() -> None:
    Gst.init(None)


def test_what_only_later_releases_have_is_left_out_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    table = {("identity", "came-later"): Since.MAYBE_7_1}
    monkeypatch.setattr(element_properties, "PROPERTIES_SINCE", table)

    with caplog.at_level(logging.WARNING):
        graph = build_graph(LACKING, {}, lambda _: iter(()))

    assert graph.elements["one"].get_property("silent") is False
    (record,) = caplog.records
    assert record.getMessage() == (
        "property not in this release, left out element=one property=came-later"
    )


def test_what_every_release_has_is_never_left_out() -> None:
    with pytest.raises(SettingsError, match=r"one: property came-later=1: .*gst-inspect-1\.0"):
        build_graph(LACKING, {}, lambda _: iter(()))
