"""Encoders: what their properties make of the stream, read from its bytes."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from plugins.standin.gst import Gst
from tests.standin.pipelines import Feed, Run, play, wait_for

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]

FRAMES = 24
H264_SPS, H264_IDR, H264_AUD = 7, 5, 9
H265_SPS, H265_IDR, H265_AUD = 33, {19, 20}, 35


def encoded(folder: Path, encoder: str) -> bytes:
    """Encode noise of 96 x 64 at 12 frames a second and return the stream."""
    file = folder / "out.bin"
    pipeline = Gst.parse_launch(
        "nvstreammux name=mux batch-size=1 width=96 height=64 ! nvvideoconvert "
        f"! {encoder} ! filesink location={file} "
        f"videotestsrc num-buffers={FRAMES} pattern=snow ! video/x-raw,width=96,height=64,"
        "framerate=12/1 ! mux.sink_0"
    )
    run = play(pipeline, Run())
    assert run.eos, run.errors
    return file.read_bytes()


def nal_units(stream: bytes) -> list[bytes]:
    return [unit for unit in re.split(b"\0\0\0?\1", stream) if unit]


def h264(stream: bytes, kind: int) -> list[bytes]:
    return [unit for unit in nal_units(stream) if unit[0] & 0x1F == kind]


def h265(stream: bytes, kinds: set[int]) -> list[bytes]:
    return [unit for unit in nal_units(stream) if unit[0] >> 1 & 0x3F in kinds]


def settings(stream: bytes) -> dict[str, str]:
    """Read what x264 and x265 write about themselves into the first picture."""
    text = stream.decode("latin-1")
    return dict(re.findall(r"([a-z0-9_-]+)=([-0-9.a-z]+)", text[text.index("options:") :]))


@pytest.mark.parametrize(
    ("profile", "profile_idc"),
    [("", 66), ("profile=0", 66), ("profile=2", 77), ("profile=4", 100)],
)
def test_the_profile_is_the_one_that_was_set(
    tmp_path: Path, profile: str, profile_idc: int
) -> None:
    stream = encoded(tmp_path, f"nvv4l2h264enc {profile}")

    assert h264(stream, H264_SPS)[0][1] == profile_idc


def test_a_profile_without_an_equivalent_is_named_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="ropewatch.standin"):
        stream = encoded(tmp_path, "nvv4l2h264enc profile=2 profile=7")

    assert "profile=7, want one of 0 (constrained-baseline)" in caplog.text
    assert h264(stream, H264_SPS)[0][1] == 77


@pytest.mark.parametrize(
    ("intervals", "count"),
    [("iframeinterval=8", 3), ("idrinterval=12", 2), ("iframeinterval=8 idrinterval=6", 4)],
)
def test_the_shorter_interval_makes_the_idr_frames(
    tmp_path: Path, intervals: str, count: int
) -> None:
    avc = encoded(tmp_path, f"nvv4l2h264enc {intervals}")
    hevc = encoded(tmp_path, f"nvv4l2h265enc {intervals}")

    assert len(h264(avc, H264_IDR)) == count
    assert len(h265(hevc, H265_IDR)) == count


@pytest.mark.parametrize(("level", "analysis"), [(1, "0"), (2, "6"), (4, "8")])
def test_the_preset_level_is_x264_s_preset_of_that_name(
    tmp_path: Path, level: int, analysis: str
) -> None:
    stream = encoded(tmp_path, f"nvv4l2h264enc profile=4 preset-level={level}")

    assert settings(stream)["subme"] == analysis


def test_b_frames_need_a_profile_that_has_them(tmp_path: Path) -> None:
    high = settings(encoded(tmp_path, "nvv4l2h264enc profile=4 num-B-Frames=2"))
    baseline = settings(encoded(tmp_path, "nvv4l2h264enc num-B-Frames=2"))

    assert (high["bframes"], baseline["bframes"]) == ("2", "0")


def test_rates_are_kilobits_and_the_buffer_is_the_vbv_size(tmp_path: Path) -> None:
    avc = settings(encoded(tmp_path, "nvv4l2h264enc bitrate=500000 vbv-size=250000"))
    constant = settings(encoded(tmp_path, "nvv4l2h265enc bitrate=500000 vbv-size=250000"))
    variable = settings(encoded(tmp_path, "nvv4l2h265enc bitrate=500000 control-rate=0"))
    peak = settings(
        encoded(tmp_path, "nvv4l2h265enc bitrate=500000 control-rate=0 peak-bitrate=900000")
    )

    assert (avc["bitrate"], avc["vbv_maxrate"], avc["vbv_bufsize"]) == ("500", "500", "250")
    assert (constant["vbv-maxrate"], constant["vbv-bufsize"]) == ("500", "250")
    assert (variable["vbv-maxrate"], variable["vbv-bufsize"]) == ("600", "4000")
    assert peak["vbv-maxrate"] == "900"


@pytest.mark.parametrize("wanted", [False, True])
def test_delimiters_and_repeated_headers_are_as_told(tmp_path: Path, wanted: bool) -> None:
    switches = f"insert-aud={wanted} insert-sps-pps={wanted} iframeinterval=8"

    avc = encoded(tmp_path, f"nvv4l2h264enc {switches}")
    hevc = encoded(tmp_path, f"nvv4l2h265enc {switches}")

    assert len(h264(avc, H264_AUD)) == (FRAMES if wanted else 0)
    assert len(h265(hevc, {H265_AUD})) == (FRAMES if wanted else 0)
    # x264 repeats them in any case.
    assert len(h264(avc, H264_SPS)) == 3
    assert (len(h265(hevc, {H265_SPS})) >= 3) is wanted


def test_the_usability_information_is_in_the_headers_if_it_is_wanted(tmp_path: Path) -> None:
    without, having = (
        len(h264(encoded(tmp_path, f"nvv4l2h264enc insert-vui={wanted}"), H264_SPS)[0])
        for wanted in (False, True)
    )

    assert having > without


def test_a_variable_rate_of_h264_keeps_the_mean_alone(tmp_path: Path) -> None:
    stream = encoded(tmp_path, "nvv4l2h264enc bitrate=500000 control-rate=variable_bitrate")

    found = settings(stream)
    assert (found["rc"], found["bitrate"]) == ("abr", "500")
    assert "vbv_maxrate" not in found


@pytest.mark.parametrize("encoder", ["nvv4l2h264enc", "nvv4l2h265enc"])
def test_an_idr_frame_comes_when_the_application_asks(tmp_path: Path, encoder: str) -> None:
    file = tmp_path / "out.bin"
    pipeline = Gst.parse_launch(
        f"nvstreammux name=mux batch-size=1 width=96 height=64 ! {encoder} name=encoder "
        f"iframeinterval=0 idrinterval=0 ! filesink location={file} sync=false"
    )
    feed = Feed(pipeline.get_by_name("mux"), 0, wh=(96, 64))
    sent: list[int] = []
    pad = pipeline.get_by_name("encoder").get_static_pad("src")
    watch_buffers(pad, sent)
    pipeline.set_state(Gst.State.PLAYING)
    feed.start()
    for number in range(12):
        if number == 6:
            assert wait_for(lambda: len(sent) >= 4)
            pipeline.get_by_name("encoder").emit("force-IDR")
        feed.push(number * Gst.SECOND // 10, grey=20 * number)
    feed.end()
    bus = pipeline.get_bus()
    assert bus.timed_pop_filtered(30 * Gst.SECOND, Gst.MessageType.EOS) is not None
    pipeline.set_state(Gst.State.NULL)

    stream = file.read_bytes()
    units = h264(stream, H264_IDR) if "264" in encoder else h265(stream, H265_IDR)
    assert len(units) == 2


def watch_buffers(pad: Any, sent: list[int]) -> None:
    def note(_pad: Any, info: Any) -> Gst.PadProbeReturn:
        sent.append(info.get_buffer().pts)
        return Gst.PadProbeReturn.OK

    pad.add_probe(Gst.PadProbeType.BUFFER, note)
