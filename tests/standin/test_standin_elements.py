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


@pytest.mark.parametrize(
    ("element", "name", "nick", "number"),
    [
        ("nvvideoconvert", "flip-method", "rotate-180", 2),
        ("nvvideoconvert", "interpolation-method", "Bilinear", 1),
        ("nvvideoconvert", "nvbuf-memory-type", "nvbuf-mem-cuda-unified", 3),
        ("nvstreammux", "compute-hw", "VIC", 2),
        ("nvmultistreamtiler", "compute-hw", "GPU", 1),
        ("nvdsosd", "process-mode", "MODE_CPU", 0),
        ("nvinfer", "process-mode", "secondary", 2),
        ("nvtracker", "compute-hw", "Default", 0),
        ("nvurisrcbin", "type", "rtsp", 2),
        ("nvurisrcbin", "select-rtp-protocol", "rtp-http", 10),
        ("nvurisrcbin", "dec-skip-frames", "decode_key", 2),
        ("nvurisrcbin", "smart-record", "smart-rec-multi", 2),
        ("nvv4l2decoder", "skip-frames", "decode_non_ref", 1),
        ("nvv4l2h264enc", "profile", "High", 4),
        ("nvv4l2h264enc", "preset-level", "SlowPreset", 4),
        ("nvv4l2h265enc", "control-rate", "variable_bitrate", 0),
    ],
)
def test_an_enum_is_set_by_its_name_and_by_its_number(
    element: str, name: str, nick: str, number: int
) -> None:
    named = Gst.parse_launch(f"{element} {name}={nick}")
    numbered = Gst.ElementFactory.make(element)
    numbered.set_property(name, number)

    assert [made.get_property(name) for made in (named, numbered)] == [number, number]
    assert named.find_property(name).value_type.parent.name == "GEnum"


def test_a_failing_element_is_an_error_on_the_bus_and_not_a_quiet_end() -> None:
    pipeline = Gst.parse_launch(
        "videotestsrc num-buffers=3 ! video/x-raw,format=NV12,width=16,height=16 "
        "! nvvideoconvert ! video/x-raw(memory:NVMM) ! nvtracker name=it ! fakesink"
    )

    run = play(pipeline, Run())

    assert not run.eos
    assert run.errors == [
        ("it", "it: the buffer has no batch metadata, want nvstreammux upstream")
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
