"""What one nvinfer does with a batch: choose, prepare, infer, decode, attach. No GStreamer."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin.metadata import NvDsBatchMeta, NvDsFrameMeta, NvDsObjectMeta
from plugins.standin.nvinfer.attach import (
    attach_detections,
    attach_frame_verdict,
    attach_tensors,
    attach_verdict,
)
from plugins.standin.nvinfer.classify import classify
from plugins.standin.nvinfer.config import CLASSIFIER, DETECTOR, InferConfig
from plugins.standin.nvinfer.custom_parser import CustomParser
from plugins.standin.nvinfer.default_parser import DefaultParser
from plugins.standin.nvinfer.history import Choice, Histories, History, Sighting
from plugins.standin.nvinfer.labels import Labels, check_classifier_labels, read_labels
from plugins.standin.nvinfer.postprocess import Candidates, cluster
from plugins.standin.nvinfer.preprocess import (
    ConversionError,
    Crop,
    Preprocessor,
    even_crop,
)
from plugins.standin.nvinfer.session import Session
from ropewatch.preprocess import Placement

log = logging.getLogger("ropewatch.standin.nvinfer")

Arrays = tuple[npt.NDArray[Any], ...]
Parser = Callable[[Arrays], Candidates | None]


@dataclass(slots=True)
class _Unit:
    """One entry of an inference batch: a frame, or an object of a frame."""

    frame: NvDsFrameMeta
    frame_wh: tuple[int, int]
    placed: Placement
    meta: NvDsObjectMeta | None = None
    history: History | None = None


@dataclass(slots=True)
class _Pending:
    """The inference batch that is being filled, and objects that only get an old verdict."""

    units: list[_Unit] = field(default_factory=list)
    reused: list[tuple[NvDsObjectMeta, History]] = field(default_factory=list)


class Inference:
    """One configured nvinfer; call it from one thread at a time."""

    def __init__(self, config: InferConfig) -> None:
        """Load model, labels and parser.

        Raises:
            ModelError: one of them is missing or does not fit the configuration.
        """
        self.config = config
        self.interval = config.interval
        self.histories = Histories(config)
        self.session = Session(config)
        self._preprocessor = Preprocessor(config, self.session.input)
        self._inputs = np.empty((config.batch_size, *self.session.input.shape), np.float32)
        self._labels = read_labels(config.labelfile_path, config=config.path)
        self._parser = _parser(config, self.session) if config.network_type == DETECTOR else None
        self._counter = 0
        self._warned: set[str] = set()
        _check_names(config, self.session, self._labels)

    def restart_interval(self) -> None:
        """Infer on the next batch again, as after EOS."""
        self._counter = 0

    def process(self, batch: NvDsBatchMeta) -> None:
        """Work on one batch.

        Raises:
            ConversionError: a crop that NvBufSurfTransform would refuse.
            ModelError: the parser's answer is unusable.
        """
        if self.config.on_objects:
            self._process_objects(batch)
            self.histories.end_batch()
            return
        skip = self._counter % (self.interval + 1) > 0
        self._counter += 1
        if not skip:
            self._process_frames(batch)

    def _process_frames(self, batch: NvDsBatchMeta) -> None:
        pending = _Pending()
        for frame in batch.frames:
            surface = batch.surfaces[frame.batch_id]
            frame_wh = (surface.width, surface.height)
            crop = even_crop(0, 0, *frame_wh)
            self._add(
                pending, batch, _Unit(frame, frame_wh, self._place(crop, frame_wh, "")), crop
            )
            if len(pending.units) == self.config.batch_size:
                pending = self._finish(pending, batch)
        self._finish(pending, batch)

    def _process_objects(self, batch: NvDsBatchMeta) -> None:
        pending = _Pending()
        for frame in batch.frames:
            if not self.histories.knows(frame.pad_index):
                self._warn_once(
                    f"source {frame.pad_index}",
                    "no PAD_ADDED event for this source, its objects are passed over source=%s",
                    frame.pad_index,
                )
                continue
            self.histories.begin_frame(frame.pad_index, frame.frame_num)
            for meta in list(frame.objects):
                choice, history = self.histories.choose(
                    frame.pad_index, frame.frame_num, _sighting(meta)
                )
                if choice is Choice.REUSE and history is not None:
                    pending.reused.append((meta, history))
                elif choice is Choice.INFER:
                    self._add_object(pending, batch, frame, meta, history)
                    if len(pending.units) == self.config.batch_size:
                        pending = self._finish(pending, batch)
        self._finish(pending, batch)

    def _add_object(
        self,
        pending: _Pending,
        batch: NvDsBatchMeta,
        frame: NvDsFrameMeta,
        meta: NvDsObjectMeta,
        history: History | None,
    ) -> None:
        surface = batch.surfaces[frame.batch_id]
        frame_wh = (surface.width, surface.height)
        rect = meta.rect_params
        whose = f"object {meta.object_id} of source {frame.pad_index}: "
        try:
            crop = even_crop(rect.left, rect.top, rect.width, rect.height)
        except ConversionError as error:
            raise ConversionError(f"Buffer conversion failed: {whose}{error}") from error
        placed = self._place(crop, frame_wh, whose)
        self._add(pending, batch, _Unit(frame, frame_wh, placed, meta, history), crop)

    def _place(self, crop: Crop, frame_wh: tuple[int, int], whose: str) -> Placement:
        try:
            return self._preprocessor.placement(crop, frame_wh)
        except ConversionError as error:
            raise ConversionError(f"Buffer conversion failed: {whose}{error}") from error

    def _add(self, pending: _Pending, batch: NvDsBatchMeta, unit: _Unit, crop: Crop) -> None:
        surface = batch.surfaces[unit.frame.batch_id]
        self._preprocessor.fill(self._inputs[len(pending.units)], surface, crop, unit.placed)
        pending.units.append(unit)

    def _finish(self, pending: _Pending, batch: NvDsBatchMeta) -> _Pending:
        """Infer and attach what is pending; return an empty one to go on with."""
        if pending.units:
            arrays = self.session.run(self._inputs[: len(pending.units)])
            with batch.meta_mutex:
                for index, unit in enumerate(pending.units):
                    self._attach(unit, tuple(array[index] for array in arrays), batch)
        # After the new verdicts: an object that was just inferred may be here a second time.
        for meta, history in pending.reused:
            attach_verdict(meta, history.verdict, self.config, batch=batch)
        if pending.units and self.config.output_tensor_meta:
            self._attach_tensors(pending, arrays, batch)
        return _Pending()

    def _attach(self, unit: _Unit, arrays: Arrays, batch: NvDsBatchMeta) -> None:
        if self.config.network_type == DETECTOR:
            attach_detections(
                unit.frame,
                self._detect(arrays),
                self.config,
                self._labels,
                placed=unit.placed,
                frame_wh=unit.frame_wh,
                parent=unit.meta,
            )
        elif self.config.network_type == CLASSIFIER:
            verdict = classify(arrays, self._labels, threshold=self.config.classifier_threshold)
            if unit.meta is None:
                attach_frame_verdict(unit.frame, verdict, self.config, frame_wh=unit.frame_wh)
                return
            if unit.history is not None:
                unit.history.verdict = verdict
            unit.frame.bInferDone = 1
            attach_verdict(unit.meta, verdict, self.config, batch=batch)

    def _detect(self, arrays: Arrays) -> Candidates:
        assert self._parser is not None
        found = self._parser(arrays)
        if found is None:
            self._warn_once(
                "parser",
                "the parser returned false, which leaves nvinfer with garbage; no objects here "
                "function=%s",
                self.config.parse_bbox_func_name,
            )
            return Candidates(
                np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
            )
        return cluster(found, self.config)

    def _attach_tensors(self, pending: _Pending, arrays: Arrays, batch: NvDsBatchMeta) -> None:
        for index, unit in enumerate(pending.units):
            owner = unit.frame if unit.meta is None else unit.meta
            attach_tensors(
                owner.user_metas,
                tuple(array[index] for array in arrays),
                self.session.outputs,
                self.config,
                self.session.input,
                batch=batch,
            )

    def _warn_once(self, key: str, text: str, *values: object) -> None:
        if key not in self._warned:
            self._warned.add(key)
            log.warning(text, *values)


def _parser(config: InferConfig, session: Session) -> Parser:
    # nvinfer falls back to its own parser, silently, when the library is not named.
    if config.custom_lib_path is not None and config.parse_bbox_func_name:
        return CustomParser(config, session.input, session.outputs)
    return DefaultParser(config, session.input, session.outputs)


def _check_names(config: InferConfig, session: Session, labels: Labels) -> None:
    names = {layer.name for layer in session.outputs}
    for name in config.output_blob_names:
        if name not in names:
            log.warning("output-blob-names: no such output output=%s has=%s", name, sorted(names))
    if config.network_type == CLASSIFIER and config.labelfile_path is None:
        log.warning("without labelfile-path no verdict is attached config=%s", config.path)
    elif config.network_type == CLASSIFIER:
        check_classifier_labels(
            labels, session.outputs, config=config.path, path=config.labelfile_path
        )
    elif config.network_type == DETECTOR and len(labels) < config.num_detected_classes:
        log.warning(
            "fewer labels than classes, some objects get none config=%s labels=%s classes=%s",
            config.path,
            len(labels),
            config.num_detected_classes,
        )


def _sighting(meta: NvDsObjectMeta) -> Sighting:
    rect = meta.rect_params
    return Sighting(
        meta.object_id, meta.unique_component_id, meta.class_id, rect.width, rect.height
    )
