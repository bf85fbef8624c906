"""The GStreamer element "nvinfer": properties, start, batches and the muxer's events."""

import functools
import logging
import re
from pathlib import Path
from typing import Any

import cv2

from plugins.standin import buffer_meta, enums, events
from plugins.standin.element import (
    BatchTransform,
    Property,
    boolean,
    enum,
    gproperties,
    guarded,
    in_place_templates,
    integer,
    keep,
    post_error,
    post_warning,
    push,
    string,
    uint,
    unref,
)
from plugins.standin.gst import GObject, Gst
from plugins.standin.nvinfer.config import load_config
from plugins.standin.nvinfer.inference import Inference, Pending
from plugins.standin.nvinfer.model_update import ModelUpdates, Status
from plugins.standin.nvinfer.worker import Worker
from ropewatch.errors import ModelError
from ropewatch.nvinfer_keys import INT_MAX, MAX_BATCH_SIZE

log = logging.getLogger("ropewatch.standin.nvinfer")

# GST_BASE_TRANSFORM_FLOW_DROPPED: the base class lets go of the buffer and pushes nothing.
_TAKEN = Gst.FlowReturn.CUSTOM_SUCCESS
_BROKEN = (Gst.FlowReturn.ERROR, Gst.FlowReturn.NOT_LINKED, Gst.FlowReturn.NOT_NEGOTIATED)

# What nvinfer looks at frame by frame, and what it is called in a configuration; two more have
# places of their own.
_LIVE = {
    "unique-id": "gie_unique_id",
    "infer-on-gie-id": "operate_on_gie_id",
    "infer-on-class-ids": "operate_on_class_ids",
    "filter-out-class-ids": "filter_out_class_ids",
    "output-tensor-meta": "output_tensor_meta",
    "crop-objects-to-roi-boundary": "crop_objects_to_roi_boundary",
}

CAPS = "video/x-raw(memory:NVMM), format=(string){ NV12, RGBA }"


class NvInfer(BatchTransform):
    """nvinfer on ONNX Runtime, in nvinfer's threads.

    The thread that brings a batch cuts and scales; another one infers, attaches and pushes, so
    up to IN_FLIGHT inference batches are under way and probes on the two pads run in two threads.
    A serialised event waits until everything before it has been pushed.
    """

    __gstmetadata__ = ("NvInfer stand-in", "NvInfer Plugin", "nvinfer on a CPU", "ropewatch")
    __gsttemplates__ = in_place_templates(CAPS)
    __gsignals__ = {  # noqa: RUF012  PyGObject reads a plain dict
        "model-updated": (GObject.SignalFlags.RUN_LAST, None, (int, str))
    }
    PROPERTIES = (
        uint("unique-id", 15),
        enum("process-mode", enums.PROCESS_MODE, 1),
        string("config-file-path", ""),
        Property("batch-size", int, 1, 1, MAX_BATCH_SIZE, unsigned=True),
        uint("interval", 0, high=INT_MAX),
        integer("infer-on-gie-id", -1, low=-1),
        string("infer-on-class-ids", ""),
        string("filter-out-class-ids", ""),
        string("model-engine-file", ""),
        uint("gpu-id", 0, effect=False),
        boolean("raw-output-file-write"),
        Property("raw-output-generated-callback", object, None),
        Property("raw-output-generated-userdata", object, None),
        boolean("output-tensor-meta"),
        boolean("output-instance-mask"),
        boolean("input-tensor-meta"),
        boolean("clip-object-outside-roi", True, effect=False),
        boolean("crop-objects-to-roi-boundary"),
        boolean("strongly-typed", effect=False),
        string("dynamic-properties", "", effect=False),
    )
    __gproperties__ = gproperties(PROPERTIES)

    def __init__(self) -> None:
        # The set comes first: GObject sets construct properties from within super().__init__.
        self._set: dict[str, None] = {}
        self._before: frozenset[str] = frozenset()
        self._inference: Inference | None = None
        self._updates: ModelUpdates | None = None
        self._finisher: Worker | None = None
        # Asynchronous classifiers' buffers do not wait for results.
        self._pusher: Worker | None = None
        self._flow = Gst.FlowReturn.OK
        # Of the element's whole life, as in nvinfer: a second start drops nothing again.
        self._buffers_seen = 0
        super().__init__()

    def do_set_property(self, spec: Any, value: Any) -> None:
        """Keep a property's value; of a running element, load another model."""
        if self._inference is None or spec.name not in ("config-file-path", "model-engine-file"):
            super().do_set_property(spec, value)
            return
        assert self._updates is not None
        self._updates.request(
            value or "", self._inference, engine=spec.name == "model-engine-file"
        )

    def changed(self, name: str, value: Any) -> None:
        """Remember the order, by which nvinfer decides whether file or property wins."""
        if name == "config-file-path":
            self._before = frozenset(self._set)
            self._show_file_values(value)
        self._set[name] = None
        if self._inference is None:
            return
        if name == "interval":
            self._inference.interval = value
        elif name == "raw-output-file-write":
            self._inference.raw.writes = value
        elif name in _LIVE:
            self._inference.change(**{_LIVE[name]: self._given()[name]})
        else:
            log.warning("nvinfer reads %s when it starts; stop it (READY) first", name)

    def _show_file_values(self, path: str) -> None:
        """Let properties that were not set show the file's values, as applications read them."""
        try:
            config = load_config(Path(path or ""), self._given(), before=self._before)
        except ModelError:
            # nvinfer keeps quiet here too; do_start says what is wrong.
            return
        shown = {
            "unique-id": config.gie_unique_id,
            "process-mode": config.process_mode,
            "batch-size": config.batch_size,
            "interval": config.interval,
            "infer-on-gie-id": config.operate_on_gie_id,
            "infer-on-class-ids": _listed(config.operate_on_class_ids, ":"),
            "filter-out-class-ids": _listed(config.filter_out_class_ids, ";"),
            "model-engine-file": str(config.model_engine_file or ""),
            "raw-output-file-write": config.raw_output_file_write,
            "output-tensor-meta": config.output_tensor_meta,
            "crop-objects-to-roi-boundary": config.crop_objects_to_roi_boundary,
        }
        self.settings.update(
            {name: value for name, value in shown.items() if name not in self._set}
        )

    def do_start(self) -> bool:
        """Load everything; what is wrong is said on the bus and the pipeline does not start."""
        try:
            inference = self._load()
        except ModelError as error:
            message = f"{self.get_name()}: {error}"
            post_error(self, Gst.LibraryError, Gst.LibraryError.SETTINGS, message)
            return False
        except Exception as error:
            log.exception("nvinfer failed to start element=%s", self.get_name())
            message = f"{self.get_name()}: {error}"
            post_error(self, Gst.ResourceError, Gst.ResourceError.FAILED, message)
            return False
        self._inference = inference
        self._updates = ModelUpdates(self._notify)
        self._finisher = Worker(f"{self.get_name()}-output")
        self._pusher = self._finisher
        if inference.config.classifier_async_mode:
            self._pusher = Worker(f"{self.get_name()}-push")
        self._flow = Gst.FlowReturn.OK
        self._notify(Status.SUCCESS, str(inference.config.path), "")
        return True

    def _notify(self, status: Status, path: str, reason: str) -> None:
        """Tell the application about a model, as nvinfer does."""
        if status is not Status.SUCCESS:
            uid = self.settings["unique-id"]
            text = f"[UID {uid}]: Load new model:{path} failed, reason: {reason}"
            post_warning(self, Gst.LibraryError, Gst.LibraryError.SETTINGS, text)
        self.emit("model-updated", int(status), path)

    def _load(self) -> Inference:
        path = self.settings["config-file-path"]
        if not path:
            raise ModelError(
                "config-file-path is not set, want an nvinfer configuration file; set the property"
            )
        config = load_config(Path(path), self._given(), before=self._before)
        for note in config.notes:
            # A file for a device may speak of its engine; that is no news on a laptop.
            log.log(logging.DEBUG if note in config.quiet_notes else logging.WARNING, "%s", note)
        # The model has the cores; small pictures gain nothing from more threads.
        cv2.setNumThreads(1)
        inference = Inference(config)
        names = ("raw-output-generated-callback", "raw-output-generated-userdata")
        inference.raw.call(*(self.settings[name] for name in names))
        return inference

    def _given(self) -> dict[str, Any]:
        given = {name: self.settings[name] for name in self._set}
        for name in ("infer-on-class-ids", "filter-out-class-ids"):
            if name in given:
                numbers = map(int, re.findall(r"-?\d+", given[name] or ""))
                given[name] = tuple(number for number in numbers if number >= 0)
        return given

    def do_stop(self) -> bool:
        """Finish what is under way and let go of the model."""
        for worker in {self._finisher, self._pusher, self._updates}:
            if worker is not None:
                worker.stop()
        self._finisher = self._pusher = self._updates = self._inference = None
        return True

    @guarded(Gst.FlowReturn.ERROR)
    def do_transform_ip(self, buffer: Gst.Buffer) -> Gst.FlowReturn:
        """Take the buffer from the base class, which is told that it was dropped."""
        batch = buffer_meta.get(buffer)
        if batch is None:
            raise ValueError("NvDsBatchMeta not found for input buffer, want nvstreammux upstream")
        assert self._finisher is not None
        assert self._pusher is not None
        inference = self._current()
        self._buffers_seen += 1
        if self._buffers_seen <= inference.config.stabilize_buffer_count:
            return _TAKEN
        waits = not inference.config.classifier_async_mode
        for pending in inference.prepare(batch):
            pending.buffer = hash(buffer) if waits else None
            self._finisher.put(functools.partial(self._finish, inference, pending))
        self._pusher.put(functools.partial(self._push, keep(buffer)))
        # Of an earlier push: what is wrong downstream is told one buffer later, as by nvinfer.
        return _TAKEN if self._flow == Gst.FlowReturn.OK else self._flow

    def _current(self) -> Inference:
        """Return the model for the next batch: a new one, if it is ready."""
        assert self._inference is not None
        assert self._updates is not None
        assert self._finisher is not None
        ready = self._updates.take()
        if ready is not None:
            self._finisher.drain()
            ready[0].take_over(self._inference)
            self._inference, path = ready
            config = self._inference.config
            self.settings["config-file-path"] = str(config.path)
            self.settings["model-engine-file"] = str(config.model_engine_file or "")
            self._notify(Status.SUCCESS, path, "")
        return self._inference

    def _finish(self, inference: Inference, pending: Pending) -> None:
        if self._flow == Gst.FlowReturn.ERROR:
            return
        try:
            inference.finish(pending)
        except Exception as error:
            log.exception("inference failed element=%s", self.get_name())
            self._fail(str(error))

    def _push(self, address: int) -> None:
        if self._flow == Gst.FlowReturn.ERROR:
            unref(address)
            return
        flow = push(self.get_static_pad("src"), address)
        if flow != self._flow and flow in _BROKEN:
            self._fail(f"Internal data stream error. streaming stopped, reason {flow.value_nick}")
        self._flow = flow

    def _fail(self, text: str) -> None:
        self._flow = Gst.FlowReturn.ERROR
        message = f"{self.get_name()}: {text}"
        post_error(self, Gst.StreamError, Gst.StreamError.FAILED, message)

    def on_source_event(self, kind: str, pad_index: int) -> None:
        """Keep the per-source memory in step with the sources."""
        if self._inference is None:
            return
        histories = self._inference.histories
        if kind == events.PAD_ADDED:
            histories.add_source(pad_index)
        elif kind == events.PAD_DELETED:
            histories.remove_source(pad_index)
        elif kind == events.STREAM_EOS:
            histories.forget_objects(pad_index)

    @guarded(False)
    def do_sink_event(self, event: Gst.Event) -> bool:
        """Let what came before the event go first; take interval updates; EOS restarts them."""
        # The low bits of an event's type are its flags (GST_EVENT_MAKE_TYPE).
        serialized = int(event.type) & int(Gst.EventTypeFlags.SERIALIZED)
        if self._pusher is not None and serialized and event.type != Gst.EventType.TAG:
            self._pusher.drain()
        if event.type == Gst.EventType.FLUSH_STOP and self._flow == Gst.FlowReturn.FLUSHING:
            self._flow = Gst.FlowReturn.OK
        if self._inference is not None:
            interval = events.parse_interval(event)
            if interval is not None:
                self._inference.interval = interval
            if event.type == Gst.EventType.EOS:
                self._inference.restart_interval()
        return super().do_sink_event(event)


def _listed(numbers: tuple[int, ...], divider: str) -> str:
    return "".join(f"{number}{divider}" for number in sorted(set(numbers)))
