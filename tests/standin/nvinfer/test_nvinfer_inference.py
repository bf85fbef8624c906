"""One nvinfer on a batch, with real models in ONNX Runtime and without GStreamer."""

import ctypes
from pathlib import Path

import numpy as np
import pytest

from plugins.standin.metadata import UNTRACKED_OBJECT_ID, NvDsMetaType
from plugins.standin.nvinfer.attach import attach_detections
from plugins.standin.nvinfer.inference import IN_FLIGHT
from plugins.standin.nvinfer.postprocess import Candidates
from plugins.standin.nvinfer.preprocess import ConversionError
from ropewatch.preprocess import place
from tests.standin.nvinfer import tiny
from tests.standin.nvinfer.inferences import PERSON, judge, primary, verdicts


def test_detections_become_objects_in_muxer_pixels(tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("person\n")
    detect = primary(tmp_path, [[10, 8, 20, 24, 0.75, 0]], labelfile_path=labels)
    batch = tiny.batch_of((0, 0, tiny.grey(9)))

    detect.process(batch)

    (meta,) = batch.frames[0].objects
    rect = meta.rect_params
    # The frame is stretched: 10 px a network pixel in x, 11.25 in y.
    assert [rect.left, rect.top, rect.width, rect.height] == [100, 90, 100, 180]
    assert meta.detector_bbox_info.org_bbox_coords.height == 180
    assert (meta.unique_component_id, meta.class_id, meta.confidence) == (1, 0, 0.75)
    assert meta.object_id == UNTRACKED_OBJECT_ID
    assert (meta.obj_label, meta.text_params.stand_in_text()) == ("person", "person")
    assert (meta.text_params.x_offset, meta.text_params.y_offset) == (100, 80)
    assert (rect.border_width, rect.border_color.red, rect.has_bg_color) == (3, 1.0, 0)
    assert batch.frames[0].bInferDone == 1


def test_a_box_that_is_no_number_is_attached_with_a_text_at_the_frame_s_corner(
    tmp_path: Path,
) -> None:
    detect = primary(tmp_path, [], cluster_mode=4)
    nan = np.full((1, 4), np.nan, np.float32)
    found = Candidates(np.zeros(1, np.int64), nan, np.ones(1, np.float32))
    batch = tiny.batch_of((0, 0, tiny.grey(9)))
    placed = place((640, 360), (64, 32), keep_aspect=False, symmetric=False)

    attach_detections(
        batch.frames[0], found, detect.config, (), placed=placed, frame_wh=(640, 360)
    )

    (meta,) = batch.frames[0].objects
    assert np.isnan(meta.rect_params.width)
    assert (meta.text_params.x_offset, meta.text_params.y_offset) == (0, 0)


def test_letterboxed_detections_come_back_to_the_frame(tmp_path: Path) -> None:
    detect = primary(
        tmp_path, [[4, 0, 60, 32, 0.75, 0]], maintain_aspect_ratio=1, symmetric_padding=1
    )
    batch = tiny.batch_of((0, 0, tiny.grey(9)))

    detect.process(batch)

    # 640x360 into 64x32 is floor(56.9) = 56 wide, 4 px off on the left.
    rect = batch.frames[0].objects[0].rect_params
    assert [rect.left, rect.top, rect.width, rect.height] == [0, 0, 640, 360]


def test_interval_skips_batches_and_says_so_in_the_frame(tmp_path: Path) -> None:
    detect = primary(tmp_path, [[10, 8, 20, 24, 0.75, 0]], interval=2)
    done = []

    for number in range(5):
        batch = tiny.batch_of((0, number, tiny.grey(9)))
        detect.process(batch)
        done.append(batch.frames[0].bInferDone)

    assert done == [1, 0, 0, 1, 0]


def test_more_frames_than_batch_size_are_all_inferred_in_order(tmp_path: Path) -> None:
    detect = primary(tmp_path, [[10, 8, 20, 24, 0.75, 0]], batch_size=2)
    batch = tiny.batch_of(*((pad, 0, tiny.grey(9)) for pad in range(3)))

    detect.process(batch)

    assert [len(frame.objects) for frame in batch.frames] == [1, 1, 1]


def test_verdicts_hang_on_each_object_and_on_its_text(tmp_path: Path) -> None:
    picture = tiny.grey(0)
    picture[:, :320] = 230
    batch = tiny.batch_of((0, 0, picture), boxes=[PERSON, (400.0, 100.0, 40.0, 80.0)])
    batch.frames[0].objects[0].text_params.display_text = "person 0"

    judge(tmp_path, classifier_type="rope").process(batch)

    assert verdicts(batch) == [["bright"], ["dark"]]
    first, second = batch.frames[0].objects
    assert first.classifiers[0].unique_component_id == 2
    assert first.classifiers[0].stand_in_classifier_type == "rope"
    assert first.classifiers[0].labels[0].result_prob == pytest.approx(230 / 255)
    assert first.text_params.stand_in_text() == "person 0 bright "
    assert second.text_params.stand_in_text() == " dark "


def test_a_remembered_verdict_is_attached_again_without_tensors(tmp_path: Path) -> None:
    look = judge(tmp_path, secondary_reinfer_interval=1, output_tensor_meta=1)
    seen = []

    for number, grey in enumerate([230, 0, 0]):
        batch = tiny.batch_of((0, number, tiny.grey(grey)), boxes=[PERSON])
        look.process(batch)
        seen.append((verdicts(batch)[0], len(batch.frames[0].objects[0].user_metas)))

    assert seen == [(["bright"], 1), (["bright"], 0), (["dark"], 1)]


def test_an_empty_new_verdict_replaces_the_remembered_one(tmp_path: Path) -> None:
    look = judge(tmp_path, classifier_threshold=0.6, secondary_reinfer_interval=1)
    seen = []

    for number, grey in enumerate([230, 0, 128, 0]):
        batch = tiny.batch_of((0, number, tiny.grey(grey)), boxes=[PERSON])
        look.process(batch)
        seen += verdicts(batch)

    assert seen == [["bright"], ["bright"], [], []]


def test_asynchronous_verdicts_come_with_a_later_frame_and_without_tensors(
    tmp_path: Path,
) -> None:
    look = judge(tmp_path, classifier_async_mode=1, output_tensor_meta=1)
    batches = [
        tiny.batch_of((0, n, tiny.grey(grey)), boxes=[PERSON])
        for n, grey in enumerate((230, 0, 0))
    ]

    # Nothing is finished before the second frame has been prepared.
    waiting = [pending for batch in batches[:2] for pending in look.prepare(batch)]
    for pending in waiting:
        look.finish(pending)
    look.process(batches[2])

    assert [verdicts(batch) for batch in batches] == [[[]], [[]], [["dark"]]]
    assert not any(batch.frames[0].objects[0].user_metas for batch in batches)
    assert not any(batch.frames[0].bInferDone for batch in batches)


def test_asynchronous_mode_passes_untracked_objects_over(tmp_path: Path) -> None:
    look = judge(tmp_path, classifier_async_mode=1)

    for number in range(2):
        batch = tiny.batch_of((0, number, tiny.grey(230)), boxes=[PERSON])
        batch.frames[0].objects[0].object_id = UNTRACKED_OBJECT_ID
        look.process(batch)
        assert verdicts(batch) == [[]]


def test_crops_that_fail_leave_room_for_later_ones(tmp_path: Path) -> None:
    look = judge(tmp_path)
    boxes = [PERSON, (620.0, 0.0, 40.0, 80.0)]

    # More often than batches may be in flight.
    for number in range(2 * IN_FLIGHT):
        with pytest.raises(ConversionError):
            look.process(tiny.batch_of((0, number, tiny.grey(9)), boxes=boxes))
    inside = tiny.batch_of((0, 99, tiny.grey(230)), boxes=[PERSON])
    look.process(inside)

    assert verdicts(inside) == [["bright"]]


def test_more_crops_than_batch_size_are_judged_each_with_its_own(tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(0, 240, 40, dtype=np.uint8), 40)
    picture = np.zeros((360, 640, 3), np.uint8)
    picture[:, :240] = ramp[None, :, None]
    boxes = [(40.0 * n, 0.0, 40.0, 80.0) for n in range(6)]
    batch = tiny.batch_of((0, 0, picture), boxes=boxes)

    judge(tmp_path, batch_size=4, output_tensor_meta=1).process(batch)

    means = [meta.user_metas[0].user_meta_data.arrays[0][0] for meta in batch.frames[0].objects]
    assert means == pytest.approx([40 * n / 255 for n in range(6)], abs=1e-4)


def test_tensor_meta_has_layers_and_real_addresses(tmp_path: Path) -> None:
    batch = tiny.batch_of((0, 0, tiny.grey(102)), boxes=[PERSON])

    judge(tmp_path, output_tensor_meta=1).process(batch)

    (user,) = batch.frames[0].objects[0].user_metas
    meta = user.user_meta_data
    assert user.base_meta.meta_type == NvDsMetaType.NVDSINFER_TENSOR_OUTPUT_META
    assert (meta.unique_id, meta.num_output_layers) == (2, 1)
    assert (meta.network_info.width, meta.network_info.height) == (32, 64)
    values = (ctypes.c_float * 2).from_address(meta.out_buf_ptrs_host[0])
    assert list(values) == pytest.approx([0.4, 0.6], abs=1e-4)


def test_a_crop_outside_the_frame_stops_with_the_device_s_words(tmp_path: Path) -> None:
    batch = tiny.batch_of((3, 0, tiny.grey(9)), boxes=[(620.0, 0.0, 40.0, 80.0)])
    look = judge(tmp_path)
    look.histories.add_source(3)

    with pytest.raises(
        ConversionError,
        match=r"Buffer conversion failed: object 0 of source 3: the crop 620,0 40x80 .* leaves",
    ):
        look.process(batch)


def test_a_source_that_was_never_announced_is_passed_over(tmp_path: Path) -> None:
    batch = tiny.batch_of((1, 0, tiny.grey(9)), boxes=[PERSON])

    judge(tmp_path).process(batch)

    assert verdicts(batch) == [[]]


def test_a_secondary_detector_s_boxes_are_moved_by_their_parent(tmp_path: Path) -> None:
    inside = primary(tmp_path, [[0, 0, 32, 16, 0.75, 0]], process_mode=2, gie_unique_id=3)
    batch = tiny.batch_of((0, 0, tiny.grey(9)), boxes=[(100.0, 50.0, 128.0, 64.0)])

    inside.process(batch)

    parent, child = batch.frames[0].objects
    rect = child.rect_params
    assert child.parent is parent
    assert [rect.left, rect.top, rect.width, rect.height] == [100, 50, 64, 32]


def test_a_primary_classifier_makes_an_object_of_the_whole_frame(tmp_path: Path) -> None:
    batch = tiny.batch_of((0, 0, tiny.grey(230)))

    judge(tmp_path, process_mode=1, scaling_compute_hw=1).process(batch)

    (meta,) = batch.frames[0].objects
    assert (meta.class_id, meta.rect_params.width, meta.rect_params.border_width) == (-1, 640, 6)
    assert verdicts(batch) == [["bright"]]
