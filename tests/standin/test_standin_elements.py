"""Properties: all of NVIDIA's are there, what has no effect says so, and failures are errors."""

import gc
import logging
import weakref
from pathlib import Path
from typing import Any

import pytest

from plugins.standin.activate import stand_in_names
from plugins.standin.gst import Gst
from tests.standin.pipelines import Run, play

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]

README = Path(__file__).parents[2] / "plugins" / "standin" / "README.md"


def classes() -> list[tuple[str, Any]]:
    return [(name, type(Gst.ElementFactory.make(name))) for name in stand_in_names()]


def test_every_property_without_effect_is_listed_in_the_readme() -> None:
    text = README.read_text()
    rows = {
        line.split("|")[1].strip().strip("`"): line
        for line in text.splitlines()
        if line.startswith("| `nv")
    }

    missing = [
        f"{name}.{item.name}"
        for name, kind in classes()
        for item in kind.PROPERTIES
        if not item.effect and f"`{item.name}`" not in rows.get(name, "")
    ]

    assert missing == []


def test_a_property_without_effect_is_accepted_and_warned_about_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, logger="ropewatch.standin"):
        for _ in range(2):
            tiler = Gst.ElementFactory.make("nvmultistreamtiler")
            tiler.set_property("gpu-id", 0)
            tiler.set_property("gpu-id", 3)

    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == [
        "property has no effect in the stand-in element=NvMultiStreamTiler property=gpu-id"
    ]
    assert tiler.get_property("gpu-id") == 3


def test_a_failing_element_is_an_error_on_the_bus_and_not_a_quiet_end() -> None:
    pipeline = Gst.parse_launch(
        "videotestsrc num-buffers=3 ! video/x-raw,format=NV12,width=16,height=16 "
        "! nvvideoconvert ! video/x-raw(memory:NVMM) ! nvdsosd name=osd ! fakesink"
    )

    run = play(pipeline, Run())

    assert not run.eos
    assert run.errors == [
        ("osd", "osd: the buffer has no batch metadata, want nvstreammux upstream")
    ]


def test_elements_are_freed_with_their_pipeline() -> None:
    pipeline = Gst.Pipeline()
    made = []
    for name in stand_in_names():
        element = Gst.ElementFactory.make(name)
        pipeline.add(element)
        made.append(weakref.ref(element))
    del element, pipeline
    gc.collect()

    assert [item() for item in made if item() is not None] == []
