"""Which objects a secondary nvinfer looks at, and what it remembers of tracked ones."""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from plugins.standin.nvinfer.classify import Verdict
from plugins.standin.nvinfer.config import CLASSIFIER, DETECTOR, InferConfig
from ropewatch.nvinfer_keys import INT_MAX

UNTRACKED = 2**64 - 1
_AREA_GROWTH = 1.2
_CLEAN_EVERY_FRAMES = 1800
_FORGET_AFTER_FRAMES = 150
_UNSIGNED_LONG = 2**64


class Choice(Enum):
    """What to do with an object."""

    INFER = "infer"
    REUSE = "attach the remembered verdict"
    SKIP = "leave"


@dataclass(frozen=True, slots=True)
class Sighting:
    """An object as it stands before a secondary nvinfer; sizes in muxer-output pixels."""

    object_id: int
    component_id: int
    class_id: int
    width: float
    height: float


@dataclass(slots=True)
class History:
    """What is remembered of one tracked object."""

    area: float = 0.0
    inferred_frame: int = 0
    seen_frame: int = 0
    under_way: bool = False
    verdict: Verdict = field(default_factory=Verdict)

    def end_inference(self, frame_num: int) -> None:
        """Note that the inference of a frame is done; an older one's end says nothing."""
        if self.inferred_frame == frame_num:
            self.under_way = False


@dataclass(slots=True)
class _Source:
    objects: dict[int, History] = field(default_factory=dict)
    last_frame: int = 0
    cleaned_frame: int = 0


class Histories:
    """Per source and object memory; frames must come in order for each source."""

    def __init__(self, config: InferConfig) -> None:
        self.go_by(config)
        # nvinfer knows source 0 without any event.
        self._sources: dict[int, _Source] = {0: _Source()}
        self._batches_since_cleaning = 0

    def go_by(self, config: InferConfig) -> None:
        """Choose as a configuration says from now on."""
        self._config = config
        self._classes = frozenset(config.operate_on_class_ids)

    def add_source(self, pad_index: int) -> None:
        """Know a source from now on (PAD_ADDED)."""
        self._sources.setdefault(pad_index, _Source())

    def remove_source(self, pad_index: int) -> None:
        """Forget a source (PAD_DELETED)."""
        self._sources.pop(pad_index, None)

    def forget_objects(self, pad_index: int) -> None:
        """Forget a source's objects (STREAM_EOS)."""
        if pad_index in self._sources:
            self._sources[pad_index].objects.clear()

    def forget_all_objects(self) -> None:
        """Forget every source's objects (another model)."""
        for source in self._sources.values():
            source.objects.clear()

    def knows(self, pad_index: int) -> bool:
        """Say whether a source was announced; nvinfer passes over frames of others."""
        return pad_index in self._sources

    def begin_frame(self, pad_index: int, frame_num: int) -> None:
        """Note that a frame of a known source is about to be looked at."""
        self._sources[pad_index].last_frame = frame_num

    def choose(
        self, pad_index: int, frame_num: int, sighting: Sighting
    ) -> tuple[Choice, History | None]:
        """Decide about one object and, when it is inferred, remember that it was."""
        objects = self._sources[pad_index].objects
        tracked = sighting.object_id != UNTRACKED
        history = objects.get(sighting.object_id) if tracked else None
        if not (self._wanted(sighting) and self._due(history, frame_num, sighting)):
            if history is None or self._config.network_type != CLASSIFIER:
                return Choice.SKIP, None
            history.seen_frame = frame_num
            return Choice.REUSE, history
        if tracked and history is None:
            history = objects[sighting.object_id] = History()
        if history is not None:
            history.area = _area(sighting)
            history.inferred_frame = history.seen_frame = frame_num
            history.under_way = True
        return Choice.INFER, history

    def _wanted(self, sighting: Sighting) -> bool:
        config = self._config
        if config.operate_on_gie_id > -1 and sighting.component_id != config.operate_on_gie_id:
            return False
        if sighting.width < config.input_object_min_width:
            return False
        if sighting.height < config.input_object_min_height:
            return False
        if 0 < config.input_object_max_width < sighting.width:
            return False
        if 0 < config.input_object_max_height < sighting.height:
            return False
        return not self._classes or sighting.class_id in self._classes

    def _due(self, history: History | None, frame_num: int, sighting: Sighting) -> bool:
        interval = self._config.secondary_reinfer_interval
        if history is None or self._config.network_type not in (CLASSIFIER, DETECTOR):
            return True
        waited = _since(history.inferred_frame, frame_num) > interval % 2**32
        if self._config.network_type == DETECTOR:
            return waited or interval == INT_MAX
        return waited or history.area * _AREA_GROWTH < _area(sighting)

    def end_batch(self) -> None:
        """Drop, now and then, objects that were not seen for long."""
        self._batches_since_cleaning += 1
        if self._batches_since_cleaning <= _CLEAN_EVERY_FRAMES:
            return
        self._batches_since_cleaning = 0
        for source in self._sources.values():
            if _since(source.cleaned_frame, source.last_frame) < _CLEAN_EVERY_FRAMES:
                continue
            source.cleaned_frame = source.last_frame
            source.objects = {
                number: history
                for number, history in source.objects.items()
                if history.under_way
                or _since(history.seen_frame, source.last_frame) <= _FORGET_AFTER_FRAMES
            }


def _since(before: int, now: int) -> int:
    # Unsigned in C: a frame number that starts again is a huge difference.
    return (now - before) % _UNSIGNED_LONG


def _area(sighting: Sighting) -> float:
    # Multiplied as 32-bit floats in C, then compared as doubles.
    return float(np.float32(sighting.width) * np.float32(sighting.height))
