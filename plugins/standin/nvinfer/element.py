"""The GStreamer element "nvinfer": properties, start, batches and the muxer's events."""

import logging
import re
from pathlib import Path
from typing import Any

import cv2

from plugins.standin import buffer_meta, events
from plugins.standin.element import (
    BatchTransform,
    Property,
    boolean,
    gproperties,
    guarded,
    in_place_templates,
    integer,
    post_error,
    string,
    uint,
)
from plugins.standin.gst import GObject, Gst
from plugins.standin.metadata import NvDsBatchMeta
from plugins.standin.nvinfer.config import load_config
from plugins.standin.nvinfer.inference import Inference
from ropewatch.errors import ModelError
from ropewatch.nvinfer_keys import INT_MAX, MAX_BATCH_SIZE

log = logging.getLogger("ropewatch.standin.nvinfer")

CAPS = "video/x-raw(memory:NVMM), format=(string){ NV12, RGBA }"


class NvInfer(BatchTransform):
    """nvinfer on ONNX Runtime: results are attached before the batch goes on, always in order.

    Differs on purpose: it works in the streaming thread that brings the batch, so queues around
    it decide what overlaps, and the model cannot be changed while it runs.
    """

    __gstmetadata__ = ("NvInfer stand-in", "NvInfer Plugin", "nvinfer on a CPU", "ropewatch")
    __gsttemplates__ = in_place_templates(CAPS)
    __gsignals__ = {  # noqa: RUF012  PyGObject reads a plain dict
        "model-updated": (GObject.SignalFlags.RUN_LAST, None, (int, str))
    }
    PROPERTIES = (
        uint("unique-id", 15),
        Property("process-mode", int, 1, 1, 2, unsigned=True),
        string("config-file-path", ""),
        Property("batch-size", int, 1, 1, MAX_BATCH_SIZE, unsigned=True),
        uint("interval", 0, high=INT_MAX),
        integer("infer-on-gie-id", -1, low=-1),
        string("infer-on-class-ids", ""),
        string("filter-out-class-ids", ""),
        string("model-engine-file", ""),
        uint("gpu-id", 0, effect=False),
        boolean("raw-output-file-write", effect=False),
        Property("raw-output-generated-callback", object, None, effect=False),
        Property("raw-output-generated-userdata", object, None, effect=False),
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
        self._to_drop = 0
        super().__init__()

    def changed(self, name: str, value: Any) -> None:
        """Remember the order, by which nvinfer decides whether file or property wins."""
        if name == "config-file-path":
            self._before = frozenset(self._set)
            self._show_file_values(value)
        self._set[name] = None
        if self._inference is None:
            return
        if name in ("config-file-path", "model-engine-file"):
            log.warning(
                "the stand-in changes no model while it runs; stop it first value=%s", value
            )
        elif name == "interval":
            self._inference.interval = value

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
            "model-engine-file": str(config.model_engine_file or ""),
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
        self._to_drop = inference.config.stabilize_buffer_count
        self.emit("model-updated", 0, str(inference.config.path))
        return True

    def _load(self) -> Inference:
        path = self.settings["config-file-path"]
        if not path:
            raise ModelError(
                "config-file-path is not set, want an nvinfer configuration file; set the property"
            )
        config = load_config(Path(path), self._given(), before=self._before)
        for note in config.notes:
            log.warning("%s", note)
        # The model has the cores; small pictures gain nothing from more threads.
        cv2.setNumThreads(1)
        return Inference(config)

    def _given(self) -> dict[str, Any]:
        given = {name: self.settings[name] for name in self._set}
        for name in ("infer-on-class-ids", "filter-out-class-ids"):
            if name in given:
                numbers = map(int, re.findall(r"-?\d+", given[name] or ""))
                given[name] = tuple(number for number in numbers if number >= 0)
        return given

    def do_stop(self) -> bool:
        """Let go of the model."""
        self._inference = None
        return True

    def on_batch(self, batch: NvDsBatchMeta, buffer: Gst.Buffer) -> None:  # noqa: ARG002  the base's signature
        """Infer and attach."""
        assert self._inference is not None
        self._inference.process(batch)

    @guarded(Gst.FlowReturn.ERROR)
    def do_transform_ip(self, buffer: Gst.Buffer) -> Gst.FlowReturn:
        """Drop the first stabilize-buffer-count batches, work on the others."""
        if self._to_drop > 0 and buffer_meta.get(buffer) is not None:
            self._to_drop -= 1
            # GST_BASE_TRANSFORM_FLOW_DROPPED
            return Gst.FlowReturn.CUSTOM_SUCCESS
        return super().do_transform_ip(buffer)

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
        """Take interval updates; after EOS the next batch is inferred."""
        if self._inference is not None:
            interval = events.parse_interval(event)
            if interval is not None:
                self._inference.interval = interval
            if event.type == Gst.EventType.EOS:
                self._inference.restart_interval()
        return super().do_sink_event(event)
