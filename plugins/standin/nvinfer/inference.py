"""What one nvinfer does with a batch: choose, prepare, infer, decode, attach. No GStreamer."""

import dataclasses
import logging
import queue
from collections.abc import Iterator
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
from plugins.standin.nvinfer.classify import Verdict, classify
from plugins.standin.nvinfer.config import CLASSIFIER, DETECTOR, InferConfig
from plugins.standin.nvinfer.custom_classifier import CustomClassifier
from plugins.standin.nvinfer.custom_parser import CustomParser
from plugins.standin.nvinfer.default_parser import DefaultParser
from plugins.standin.nvinfer.history import UNTRACKED, Choice, Histories, History, Sighting
from plugins.standin.nvinfer.labels import Labels, check_classifier_labels, read_labels
from plugins.standin.nvinfer.postprocess import Candidates, cluster
from plugins.standin.nvinfer.preprocess import (
    ConversionError,
    Crop,
    Preprocessor,
    even_crop,
)
from plugins.standin.nvinfer.raw_output import RawOutput
from plugins.standin.nvinfer.session import Session
from ropewatch.preprocess import Placement

log = logging.getLogger("ropewatch.standin.nvinfer")

Arrays = tuple[npt.NDArray[Any], ...]
Inputs = npt.NDArray[np.float32]

# nvinfer's INTERNAL_BUF_POOL_SIZE: batches that are prepared, inferred or attached at a time.
IN_FLIGHT = 3


@dataclass(slots=True)
class _Unit:
    """One entry of an inference batch: a frame, or an object of a frame."""

    frame: NvDsFrameMeta
    frame_wh: tuple[int, int]
    placed: Placement
    meta: NvDsObjectMeta | None = None
    history: History | None = None


@dataclass(slots=True)
class Pending:
    """One inference batch, and objects of the same buffer that only get an old verdict.

    `buffer` is the GstBuffer's address while it is held, for who asked for raw outputs.
    """

    batch: NvDsBatchMeta
    units: list[_Unit] = field(default_factory=list)
    reused: list[tuple[NvDsObjectMeta, History]] = field(default_factory=list)
    inputs: Inputs | None = None
    buffer: int | None = None


class Inference:
    """One configured nvinfer.

    `prepare` and `finish` may run in two threads, each in one at a time and in the same order.
    """

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
        self._pool: queue.SimpleQueue[Inputs] = queue.SimpleQueue()
        for _ in range(IN_FLIGHT):
            self._pool.put(np.empty((config.batch_size, *self.session.input.shape), np.float32))
        self._labels = read_labels(config.labelfile_path, config=config.path)
        self._detector = self._classifier = None
        if config.network_type == DETECTOR:
            self._detector = _detector(config, self.session)
        elif config.network_type == CLASSIFIER:
            self._classifier = _custom_classifier(config, self.session)
        self.raw = RawOutput(config, self.session.input, self.session.outputs)
        self.batches_seen = 0
        self._warned: set[str] = set()
        _check_names(config, self.session, self._labels, labels_needed=self._classifier is None)

    def take_over(self, old: "Inference") -> None:
        """Go on where another model stopped; what was known of objects is forgotten."""
        self.histories = old.histories
        self.histories.forget_all_objects()
        self.interval, self.batches_seen = old.interval, old.batches_seen
        self.raw.take_over(old.raw)

    def change(self, **fields: Any) -> None:
        """Go on with other values of what nvinfer looks at frame by frame."""
        self.config = dataclasses.replace(self.config, **fields)
        self.histories.go_by(self.config)

    def restart_interval(self) -> None:
        """Infer on the next batch again, as after EOS."""
        self.batches_seen = 0

    def process(self, batch: NvDsBatchMeta) -> None:
        """Work on one batch in this thread; raises what prepare and finish raise."""
        for pending in self.prepare(batch):
            self.finish(pending)

    def prepare(self, batch: NvDsBatchMeta) -> Iterator[Pending]:
        """Choose, cut and scale; each inference batch comes when it is full.

        Waits while IN_FLIGHT batches are not finished.

        Raises:
            ConversionError: a crop that NvBufSurfTransform would refuse.
        """
        if self.config.on_objects:
            yield from self._prepare_objects(batch)
            self.histories.end_batch()
            return
        skip = self.batches_seen % (self.interval + 1) > 0
        self.batches_seen += 1
        if not skip:
            yield from self._prepare_frames(batch)

    def _prepare_frames(self, batch: NvDsBatchMeta) -> Iterator[Pending]:
        pending = Pending(batch)
        for frame in batch.frames:
            surface = batch.surfaces[frame.batch_id]
            frame_wh = (surface.width, surface.height)
            crop = even_crop(0, 0, *frame_wh)
            try:
                placed = self._preprocessor.placement(crop, frame_wh)
            except ConversionError as error:
                self._give_back(pending)
                raise ConversionError(f"Buffer conversion failed: {error}") from error
            self._add(pending, _Unit(frame, frame_wh, placed), crop)
            if len(pending.units) == self.config.batch_size:
                yield pending
                pending = Pending(batch)
        if pending.units:
            yield pending

    def _prepare_objects(self, batch: NvDsBatchMeta) -> Iterator[Pending]:
        pending = Pending(batch)
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
                choice, history = self._choose(pending, frame, meta)
                if choice is not Choice.INFER:
                    continue
                self._add_object(pending, frame, meta, history)
                if len(pending.units) == self.config.batch_size:
                    yield pending
                    pending = Pending(batch)
        if pending.units or pending.reused:
            yield pending

    def _choose(
        self, pending: Pending, frame: NvDsFrameMeta, meta: NvDsObjectMeta
    ) -> tuple[Choice, History | None]:
        later = self.config.classifier_async_mode
        if later and meta.object_id == UNTRACKED:
            self._warn_once(
                "untracked", "classifier-async-mode: objects without a track are passed over"
            )
            return Choice.SKIP, None
        choice, history = self.histories.choose(frame.pad_index, frame.frame_num, _sighting(meta))
        if later and history is not None:
            # What is known by now; a verdict of this frame comes with a later one.
            attach_verdict(meta, history.verdict, self.config, batch=pending.batch)
        elif choice is Choice.REUSE and history is not None:
            pending.reused.append((meta, history))
        return choice, history

    def _add_object(
        self,
        pending: Pending,
        frame: NvDsFrameMeta,
        meta: NvDsObjectMeta,
        history: History | None,
    ) -> None:
        surface = pending.batch.surfaces[frame.batch_id]
        frame_wh = (surface.width, surface.height)
        rect = meta.rect_params
        whose = f"object {meta.object_id} of source {frame.pad_index}: "
        try:
            crop = even_crop(rect.left, rect.top, rect.width, rect.height)
            placed = self._preprocessor.placement(crop, frame_wh)
        except ConversionError as error:
            self._give_back(pending)
            raise ConversionError(f"Buffer conversion failed: {whose}{error}") from error
        self._add(pending, _Unit(frame, frame_wh, placed, meta, history), crop)

    def _add(self, pending: Pending, unit: _Unit, crop: Crop) -> None:
        if pending.inputs is None:
            pending.inputs = self._pool.get()
        surface = pending.batch.surfaces[unit.frame.batch_id]
        self._preprocessor.fill(pending.inputs[len(pending.units)], surface, crop, unit.placed)
        pending.units.append(unit)

    def finish(self, pending: Pending) -> None:
        """Infer and attach.

        Raises:
            ModelError: the parser's answer is unusable.
        """
        arrays: Arrays = ()
        if pending.inputs is not None:
            inputs = pending.inputs[: len(pending.units)]
            try:
                self.raw.dump_input(inputs)
                arrays = self.session.run(inputs)
                self.raw.show(inputs, arrays, pending.buffer)
            finally:
                self._give_back(pending)
            with pending.batch.meta_mutex:
                for index, unit in enumerate(pending.units):
                    self._attach(unit, tuple(array[index] for array in arrays), pending.batch)
        # After the new verdicts: an object that was just inferred may be here a second time.
        for meta, history in pending.reused:
            attach_verdict(meta, history.verdict, self.config, batch=pending.batch)
        if self.config.output_tensor_meta and not self.config.classifier_async_mode:
            self._attach_tensors(pending, arrays)

    def _give_back(self, pending: Pending) -> None:
        if pending.inputs is not None:
            self._pool.put(pending.inputs)
            pending.inputs = None

    def _attach(self, unit: _Unit, arrays: Arrays, batch: NvDsBatchMeta) -> None:
        if unit.history is not None:
            unit.history.end_inference(unit.frame.frame_num)
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
            verdict = self._judge(arrays)
            if unit.meta is None:
                attach_frame_verdict(unit.frame, verdict, self.config, frame_wh=unit.frame_wh)
                return
            if unit.history is not None:
                unit.history.verdict = verdict
            if self.config.classifier_async_mode:
                # The buffer has gone on; its next frames get the verdict from the memory.
                return
            unit.frame.bInferDone = 1
            attach_verdict(unit.meta, verdict, self.config, batch=batch)

    def _detect(self, arrays: Arrays) -> Candidates:
        assert self._detector is not None
        found = self._detector(arrays)
        if found is None:
            self._parser_failed(self.config.parse_bbox_func_name)
            return Candidates(
                np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
            )
        return cluster(found, self.config)

    def _judge(self, arrays: Arrays) -> Verdict:
        if self._classifier is None:
            return classify(arrays, self._labels, threshold=self.config.classifier_threshold)
        verdict = self._classifier(arrays, self._labels)
        if verdict is None:
            self._parser_failed(self.config.parse_classifier_func_name)
            return Verdict()
        return verdict

    def _parser_failed(self, function: str | None) -> None:
        self._warn_once(
            "parser",
            "the parser returned false, which leaves nvinfer with garbage; nothing is attached "
            "function=%s",
            function,
        )

    def _attach_tensors(self, pending: Pending, arrays: Arrays) -> None:
        for index, unit in enumerate(pending.units):
            owner = unit.frame if unit.meta is None else unit.meta
            attach_tensors(
                owner.user_metas,
                tuple(array[index] for array in arrays),
                self.session.outputs,
                self.config,
                self.session.input,
                batch=pending.batch,
            )

    def _warn_once(self, key: str, text: str, *values: object) -> None:
        if key not in self._warned:
            self._warned.add(key)
            log.warning(text, *values)


def _detector(config: InferConfig, session: Session) -> CustomParser | DefaultParser:
    # nvinfer falls back to its own parser, silently, when the library is not named.
    if config.custom_lib_path is not None and config.parse_bbox_func_name:
        return CustomParser(config, session.input, session.outputs)
    return DefaultParser(config, session.input, session.outputs)


def _custom_classifier(config: InferConfig, session: Session) -> CustomClassifier | None:
    if config.custom_lib_path is not None and config.parse_classifier_func_name:
        return CustomClassifier(config, session.input, session.outputs)
    return None


def _check_names(
    config: InferConfig, session: Session, labels: Labels, *, labels_needed: bool
) -> None:
    names = {layer.name for layer in session.outputs}
    for name in config.output_blob_names:
        if name not in names:
            log.warning("output-blob-names: no such output output=%s has=%s", name, sorted(names))
    if config.network_type == CLASSIFIER and not labels_needed:
        # A library's parser may bring labels of its own.
        return
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
