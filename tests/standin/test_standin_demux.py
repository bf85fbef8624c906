"""nvstreamdemux: frames, metadata and the end of each source on a pad of its own."""

from typing import Any

import pytest

from plugins.standin.gst import Gst
from tests.standin.pipelines import Run, play, watch

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]

CLIP = "videotestsrc num-buffers={} ! video/x-raw,width=64,height=48,framerate=10/1"


def test_each_source_gets_its_own_frames_as_batches_of_one() -> None:
    pipeline = Gst.parse_launch(
        "nvstreammux name=m batch-size=2 width=64 height=48 ! nvstreamdemux name=d "
        "d.src_0 ! queue ! nvvideoconvert ! nvdsosd ! identity name=a ! fakesink sync=false "
        "d.src_1 ! queue ! identity name=b ! fakesink sync=false "
        f"{CLIP.format(6)} ! m.sink_0 {CLIP.format(3)} ! m.sink_1"
    )
    seen: dict[str, list[Any]] = {"a": [], "b": []}
    for name, batches in seen.items():
        watch(pipeline.get_by_name(name).get_static_pad("sink"), Run(), batches.append)

    play(pipeline, Run())

    frames = {
        name: [(f.pad_index, f.frame_num, f.batch_id) for batch in batches for f in batch.frames]
        for name, batches in seen.items()
    }
    assert frames == {
        "a": [(0, number, 0) for number in range(6)],
        "b": [(1, number, 0) for number in range(3)],
    }
    assert {len(batch.surfaces) for batches in seen.values() for batch in batches} == {1}
