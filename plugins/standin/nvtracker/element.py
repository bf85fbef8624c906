"""The GStreamer element "nvtracker"."""

import logging
import re
from pathlib import Path
from typing import Any

from plugins.standin import events
from plugins.standin.element import (
    BatchTransform,
    Property,
    boolean,
    gproperties,
    in_place_templates,
    integer,
    post_error,
    string,
    uint,
)
from plugins.standin.gst import Gst
from plugins.standin.metadata import NvDsBatchMeta, NvDsMetaType, NvDsUserMeta
from plugins.standin.nvtracker.association import StreamTracker
from plugins.standin.nvtracker.config import NO_ESTIMATOR, TrackerConfig, load_tracker_config
from plugins.standin.nvtracker.frame_update import FrameUpdater
from plugins.standin.tracker_meta import NvDsTargetMiscDataBatch
from ropewatch.errors import ModelError

log = logging.getLogger("ropewatch.standin.nvtracker")

CAPS = "video/x-raw(memory:NVMM), format=(string){ NV12, RGBA }"
NEW_IDS_AFTER_RESET, FROM_ZERO_AFTER_EOS = 1, 2
_NVIDIA_LIBRARY = "libnvds_nvmultiobjecttracker.so"


class NvTracker(BatchTransform):
    """nvtracker with an association by boxes in place of the low-level library.

    Frames of a batch are taken in order, also several of one source.
    """

    __gstmetadata__ = ("NvTracker stand-in", "NvTracker Plugin", "nvtracker on a CPU", "ropewatch")
    __gsttemplates__ = in_place_templates(CAPS)
    PROPERTIES = (
        uint("tracker-width", 960),
        uint("tracker-height", 544),
        uint("gpu-id", effect=False),
        string("ll-lib-file"),
        string("ll-config-file"),
        integer("compute-hw", 0, low=0, effect=False),
        uint("tracking-surface-type"),
        boolean("display-tracking-id", True),
        Property("tracking-id-reset-mode", int, 0, 0, 3, unsigned=True),
        boolean("input-tensor-meta", effect=False),
        uint("tensor-meta-gie-id", effect=False),
        Property("user-meta-pool-size", int, 32, 1, 2**32 - 1, effect=False, unsigned=True),
        string("sub-batches", "", effect=False),
        integer("sub-batch-err-recovery-trial-cnt", 0, low=-1, effect=False),
        string("operate-on-class-ids", ""),
    )
    __gproperties__ = gproperties(PROPERTIES)

    def __init__(self) -> None:
        self._config = TrackerConfig()
        self._updater: FrameUpdater | None = None
        self._streams: dict[int, StreamTracker] = {}
        super().__init__()

    def changed(self, name: str, value: Any) -> None:
        """Take what may change while it runs."""
        if name == "display-tracking-id" and self._updater is not None:
            self._updater.show_id = value

    def do_start(self) -> bool:
        """Read the configuration; what is wrong is said on the bus and nothing starts."""
        try:
            self._start()
        except ModelError as error:
            message = f"{self.get_name()}: {error}"
            post_error(self, Gst.LibraryError, Gst.LibraryError.SETTINGS, message)
            return False
        return True

    def _start(self) -> None:
        # A list of files is for sub-batches; the first one serves all streams here.
        file = (self.settings["ll-config-file"] or "").split(";")[0]
        self._config, notes = load_tracker_config(Path(file) if file else None)
        library = self.settings["ll-lib-file"]
        if library and Path(library).name != _NVIDIA_LIBRARY:
            notes = (*notes, f"ll-lib-file: {library} is not loaded, boxes are matched by IoU")
        for note in notes:
            log.warning("%s", note)
        width, height = self.settings["tracker-width"], self.settings["tracker-height"]
        if not width or not height:
            raise ModelError(
                f"tracker-width, tracker-height: {width}x{height}, want both above 0; set them"
            )
        numbers = re.findall(r"\d+", self.settings["operate-on-class-ids"] or "")
        self._updater = FrameUpdater(
            tracker_wh=(width, height),
            class_ids=tuple(map(int, numbers)),
            show_id=self.settings["display-tracking-id"],
            unclip=self._config.unclip,
        )

    def do_stop(self) -> bool:
        """Forget all streams."""
        self._streams.clear()
        return True

    def on_batch(self, batch: NvDsBatchMeta, buffer: Gst.Buffer) -> None:  # noqa: ARG002  the base's signature
        """Track each frame in order."""
        assert self._updater is not None
        wanted = self.settings["tracking-surface-type"]
        past = NvDsTargetMiscDataBatch()
        with batch.meta_mutex:
            for frame in batch.frames:
                if wanted and frame.surface_type not in (0, wanted):
                    continue
                surface = batch.surfaces[frame.batch_id]
                stream, frame_wh = self._stream(frame.pad_index), (surface.width, surface.height)
                self._updater.update(
                    frame, stream, frame_wh=frame_wh, max_objects=self._config.max_targets
                )
                if stream.past:
                    past.streams.append(
                        self._updater.past_of(stream, stream_id=frame.pad_index, frame_wh=frame_wh)
                    )
            if self._config.estimator != NO_ESTIMATOR:
                _attach(batch, past)

    def _stream(self, pad_index: int) -> StreamTracker:
        if pad_index not in self._streams:
            self._streams[pad_index] = StreamTracker(self._config)
        return self._streams[pad_index]

    def on_source_event(self, kind: str, pad_index: int) -> None:
        """Drop a stream's targets when it goes, and as tracking-id-reset-mode says."""
        if pad_index not in self._streams:
            return
        mode = self.settings["tracking-id-reset-mode"]
        if kind == events.PAD_DELETED:
            # Ids go on: a pad that is used again must not look like the people before.
            self._streams[pad_index].forget(from_zero=bool(mode & FROM_ZERO_AFTER_EOS))
        elif kind == events.STREAM_EOS and mode & FROM_ZERO_AFTER_EOS:
            self._streams[pad_index].forget(from_zero=True)
        elif kind == events.STREAM_RESET and mode & NEW_IDS_AFTER_RESET:
            self._streams[pad_index].forget(from_zero=False)


def _attach(batch: NvDsBatchMeta, past: NvDsTargetMiscDataBatch) -> None:
    """Give a batch its past-frame meta, which the plugin does for each, empty or not."""
    past.numAllocated = len(past.streams)
    user = NvDsUserMeta()
    user.base_meta.batch_meta = batch
    user.base_meta.meta_type = int(NvDsMetaType.NVDS_TRACKER_PAST_FRAME_META)
    user.user_meta_data = past
    batch.user_metas.append(user)
