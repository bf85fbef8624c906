"""The element: which tracker has which source, what events do to ids, what is said at start."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from plugins.standin import events
from plugins.standin.gst import Gst
from plugins.standin.metadata import NvDsBatchMeta, NvDsMetaType
from tests.standin.nvinfer import tiny
from tests.standin.nvtracker.test_nvtracker_frame import person

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]

IOU = Path(__file__).parents[3] / "configs" / "tracker" / "iou.yml"
BOX = (100.0, 50.0, 40.0, 80.0)


@pytest.fixture
def pipeline() -> Iterator[Any]:
    made = Gst.Pipeline()
    yield made
    made.set_state(Gst.State.NULL)


def started(
    pipeline: Any, *, config: str = str(IOU), batch_size: int = 3, **properties: Any
) -> Any:
    muxer, element = (Gst.ElementFactory.make(name) for name in ("nvstreammux", "nvtracker"))
    for item in (muxer, element):
        pipeline.add(item)
    muxer.link(element)
    muxer.set_property("batch-size", batch_size)
    element.set_property("ll-config-file", config)
    for name, value in properties.items():
        element.set_property(name.replace("_", "-"), value)
    assert element.do_start()
    return element


def ids(element: Any, *pads: int, box: Sequence[float] = BOX) -> list[list[int]]:
    batch = batch_of(*pads, box=box)
    element.on_batch(batch, None)
    return [[meta.object_id for meta in frame.objects] for frame in batch.frames]


def batch_of(*pads: int, box: Sequence[float] = BOX) -> NvDsBatchMeta:
    batch = tiny.batch_of(*((pad, 0, tiny.grey(9)) for pad in pads))
    for frame in batch.frames:
        frame.bInferDone = 1
        frame.objects.append(person(box))
    return batch


def test_a_reset_stream_has_new_ids_although_the_property_says_0_by_default(pipeline: Any) -> None:
    element = started(pipeline)
    assert element.find_property("tracking-id-reset-mode").default_value == 0
    assert element.get_property("tracking-id-reset-mode") == 1
    assert ids(element, 0) == [[0]]

    element.on_source_event(events.STREAM_RESET, 0)

    assert ids(element, 0) == [[1]]


def test_mode_0_keeps_ids_over_a_reset_and_an_end(pipeline: Any) -> None:
    element = started(pipeline, tracking_id_reset_mode=0)
    assert ids(element, 0) == [[0]]

    element.on_source_event(events.STREAM_RESET, 0)
    element.on_source_event(events.STREAM_EOS, 0)

    assert ids(element, 0) == [[0]]


def test_mode_3_counts_from_zero_after_an_end_and_not_after_a_reset(pipeline: Any) -> None:
    element = started(pipeline, tracking_id_reset_mode=3)
    seen = ids(element, 0)

    for kind in (events.STREAM_RESET, events.STREAM_EOS, events.PAD_DELETED):
        element.on_source_event(kind, 0)
        seen += ids(element, 0)

    assert seen == [[0], [1], [0], [0]]


def test_each_sub_batch_goes_by_its_own_file(pipeline: Any, tmp_path: Path) -> None:
    late = tmp_path / "late.yml"
    late.write_text("TargetManagement:\n  probationAge: 1\n")
    element = started(pipeline, config=f"{IOU};{late}", sub_batches="0;1,2")

    assert ids(element, 2, 0, 1) == [[], [0], []]
    assert ids(element, 2, 0, 1) == [[0], [0], [0]]


def test_several_frames_of_a_source_are_taken_by_rounds(pipeline: Any) -> None:
    whole = started(pipeline)
    divided = started(pipeline, sub_batches="0;1")

    def dispatched(element: Any) -> list[tuple[int, list[tuple[int, int]]]]:
        given = element._dispatched(batch_of(1, 0, 1))
        return [(number, [(one.pad_index, one.batch_id) for one in got]) for number, got in given]

    # The first frame of each source by source, then the second ones.
    assert dispatched(whole) == [(0, [(0, 1), (1, 0), (1, 2)])]
    assert dispatched(divided) == [(0, [(0, 1)]), (1, [(1, 0)]), (1, [(1, 2)])]
    assert ids(whole, 1, 0, 1) == [[0], [0], [0]]


def test_files_that_are_set_later_stand_behind_the_first(pipeline: Any) -> None:
    element = started(pipeline, ll_config_file="/none/other.yml;/none/third.yml")

    # The later ones are for further sub-batches; a file that nobody uses is not opened.
    assert ids(element, 0) == [[0]]


def test_more_frames_than_the_muxer_told_at_the_start_stop_the_pipeline(pipeline: Any) -> None:
    element = started(pipeline, batch_size=2)
    assert ids(element, 0, 1) == [[0], [0]]

    with pytest.raises(ValueError, match="maximum batch size: 3 frames, want at most the 2"):
        element.on_batch(batch_of(0, 1, 2), None)


def test_what_is_set_while_it_runs_waits_for_the_next_start_and_says_so(
    pipeline: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    element = started(pipeline)
    assert ids(element, 0) == [[0]]

    element.set_property("display-tracking-id", False)
    element.set_property("ll-config-file", str(tmp_path / "gone.yml"))
    batch = batch_of(0)
    element.on_batch(batch, None)

    assert batch.frames[0].objects[0].text_params.stand_in_text() == "person 0"
    for name in ("display-tracking-id", "ll-config-file"):
        assert f"nvtracker reads {name} when it starts" in caplog.text
    element.do_stop()
    assert element.do_start()
    batch = batch_of(0)
    element.on_batch(batch, None)
    assert batch.frames[0].objects[0].text_params.stand_in_text() == "person"


def test_a_source_of_no_sub_batch_stops_the_pipeline(pipeline: Any) -> None:
    element = started(pipeline, sub_batches="0;1")

    with pytest.raises(ValueError, match="source 2 is in no sub-batch"):
        element.on_batch(batch_of(2), None)


def test_a_source_in_two_sub_batches_does_not_start(pipeline: Any) -> None:
    element = started(pipeline)
    element.set_property("sub-batches", "0,1;1")

    assert not element.do_start()
    message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
    assert "sub-batches: 0,1;1: source 1 twice, want each" in message.parse_error()[0].message


def past_metas(batch: NvDsBatchMeta) -> list[Any]:
    kind = int(NvDsMetaType.NVDS_TRACKER_PAST_FRAME_META)
    return [one.user_meta_data for one in batch.user_metas if one.base_meta.meta_type == kind]


def test_past_frame_metas_are_as_many_as_the_pool_holds(
    pipeline: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    simple = tmp_path / "simple.yml"
    simple.write_text(
        "TargetManagement:\n  probationAge: 0\n  maxTargetsPerStream: 7\n"
        "StateEstimator:\n  stateEstimatorType: 1\n"
    )
    element = started(pipeline, config=str(simple), user_meta_pool_size=2, tracking_surface_type=2)
    batches = [batch_of(0) for _ in range(4)]
    batches[1].frames[0].objects.clear()

    for batch in batches[:3]:
        element.on_batch(batch, None)
    assert [len(past_metas(batch)) for batch in batches[:3]] == [1, 1, 0]
    assert "no user meta is free, past frames are lost; raise user-meta-pool-size" in caplog.text
    batches[0].user_metas.clear()
    element.on_batch(batches[3], None)

    (past,) = past_metas(batches[3])
    # Also of a batch of which nothing is tracked.
    other = batch_of(0)
    other.frames[0].surface_type = 1
    batches[1].user_metas.clear()
    element.on_batch(other, None)
    assert [one.numFilled for one in past_metas(other)] == [0]
    assert past.numAllocated == batches[3].max_frames_in_batch


def test_a_tracker_without_a_library_is_said_not_to_start_on_a_device(
    pipeline: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        started(pipeline)
    assert "ll-lib-file is not set: on a device nvtracker does not start" in caplog.text

    caplog.clear()
    with caplog.at_level(logging.WARNING):
        started(pipeline, ll_lib_file="/opt/libnvds_nvmultiobjecttracker.so")
    assert caplog.text == ""
