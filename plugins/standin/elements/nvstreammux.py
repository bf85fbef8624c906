"""nvstreammux, legacy and new: scaling by stock elements, batching by the core."""

import dataclasses
import itertools
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plugins.standin import element as base
from plugins.standin import enums
from plugins.standin.elements.mux_batching import Batching, LegacyBatching, NewBatching
from plugins.standin.elements.mux_config import load_mux_config
from plugins.standin.elements.mux_core import MuxCore
from plugins.standin.elements.mux_pts import CountingPts, FirstFramePts, NewestFramePts, OutPts
from plugins.standin.elements.mux_sync import Sync
from plugins.standin.elements.retag import FRAME_CAPS, ToFrames
from plugins.standin.gst import Gst, structure_of

# For the checker the mix-in is a bin; at run time it must not be (see _Muxer).
_Bin: Any = Gst.Bin if TYPE_CHECKING else object

_NEW_TIMEOUT_US = 33_000
# frame-duration -1, as the new muxer's unsigned property has it.
_OFF = 2**64 - 1
_BATCH_CAPS = "video/x-raw(memory:NVMM), format=(string){NV12, RGBA}"
_TEMPLATES = (
    base.caps_template("sink_%u", Gst.PadDirection.SINK, FRAME_CAPS, Gst.PadPresence.REQUEST),
    base.caps_template("src", Gst.PadDirection.SRC, _BATCH_CAPS),
)
# Attributes of the core, with _ for -.
_FLAGS = (
    "attach-sys-ts",
    "drop-pipeline-eos",
    "frame-num-reset-on-eos",
    "frame-num-reset-on-stream-reset",
)
# What sync-inputs' rule is made of.
_OF_SYNC = ("sync-inputs", "max-latency", "batched-push-timeout", "config-file-path")
_COMMON = (
    base.boolean("attach-sys-ts", True),
    base.boolean("drop-pipeline-eos"),
    base.boolean("frame-num-reset-on-eos"),
    base.boolean("frame-num-reset-on-stream-reset"),
    base.uint("num-surfaces-per-frame", 1),
    base.Property("max-latency", int, 0, 0, 2**64 - 1, unsigned=True, bits=64),
    base.boolean("sync-inputs"),
)


class _Muxer(base.Settings, _Bin):
    """What both muxers share: pads, the core and the checks before READY.

    STAMPS is how batches are stamped without sync-inputs.

    A plain mix-in: with a GObject class between Gst.Bin and the element, __init__ would run while
    the instance is still of that class, which has no pad templates.
    """

    STAMPS: type[OutPts]

    def start(self) -> None:
        """Build the inside; the subclass's __init__ calls it."""
        self.start_settings()
        self.core = MuxCore()
        self.ready = False
        self.add(self.core)
        template = self.get_pad_template("src")
        ghost = Gst.GhostPad.new_from_template("src", self.core.out.pad, template)
        ghost.set_active(True)
        self.add_pad(ghost)
        self.chains: dict[int, list[Gst.Element]] = {}
        base.cure_floating(self)

    def batching(self) -> Batching:
        """Return when to push; raises ValueError on settings that cannot work."""
        raise NotImplementedError

    def chain(self) -> list[Gst.Element]:
        """Make the elements between a sink pad and the core."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Check and hand over the settings, NULL to READY."""
        if self.settings["num-surfaces-per-frame"] > 1:
            raise ValueError(
                f"num-surfaces-per-frame: {self.settings['num-surfaces-per-frame']}, want 1: no "
                "stand-in gives more than one surface in a frame; set it on the device alone"
            )
        self.core.batching = self.batching()
        self.core.out.pts = NewestFramePts() if self.settings["sync-inputs"] else self.STAMPS()
        self.core.sync = self._sync()
        self._hand_over()
        self.ready = True

    def _hand_over(self) -> None:
        """Give the core what it looks at frame by frame."""
        duration_ms = self.settings["frame-duration"]
        self.core.frame_duration_ns = None if duration_ms in (-1, _OFF) else duration_ms * 10**6
        for name in _FLAGS:
            setattr(self.core, name.replace("-", "_"), self.settings[name])

    def _sync(self) -> Sync | None:
        if not self.settings["sync-inputs"]:
            return None
        hold_ns = round(self.core.batching.hold_s() * 1e9)
        return Sync(hold_ns, self.settings["max-latency"])

    def changed(self, name: str, value: Any) -> None:
        """Take what may be set while frames flow; batched-push-timeout from the first caps on."""
        core = self.core
        with core.changed:
            self._hand_over()
            if name == "batch-size":
                core.batching = dataclasses.replace(core.batching, batch_size=value)
            elif name == "config-file-path" and self.ready:
                core.batching = self.from_new_file()
            elif name == "batched-push-timeout" and core.has_caps():
                core.batching = self.with_timeout(core.batching, value)
            if self.ready and name in _OF_SYNC:
                core.sync = self._sync()
            core.changed.notify_all()

    def from_new_file(self) -> Batching:
        """Return when to push as another config file says, which the new muxer alone has."""
        raise NotImplementedError

    def with_timeout(self, batching: Any, timeout_us: int) -> Batching:
        """Return the same batching with another batched-push-timeout."""
        raise NotImplementedError

    @base.guarded(None)
    def new_pad(self, template: Any, name: str | None) -> Gst.Pad | None:
        """Make a sink pad sink_N with what scales its frames; without a number there is none."""
        if name is None:
            base.warn_unnamed(self, "sink")
            return None
        index = int(name.removeprefix("sink_"))
        if index in self.chains:
            return None
        elements = self.chain()
        for item in elements:
            self.add(item)
        for before, after in itertools.pairwise(elements):
            before.link(after)
        core_pad = self.core.add_input(index)
        elements[-1].get_static_pad("src").link(core_pad)
        self.chains[index] = elements
        entry = elements[0].get_static_pad("sink")
        core = weakref.ref(self.core)
        entry.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, _note_source_size, core, index)
        for item in elements:
            item.sync_state_with_parent()
        ghost = Gst.GhostPad.new_from_template(f"sink_{index}", entry, template)
        ghost.set_active(True)
        self.add_pad(ghost)
        return ghost

    @base.guarded(None)
    def drop_pad(self, pad: Gst.Pad) -> None:
        """Take a source out; the others go on."""
        if "core" not in vars(self):
            return  # disposal: Python's half of the element is gone already, Gst.Bin does the rest
        index = int(pad.get_name().removeprefix("sink_"))
        # Closed first: a thread that waits with a frame holds the pad's stream lock.
        self.core.close_input(index)
        pad.set_active(False)
        self.core.remove_input(index)
        self.remove_pad(pad)
        for item in self.chains.pop(index):
            item.set_state(Gst.State.NULL)
            self.remove(item)

    @base.guarded(Gst.StateChangeReturn.FAILURE)
    def change(self, transition: Any) -> Gst.StateChangeReturn:
        """Refuse to get READY with settings that cannot work."""
        if transition == Gst.StateChange.NULL_TO_READY:
            try:
                self.prepare()
            except ValueError as error:
                base.post_error(
                    self,
                    Gst.LibraryError,
                    Gst.LibraryError.SETTINGS,
                    f"{self.get_name()}: {error}",
                )
                return Gst.StateChangeReturn.FAILURE
        elif transition == Gst.StateChange.READY_TO_NULL:
            self.ready = False
        return Gst.Bin.do_change_state(self, transition)


def _note_source_size(_pad: Any, info: Any, core: Any, index: int) -> Gst.PadProbeReturn:
    """Note a source's own size before it is scaled; the core is weak, or the pad would keep it."""
    event = info.get_event()
    muxer = core()
    source = muxer.inputs.get(index) if muxer is not None else None
    if event.type == Gst.EventType.CAPS and source is not None:
        structure = structure_of(event.parse_caps(), 0)
        source.source_wh = (structure.get_int("width").value, structure.get_int("height").value)
    return Gst.PadProbeReturn.OK


class NvStreamMux(_Muxer, Gst.Bin):
    """The legacy muxer: every frame is scaled to width x height."""

    __gtype_name__ = "GstNvStreamMux"
    STAMPS = FirstFramePts
    __gstmetadata__ = ("Stream muxer", "Generic", "Batches frames of many sources", "ropewatch")
    __gsttemplates__ = _TEMPLATES
    PROPERTIES = (
        base.uint("batch-size", 0, high=1024),
        base.integer("batched-push-timeout", -1, low=-1),
        base.uint("width", 0),
        base.uint("height", 0),
        base.boolean("enable-padding"),
        # What it turns on is so here in any case.
        base.boolean("live-source"),
        *_COMMON,
        base.integer("frame-duration", 0, low=-1),
        base.uint("gpu-id", effect=False),
        base.enum("nvbuf-memory-type", enums.MEMORY_TYPE, effect=False),
        base.uint("buffer-pool-size", 4, effect=False),
        base.enum("compute-hw", enums.COMPUTE_HW, effect=False),
        base.enum("interpolation-method", enums.INTERPOLATION, 1),
        base.boolean("async-process", True, effect=False),
        base.boolean("align-first-buffer", effect=False),
        base.boolean("sync-inputs-ntp", effect=False),
        base.boolean("sort-batch", effect=False),
        base.boolean("cache-buffer", effect=False),
        base.uint("cache-buffer-timeout", effect=False),
        base.boolean("extract-sei-type5-data", effect=False),
        base.boolean("drop-backward-sei", effect=False),
    )
    __gproperties__ = base.gproperties(PROPERTIES)

    def __init__(self) -> None:
        super().__init__()
        self.start()

    def do_request_new_pad(self, template: Any, name: str | None, _caps: Any) -> Gst.Pad | None:
        """Make a sink pad."""
        return self.new_pad(template, name)

    def do_release_pad(self, pad: Gst.Pad) -> None:
        """Take a source out."""
        self.drop_pad(pad)

    def do_change_state(self, transition: Any) -> Gst.StateChangeReturn:
        """Check the settings first."""
        return self.change(transition)

    def batching(self) -> Batching:
        """Return when to push; batch-size, width and height must be set, as in DeepStream."""
        for name in ("batch-size", "width", "height"):
            if not self.settings[name]:
                raise ValueError(f"{name}: 0, want it set before the pipeline starts; set {name}")
        return LegacyBatching(self.settings["batch-size"], self.settings["batched-push-timeout"])

    def with_timeout(self, batching: Any, timeout_us: int) -> Batching:
        """Count from the first frame of a batch, as ever."""
        return dataclasses.replace(batching, timeout_us=timeout_us)  # type: ignore[no-any-return]  # the same class

    def chain(self) -> list[Gst.Element]:
        """Convert to NV12 and scale, with black borders when enable-padding is set."""
        scale = Gst.ElementFactory.make("videoscale", None)
        sized = Gst.ElementFactory.make("capsfilter", None)
        self._configure(scale, sized)
        return [ToFrames(), Gst.ElementFactory.make("videoconvert", None), scale, sized]

    def _configure(self, scale: Gst.Element, sized: Gst.Element) -> None:
        # NVIDIA's 0 is nearest and 1 bilinear, as are videoscale's; 2 to 5 are cubic and better.
        scale.set_property("method", min(self.settings["interpolation-method"], 3))
        scale.set_property("add-borders", self.settings["enable-padding"])
        sized.set_property("caps", self._frame_caps())

    def _frame_caps(self) -> Gst.Caps:
        width, height = self.settings["width"], self.settings["height"]
        size = f", width={width}, height={height}" if width and height else ""
        return Gst.Caps.from_string(f"video/x-raw, format=NV12{size}, pixel-aspect-ratio=1/1")

    def prepare(self) -> None:
        """Give every pad the size, which may have been set after the pad was requested."""
        super().prepare()
        self.core.out.wh = (self.settings["width"], self.settings["height"])
        for _, _, scale, sized in self.chains.values():
            self._configure(scale, sized)


class NewNvStreamMux(_Muxer, Gst.Bin):
    """The new muxer: neither scales nor converts."""

    __gtype_name__ = "GstNvStreamMuxNew"
    STAMPS = CountingPts
    __gstmetadata__ = ("Stream muxer", "Generic", "Batches frames of many sources", "ropewatch")
    __gsttemplates__ = _TEMPLATES
    PROPERTIES = (
        base.uint("batch-size", 0, high=1024),
        base.integer("batched-push-timeout", _NEW_TIMEOUT_US, low=1),
        base.string("config-file-path"),
        *_COMMON,
        base.Property("frame-duration", int, _OFF, 0, _OFF, unsigned=True, bits=64),
    )
    __gproperties__ = base.gproperties(PROPERTIES)

    def __init__(self) -> None:
        super().__init__()
        self.start()
        self.core.keeps_metadata = True

    def do_request_new_pad(self, template: Any, name: str | None, _caps: Any) -> Gst.Pad | None:
        """Make a sink pad."""
        return self.new_pad(template, name)

    def do_release_pad(self, pad: Gst.Pad) -> None:
        """Take a source out."""
        self.drop_pad(pad)

    def do_change_state(self, transition: Any) -> Gst.StateChangeReturn:
        """Check the settings first."""
        return self.change(transition)

    def with_timeout(self, batching: Any, timeout_us: int) -> Batching:
        """Turn a timeout into a least rate, in whole batches a second."""
        least = max(1, 1_000_000 // timeout_us)
        return dataclasses.replace(batching, min_fps=least)  # type: ignore[no-any-return]  # the same class

    def from_new_file(self) -> Batching:
        """Return when to push as another config file says.

        configure_module of 9.1 makes the policy anew at any time: what the file leaves out has
        the parser's defaults, and so has all of a file that cannot be read.
        """
        try:
            return self.batching()
        except ValueError as error:
            text = f"{self.get_name()}: {error}; the muxer's defaults hold until then"
            base.post_warning(self, Gst.LibraryError, Gst.LibraryError.SETTINGS, text)
            return NewBatching(batch_size=self.settings["batch-size"])

    def chain(self) -> list[Gst.Element]:
        """Take frames as they are."""
        return [ToFrames()]

    def batching(self) -> Batching:
        """Return when to push: as the config file says, else as the properties do.

        A file's batch-size goes before the property. At the first caps the muxer makes its whole
        policy anew, of the file or of the parser's defaults, and puts back of the properties only
        batch-size (configure_module in 9.1's gstnvstreammux.cpp): a timeout counts if set later.
        """
        path = self.settings["config-file-path"]
        config = load_mux_config(Path(path)) if path else None
        size = (config.batch_size if config else 0) or self.settings["batch-size"]
        if not size:
            raise ValueError("batch-size: 0, want it set; set batch-size or config-file-path")
        if self.settings["batched-push-timeout"] != _NEW_TIMEOUT_US:
            base.log.warning(
                "batched-push-timeout is forgotten when the stream starts, as by the new muxer; "
                "want overall-min-fps-n in config-file-path, or set it while frames flow "
                "element=%s",
                self.get_name(),
            )
        if config is None:
            return NewBatching(batch_size=size)
        for note in config.notes:
            base.log.warning("%s", note)
        return NewBatching(
            batch_size=size,
            min_fps=config.min_fps,
            adaptive=config.adaptive,
            same_source=config.same_source,
            max_fps=config.max_fps,
            source_max_fps=config.source_max_fps,
            priorities=config.priorities,
            round_robin=config.round_robin,
        )


def muxer_class() -> type[Gst.Element]:
    """Return the muxer that the environment asks for, as DeepStream does."""
    return NewNvStreamMux if os.environ.get("USE_NEW_NVSTREAMMUX") == "yes" else NvStreamMux
