"""attach-sys-ts=0: a camera's own wall clock, by its RTCP sender reports."""

import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from demo.broker import free_port
from plugins.standin.elements.mux_ntp import CameraClock
from plugins.standin.elements.ntp_sync import reference_of
from plugins.standin.gst import Gst, object_at
from tests.pipeline.tiny_site import make_clip
from tests.rtsp_server import RtspServer
from tests.standin.pipelines import Run, play, watch

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]

NS = 1_000_000_000
UNIX_S = 1_700_000_000


def sync(**changes: Any) -> Any:
    """What rtpjitterbuffer tells: RTP time 90,000 after the base, which plays at 3 s."""
    header = bytes([0x80, changes.pop("kind", 200), 0, 6]) + bytes(4)
    ntp = (UNIX_S + 2_208_988_800).to_bytes(4, "big") + (2**31).to_bytes(4, "big")
    structure = Gst.Structure.new_from_string(
        "application/x-rtp-sync, base-rtptime=(guint64)1000, base-time=(guint64)3000000000, "
        "clock-rate=(uint)90000, sr-ext-rtptime=(guint64)91000"
    )
    structure.set_value("sr-buffer", Gst.Buffer.new_wrapped(header + ntp + bytes(12)))
    for name in changes:
        structure.remove_field(name.replace("_", "-"))
    return structure


def test_a_sender_report_gives_the_wall_clock_of_one_running_time() -> None:
    assert reference_of(sync()) == (UNIX_S * NS + NS // 2, 4 * NS)


@pytest.mark.parametrize("changes", [{"kind": 201}, {"base_time": None}, {"sr_buffer": None}])
def test_what_is_no_report_tells_nothing(changes: dict[str, Any]) -> None:
    assert reference_of(sync(**changes)) is None


def test_an_object_is_found_by_its_hash() -> None:
    element = Gst.ElementFactory.make("rtspsrc", None)

    assert object_at(hash(element)) is element


def test_frames_have_the_cameras_time_after_its_first_report(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", [("black", 200)])
    seen: list[tuple[int, int, float]] = []

    def note(batch: Any) -> None:
        frame = batch.frames[0]
        seen.append((frame.ntp_timestamp, frame.buf_pts, time.time()))

    with RtspServer(clip, free_port()) as camera:
        pipeline = Gst.parse_launch(
            "nvstreammux name=m batch-size=1 width=64 height=48 attach-sys-ts=0 "
            "! fakesink name=s sync=false async=false "
            f"nvurisrcbin uri={camera.url} select-rtp-protocol=4 ! m.sink_0"
        )
        watch(pipeline.get_by_name("s").get_static_pad("sink"), Run(), note)
        play(pipeline, Run(), until=lambda: sum(ntp > 0 for ntp, _, _ in seen) >= 10)

    told = [item for item in seen if item[0]]
    assert len(told) >= 10
    assert all(abs(ntp / NS - now_s) < 2 for ntp, _, now_s in told)
    steps = [(b[0] - a[0]) - (b[1] - a[1]) for a, b in itertools.pairwise(told)]
    # Between reports the camera's clock goes on with the stream's.
    assert sum(step == 0 for step in steps) >= len(steps) - 1


MS = 1_000_000


def clock(unix_ns: int = 1000 * MS, running_ns: int = 0) -> CameraClock:
    made = CameraClock()
    made.report(unix_ns, running_ns)
    return made


def test_there_is_no_time_before_the_first_report_nor_after_an_end() -> None:
    made = CameraClock()
    before = made.unix_ns(5 * MS, None)
    made.report(1000 * MS, 0)
    known = made.unix_ns(5 * MS, None)

    made.restart()

    assert (before, known, made.unix_ns(6 * MS, None)) == (0, 1005 * MS, 0)


@pytest.mark.parametrize(
    ("second_ms", "taken"),
    [
        pytest.param(1101, True, id="a-little-later"),
        pytest.param(1109, True, id="a-tenth-faster-at-most"),
        pytest.param(1110, False, id="too-fast"),
        pytest.param(900, False, id="backward"),
    ],
)
def test_a_report_that_does_not_fit_is_left_out(second_ms: int, taken: bool) -> None:
    made = clock()
    made.unix_ns(0, None)

    made.report(second_ms * MS, 100 * MS)

    assert made.unix_ns(100 * MS, None) == (second_ms if taken else 1100) * MS


@pytest.mark.parametrize(
    ("frame_ns", "third_ms"),
    [(None, 1130), (100 * MS, 1200), (0, 1200), (20 * MS, 1130)],
)
def test_frame_duration_replaces_a_time_that_comes_too_soon(
    frame_ns: int | None, third_ms: int
) -> None:
    made = clock()

    times = [made.unix_ns(at * MS, frame_ns) for at in (0, 100, 130)]

    assert times == [1000 * MS, 1100 * MS, third_ms * MS]


def test_several_surfaces_in_a_frame_are_refused() -> None:
    muxer, pipeline = Gst.ElementFactory.make("nvstreammux"), Gst.Pipeline()
    for name, value in (("batch-size", 4), ("width", 32), ("height", 32)):
        muxer.set_property(name, value)
    muxer.set_property("num-surfaces-per-frame", 4)
    pipeline.add(muxer)

    changed = pipeline.set_state(Gst.State.READY)
    message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)

    assert changed == Gst.StateChangeReturn.FAILURE
    assert "num-surfaces-per-frame: 4, want 1" in message.parse_error()[0].message
