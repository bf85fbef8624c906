"""Batch metadata stays with its buffer through stock elements, and goes with it."""

import gc
import tracemalloc
from typing import Any

import pytest

from plugins.standin import buffer_meta, metadata
from plugins.standin import element as base
from plugins.standin.gst import Gst, c_gst

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]

CAPS = "video/x-raw(memory:NVMM), format=NV12, width=16, height=16, framerate=0/1"


def batch() -> metadata.NvDsBatchMeta:
    made = metadata.NvDsBatchMeta()
    frame = metadata.NvDsFrameMeta()
    frame.objects.append(metadata.NvDsObjectMeta())
    made.frames.append(frame)
    return made


def source_into(pipeline: Any, name: str) -> Any:
    """Make an active pad that is linked to a named element's sink pad."""
    pad = Gst.Pad.new("source", Gst.PadDirection.SRC)
    pad.set_active(True)
    pad.link(pipeline.get_by_name(name).get_static_pad("sink"))
    pipeline.set_state(Gst.State.PLAYING)
    pad.push_event(Gst.Event.new_stream_start("test"))
    pad.push_event(Gst.Event.new_caps(Gst.Caps.from_string(CAPS)))
    segment = Gst.Segment()
    segment.init(Gst.Format.TIME)
    pad.push_event(Gst.Event.new_segment(segment))
    return pad


def push_all(description: str, count: int) -> None:
    pipeline = Gst.parse_launch(description)
    pad = source_into(pipeline, "first")
    for _ in range(count):
        base.push(pad, base.new_batch_buffer(batch(), pts_ns=0, duration_ns=0))
    pad.push_event(Gst.Event.new_eos())
    message = pipeline.get_bus().timed_pop_filtered(
        20 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR
    )
    pipeline.set_state(Gst.State.NULL)
    assert message.type == Gst.MessageType.EOS


def test_metadata_is_found_by_buffer_and_by_address() -> None:
    buffer, attached = Gst.Buffer.new_allocate(None, 16, None), batch()

    buffer_meta.attach(buffer, attached)

    assert buffer_meta.get(buffer) is attached
    assert buffer_meta.get(hash(buffer)) is attached
    assert buffer_meta.get(Gst.Buffer.new()) is None


def test_a_shared_buffer_and_a_second_batch_are_refused() -> None:
    buffer = Gst.Buffer.new_allocate(None, 16, None)
    buffer_meta.attach(buffer, batch())

    with pytest.raises(ValueError, match="has batch metadata, want a buffer without"):
        buffer_meta.attach(buffer, batch())
    c_gst.gst_mini_object_ref(hash(buffer))
    with pytest.raises(ValueError, match="shared, want one that is held here alone"):
        buffer_meta.attach(buffer, batch())


def test_a_copied_buffer_has_a_deep_copy() -> None:
    buffer, attached = Gst.Buffer.new_allocate(None, 16, None), batch()
    buffer_meta.attach(buffer, attached)

    copied = buffer_meta.get(buffer.copy_deep())

    assert copied is not None
    assert copied is not attached
    assert copied.frames[0].objects[0] is not attached.frames[0].objects[0]


def test_a_straight_path_copies_no_metadata() -> None:
    before = buffer_meta.copy_count()

    push_all("identity name=first ! queue ! nvdsosd ! nvegltransform ! fakesink", 200)

    assert buffer_meta.copy_count() == before


def test_twenty_thousand_buffers_leave_no_live_object() -> None:
    gc.collect()
    before = buffer_meta.live_count(), metadata.live_objects()

    push_all(
        "tee name=first ! queue ! nvdsosd ! fakesink enable-last-sample=false sync=false "
        "first. ! queue ! identity ! fakesink enable-last-sample=false sync=false",
        20_000,
    )
    gc.collect()

    assert (buffer_meta.live_count(), metadata.live_objects()) == before


def test_a_text_that_is_read_again_and_again_costs_no_memory() -> None:
    item = metadata.NvDsObjectMeta()
    tracemalloc.start()

    for number in range(2000):
        item.text_params.display_text = f"person {number}"
        assert item.text_params.display_text
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert grown < 50_000
