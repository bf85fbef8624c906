"""Past frames: where a target was while nobody was told of it, as pyds shows them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from plugins.standin.metadata import NvDsFrameMeta, NvDsObjectMeta
from plugins.standin.nvtracker.association import StreamTracker
from plugins.standin.nvtracker.config import NO_ESTIMATOR, TrackerConfig
from plugins.standin.nvtracker.frame_update import FrameUpdater
from plugins.standin.tracker_meta import NvDsTargetMiscDataBatch, NvDsTargetMiscDataStream

FRAME_WH, TRACKER_WH = (640, 360), (320, 180)
SIMPLE = 1


class Watch:
    """A stream whose frames are numbered from 0; tells the past that each has brought."""

    def __init__(self, **config: Any) -> None:
        self.stream = StreamTracker(replace(TrackerConfig(estimator=SIMPLE), **config))
        self.updater = FrameUpdater(tracker_wh=TRACKER_WH)
        self.number = 0

    def __call__(self, *boxes: Sequence[float]) -> NvDsTargetMiscDataStream:
        frame = NvDsFrameMeta()
        frame.bInferDone, frame.frame_num = 1, self.number
        for box in boxes:
            meta = NvDsObjectMeta()
            meta.confidence, meta.obj_label = 0.9, "person"
            rect = meta.rect_params
            rect.left, rect.top, rect.width, rect.height = box
            frame.objects.append(meta)
        self.updater.update(frame, self.stream, frame_wh=FRAME_WH, max_objects=9)
        self.number += 1
        return self.updater.past_of(self.stream, stream_id=3, frame_wh=FRAME_WH)


def told(stream: NvDsTargetMiscDataStream) -> list[tuple[int, list[tuple[int, float]]]]:
    return [
        (target.uniqueId, [(seen.frameNum, seen.tBbox.left) for seen in target.list()])
        for target in stream.list()
    ]


def test_a_target_back_from_the_shadow_tells_where_it_was_expected() -> None:
    watch = Watch(probation_age=0)
    assert told(watch([100, 50, 40, 80])) == []
    assert told(watch()) == []
    assert told(watch()) == []

    stream = watch([100, 50, 40, 80])

    assert stream.streamID == 3
    assert told(stream) == [(0, [(1, 100.0), (2, 100.0)])]
    assert told(watch([100, 50, 40, 80])) == []


def test_a_target_past_probation_tells_of_the_frames_before() -> None:
    watch = Watch(probation_age=2)

    first, second, third = (watch([100 + 2 * n, 50, 40, 80]) for n in range(3))

    assert (told(first), told(second)) == ([], [])
    assert told(third) == [(0, [(0, 100.0), (1, 102.0)])]


def test_the_objects_of_the_past_have_label_class_and_no_confidence() -> None:
    watch = Watch(probation_age=1)
    watch([100, 50, 40, 80])

    target = next(watch([100, 50, 40, 80]).list())

    assert (target.objLabel, target.classId, target.numObj) == ("person", 0, 1)
    assert next(target.list()).confidence == pytest.approx(-0.1)


def test_without_an_estimator_nothing_is_told() -> None:
    watch = Watch(probation_age=0, estimator=NO_ESTIMATOR)
    watch([100, 50, 40, 80])
    watch()

    assert told(watch([100, 50, 40, 80])) == []


def test_the_past_is_no_longer_than_the_shadow() -> None:
    watch = Watch(probation_age=0, max_shadow_age=3)
    watch([100, 50, 40, 80])
    for _ in range(3):
        watch()

    assert [number for number, _ in told(watch([100, 50, 40, 80]))[0][1]] == [1, 2, 3]


def test_a_copied_batch_has_a_past_of_its_own() -> None:
    watch = Watch(probation_age=0)
    watch([100, 50, 40, 80])
    watch()
    batch = NvDsTargetMiscDataBatch()
    batch.streams.append(watch([100, 50, 40, 80]))

    copy = batch.copy()
    next(copy.list()).objects.clear()

    assert (batch.numFilled, next(batch.list()).numFilled) == (1, 1)
