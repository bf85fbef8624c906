"""The GStreamer element "nvtracker"."""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plugins.standin import enums, events
from plugins.standin.element import (
    BatchTransform,
    Property,
    boolean,
    enum,
    gproperties,
    in_place_templates,
    integer,
    post_error,
    string,
    uint,
)
from plugins.standin.gst import Gst
from plugins.standin.metadata import NvDsBatchMeta, NvDsFrameMeta, NvDsMetaType, NvDsUserMeta
from plugins.standin.nvtracker.association import StreamTracker
from plugins.standin.nvtracker.config import NO_ESTIMATOR, TrackerConfig, load_tracker_config
from plugins.standin.nvtracker.frame_update import FrameUpdater
from plugins.standin.nvtracker.past_pool import PastPool
from plugins.standin.nvtracker.sub_batches import NONE, Places, file_of, parse_sub_batches
from plugins.standin.queries import ask_batch_size
from plugins.standin.tracker_meta import NvDsTargetMiscDataBatch
from ropewatch.errors import ModelError

log = logging.getLogger("ropewatch.standin.nvtracker")

CAPS = "video/x-raw(memory:NVMM), format=(string){ NV12, RGBA }"
NEW_IDS_AFTER_RESET, FROM_ZERO_AFTER_EOS = 1, 2
# NvTrackerProc::init copies the rest of the configuration.
_LIVE = "tracking-id-reset-mode"
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
        enum("compute-hw", enums.COMPUTE_HW, effect=False),
        uint("tracking-surface-type"),
        boolean("display-tracking-id", True),
        Property("tracking-id-reset-mode", int, 0, 0, 3, unsigned=True),
        boolean("input-tensor-meta", effect=False),
        uint("tensor-meta-gie-id", effect=False),
        Property("user-meta-pool-size", int, 32, 1, 2**32 - 1, unsigned=True),
        string("sub-batches", ""),
        integer("sub-batch-err-recovery-trial-cnt", 0, low=-1, effect=False),
        string("operate-on-class-ids", ""),
    )
    __gproperties__ = gproperties(PROPERTIES)

    def __init__(self) -> None:
        self._configs: list[TrackerConfig] = []
        self._updater: FrameUpdater | None = None
        self._streams: dict[int, StreamTracker] = {}
        self._places = Places(NONE)
        self._pools: list[PastPool] = []
        # A second ll-config-file is appended to the first one, as in the plugin.
        self._files: list[str] = []
        self._batch_size = 1
        self._surface_type = 0
        self._from_zero = False
        super().__init__()
        # What holds until it is set, whatever the property's declared default says.
        self.settings["tracking-id-reset-mode"] = NEW_IDS_AFTER_RESET

    def changed(self, name: str, value: Any) -> None:
        """Note another configuration file; say of what is set too late that it is."""
        if name == "ll-config-file":
            self._files += (value or "").removesuffix(";").split(";")
        if self._updater is not None and name != _LIVE:
            log.warning(
                "nvtracker reads %s when it starts, as on the device; stop it (READY) first", name
            )

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
        # Asked once, as by the plugin; where nobody answers it is 1.
        self._batch_size = ask_batch_size(self.get_static_pad("sink")) or 1
        batches, wrong = parse_sub_batches(self.settings["sub-batches"] or "")
        twice = [
            pad
            for pad, count in Counter(pad for one in batches.sources for pad in one).items()
            if count > 1
        ]
        if twice:
            raise ModelError(
                f"sub-batches: {self.settings['sub-batches']}: source {twice[0]} twice, want each "
                f"source in one sub-batch; correct it"
            )
        count = max(1, len(batches.sizes))
        files = [file_of(self._files, number) for number in range(count)]
        loaded = {file: load_tracker_config(Path(file) if file else None) for file in files}
        self._configs = [loaded[file][0] for file in files]
        self._places = Places(batches)
        self._pools = [PastPool(self.settings["user-meta-pool-size"]) for _ in files]
        notes = [note for _config, notes in loaded.values() for note in notes]
        for note in (*notes, *filter(None, (wrong, self._library_note()))):
            log.warning("%s", note)
        width, height = self.settings["tracker-width"], self.settings["tracker-height"]
        if not width or not height:
            raise ModelError(
                f"tracker-width, tracker-height: {width}x{height}, want both above 0; set them"
            )
        self._surface_type = self.settings["tracking-surface-type"]
        self._from_zero = bool(self.settings[_LIVE] & FROM_ZERO_AFTER_EOS)
        numbers = re.findall(r"\d+", self.settings["operate-on-class-ids"] or "")
        self._updater = FrameUpdater(
            tracker_wh=(width, height),
            class_ids=tuple(map(int, numbers)),
            show_id=self.settings["display-tracking-id"],
        )

    def _library_note(self) -> str:
        library = self.settings["ll-lib-file"]
        if not library:
            return "ll-lib-file is not set: on a device nvtracker does not start without it"
        if Path(library).name != _NVIDIA_LIBRARY:
            return f"ll-lib-file: {library} is not loaded, boxes are matched by IoU"
        return ""

    def do_stop(self) -> bool:
        """Forget all streams."""
        self._streams.clear()
        self._updater = None
        return True

    def on_batch(self, batch: NvDsBatchMeta, buffer: Gst.Buffer) -> None:  # noqa: ARG002  the base's signature
        """Track each frame in order; each sub-batch has a past-frame meta of its own."""
        if len(batch.frames) > self._batch_size:
            raise ValueError(
                f"Frame number in input batch exceeds maximum batch size: {len(batch.frames)} "
                f"frames, want at most the {self._batch_size} that nvstreammux told when the "
                f"pipeline started; set its batch-size to the most sources there will ever be"
            )
        with batch.meta_mutex:
            for number, frames in self._dispatched(batch):
                # Taken before the work, so that what becomes known meanwhile may be lost.
                past = self._pools[number].take() if self._tells_past() else None
                if past is None and self._tells_past():
                    log.warning(
                        "no user meta is free, past frames are lost; raise user-meta-pool-size"
                    )
                for frame in frames:
                    self._track(batch, frame, past)
                if past is not None:
                    self._attach(batch, past, number)

    def _dispatched(self, batch: NvDsBatchMeta) -> Iterator[tuple[int, list[NvDsFrameMeta]]]:
        """Yield what each low-level tracker gets of a batch: by rounds of a source's frames."""
        wanted = self._surface_type
        seen: Counter[int] = Counter()
        rounds: dict[tuple[int, int], list[NvDsFrameMeta]] = {}
        for frame in batch.frames:
            if wanted and frame.surface_type not in (0, wanted):
                continue
            turn, seen[frame.pad_index] = seen[frame.pad_index], seen[frame.pad_index] + 1
            rounds.setdefault((turn, self._places.place(frame.pad_index)), []).append(frame)
        for frames in rounds.values():
            frames.sort(key=lambda frame: frame.pad_index)
        if self._places.batches.sizes:
            yield from ((number, rounds[turn, number]) for turn, number in sorted(rounds))
        elif batch.frames:
            yield 0, [frame for key in sorted(rounds) for frame in rounds[key]]

    def _track(
        self, batch: NvDsBatchMeta, frame: NvDsFrameMeta, past: NvDsTargetMiscDataBatch | None
    ) -> None:
        assert self._updater is not None
        surface = batch.surfaces[frame.batch_id]
        stream, frame_wh = self._stream(frame.pad_index), (surface.width, surface.height)
        most = max(config.max_targets for config in self._configs)
        self._updater.update(
            frame, stream, frame_wh=frame_wh, max_objects=most, from_zero=self._from_zero
        )
        if past is not None and stream.past:
            told = self._updater.past_of(stream, stream_id=frame.pad_index, frame_wh=frame_wh)
            told.numAllocated = most
            past.streams.append(told)

    def _tells_past(self) -> bool:
        return any(config.estimator != NO_ESTIMATOR for config in self._configs)

    def _attach(self, batch: NvDsBatchMeta, past: NvDsTargetMiscDataBatch, number: int) -> None:
        """Give a batch a past-frame meta, which the plugin does for each, empty or not."""
        sizes = self._places.batches.sizes
        past.numAllocated = sizes[number] if sizes else batch.max_frames_in_batch
        kind = NvDsMetaType.NVDS_TRACKER_PAST_FRAME_META
        batch.user_metas.append(NvDsUserMeta.of(kind, past, batch))

    def _stream(self, pad_index: int) -> StreamTracker:
        config = self._configs[self._places.place(pad_index)]
        if pad_index not in self._streams:
            self._streams[pad_index] = StreamTracker(config)
        # A source that came back may be in another sub-batch.
        self._streams[pad_index].config = config
        return self._streams[pad_index]

    def on_source_event(self, kind: str, pad_index: int) -> None:
        """Drop a stream's targets when it goes, and as tracking-id-reset-mode says."""
        mode = self.settings[_LIVE]
        gone = kind == events.PAD_DELETED
        ended = kind == events.STREAM_EOS and mode & FROM_ZERO_AFTER_EOS
        reset = kind == events.STREAM_RESET and mode & NEW_IDS_AFTER_RESET
        if pad_index not in self._streams or not (gone or ended or reset):
            return
        # The library's ids go on: a pad that is used again must not look like the people before.
        self._streams[pad_index].forget()
        self._places.remove(pad_index)
        if not reset and self._updater is not None:
            self._updater.forget_first_id(pad_index)
