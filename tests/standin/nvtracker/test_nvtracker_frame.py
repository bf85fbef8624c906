"""What nvtracker leaves in a frame's metadata; the frame is 640 x 360."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plugins.standin.metadata import UNTRACKED_OBJECT_ID, NvDsFrameMeta, NvDsObjectMeta
from plugins.standin.nvtracker.association import StreamTracker
from plugins.standin.nvtracker.config import load_tracker_config
from plugins.standin.nvtracker.frame_update import FrameUpdater, clip

FRAME_WH = (640, 360)
CONFIG, _ = load_tracker_config(Path(__file__).parents[3] / "configs" / "tracker" / "iou.yml")


def person(box: Sequence[float], *, class_id: int = 0, confidence: float = 0.9) -> NvDsObjectMeta:
    meta = NvDsObjectMeta()
    meta.class_id, meta.confidence, meta.unique_component_id = class_id, confidence, 1
    rect = meta.rect_params
    rect.left, rect.top, rect.width, rect.height = box
    rect.border_width = 3
    meta.obj_label = "person"
    meta.text_params.display_text = "person"
    return meta


def frame(*objects: NvDsObjectMeta, detected: bool = True) -> NvDsFrameMeta:
    meta = NvDsFrameMeta()
    meta.bInferDone = int(detected)
    meta.objects.extend(objects)
    return meta


def box_of(meta: NvDsObjectMeta) -> list[float]:
    rect = meta.rect_params
    return [rect.left, rect.top, rect.width, rect.height]


def own_box_of(meta: NvDsObjectMeta) -> list[float]:
    box = meta.tracker_bbox_info.org_bbox_coords
    return [box.left, box.top, box.width, box.height]


class Track:
    """A tracker and its plugin side, at the frame's own size or another."""

    def __init__(self, *, unclip: bool = False, tracker_wh: tuple[int, int] = FRAME_WH) -> None:
        self.stream = StreamTracker(replace(CONFIG, check_class=False, unclip=unclip))
        self.updater = FrameUpdater(tracker_wh=tracker_wh)

    def __call__(self, meta: NvDsFrameMeta, *, max_objects: int = 200) -> NvDsFrameMeta:
        self.updater.update(meta, self.stream, frame_wh=FRAME_WH, max_objects=max_objects)
        return meta


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param([-5, -7, 20, 30], [0, 0, 15, 23], id="left-top-takes-from-the-size"),
        pytest.param([630, 350, 20, 30], [630, 350, 10, 10], id="right-bottom"),
        pytest.param([640, 0, 20, 30], None, id="beyond"),
        pytest.param([-20, 0, 20, 30], None, id="nothing-left"),
    ],
)
def test_clip_follows_the_plugin(box: list[float], expected: list[float] | None) -> None:
    clipped = clip(np.array(box, np.float32), FRAME_WH)

    assert (None if clipped is None else clipped.tolist()) == expected


def test_tracked_objects_get_id_clipped_box_and_text() -> None:
    done = Track(unclip=True)(frame(person([630, 100, 20, 40])))

    (meta,) = done.objects
    assert meta.object_id == 0
    assert box_of(meta) == [630, 100, 10, 40]
    assert own_box_of(meta) == [630, 100, 20, 40]
    assert meta.tracker_confidence == pytest.approx(-0.1)
    assert meta.text_params.stand_in_text() == "person 0"
    assert (meta.text_params.x_offset, meta.text_params.y_offset) == (630, 80)


def test_without_unclipping_the_trackers_box_ends_at_the_frame() -> None:
    (meta,) = Track()(frame(person([630, 100, 20, 40]))).objects

    assert own_box_of(meta) == [630, 100, 10, 40]


def test_objects_outside_the_frame_and_objects_without_id_are_removed() -> None:
    inside = person([0, 0, 20, 40])

    done = Track()(
        frame(person([640, 0, 20, 40]), inside, person([300, 0, 20, 40])), max_objects=2
    )

    assert done.objects == [inside]


def test_objects_of_other_classes_stay_untracked_when_classes_are_named() -> None:
    updater = FrameUpdater(tracker_wh=FRAME_WH, class_ids=(1,))
    done = frame(person([0, 0, 20, 40]), person([100, 0, 20, 40], class_id=1))

    updater.update(done, StreamTracker(CONFIG), frame_wh=FRAME_WH, max_objects=200)

    assert [meta.object_id for meta in done.objects] == [UNTRACKED_OBJECT_ID, 0]


def test_a_skipped_frame_gets_predicted_objects_that_look_like_their_class() -> None:
    track = Track()
    track(frame(person([10, 50, 20, 40])))

    (meta,) = track(frame(detected=False)).objects

    assert (meta.object_id, meta.class_id, meta.unique_component_id) == (0, 0, 1)
    assert meta.confidence == pytest.approx(-0.1)
    assert box_of(meta) == own_box_of(meta) == [10, 50, 20, 40]
    assert meta.detector_bbox_info.org_bbox_coords.width == 0
    assert (meta.obj_label, meta.rect_params.border_width) == ("person", 3)
    assert meta.text_params.stand_in_text() == "person 0"


def test_a_frame_on_which_the_detector_missed_somebody_stays_empty() -> None:
    track = Track()
    track(frame(person([10, 50, 20, 40])))

    assert track(frame()).objects == []


def test_a_class_mismatch_gives_the_id_and_leaves_the_box() -> None:
    track = Track()
    track(frame(person([620, 50, 20, 40])))

    (meta,) = track(frame(person([622, 50, 20, 40], class_id=1))).objects

    assert (meta.object_id, meta.class_id) == (0, 1)
    assert box_of(meta) == [622, 50, 20, 40]
    assert own_box_of(meta) == [0, 0, 0, 0]


def test_boxes_pass_the_trackers_size_as_32_bit_floats() -> None:
    left = 101.7

    half = Track(tracker_wh=(320, 180))(frame(person([left, 50.2, 63.9, 120.4])))
    odd = Track(tracker_wh=(960, 544))(frame(person([left, 50.2, 63.9, 120.4])))

    assert box_of(half.objects[0]) == [np.float32(value) for value in (left, 50.2, 63.9, 120.4)]
    assert box_of(odd.objects[0]) == pytest.approx([left, 50.2, 63.9, 120.4], rel=1e-6)


def test_a_null_text_is_printed_as_c_does() -> None:
    meta = NvDsObjectMeta()
    meta.confidence = 0.9
    meta.rect_params.width = meta.rect_params.height = 20.0

    Track()(frame(meta))

    assert meta.text_params.stand_in_text() == "(null) 0"


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        pytest.param(0, [0, 2**32 - 1], id="small-ids"),
        pytest.param(7 << 32, [7 << 32, (7 << 32) + 2**32 - 1], id="unique-ids"),
    ],
)
def test_from_zero_counts_from_the_first_id_that_was_reported(
    upper: int, expected: list[int]
) -> None:
    stream = StreamTracker(CONFIG)
    stream._next, stream._high_bits = 5, upper
    updater = FrameUpdater(tracker_wh=FRAME_WH)
    one, other = [10, 50, 20, 40], [300, 50, 20, 40]
    # The second person got the smaller number, and is reported later: it wraps below 0.
    seen = []
    for number, box in ((5, one), (4, other)):
        stream._next = number
        done = frame(person(box))
        updater.update(done, stream, frame_wh=FRAME_WH, max_objects=9, from_zero=True)
        seen.append(done.objects[0].object_id)

    assert seen == expected
    updater.forget_first_id(0)
    stream.forget()
    done = frame(person(one))
    updater.update(done, stream, frame_wh=FRAME_WH, max_objects=9, from_zero=True)
    assert done.objects[0].object_id & 0xFFFFFFFF == 0
