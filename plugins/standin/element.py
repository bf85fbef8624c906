"""What every stand-in element is made of: properties, guarded virtual functions, pushing.

Import this, and every module that defines an element, after gst.init().
"""

import ctypes
import functools
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from plugins.standin import buffer_meta, events
from plugins.standin.enums import Enum
from plugins.standin.gst import GLib, GObject, Gst, GstBase, c_gobject, c_gst
from plugins.standin.metadata import NvDsBatchMeta

log = logging.getLogger("ropewatch.standin")

Method = TypeVar("Method", bound=Callable[..., Any])

NVMM = "memory:NVMM"
CLOCK_TIME_NONE = 2**64 - 1

c_gobject.g_object_ref.argtypes = [ctypes.c_void_p]
c_gobject.g_object_ref.restype = ctypes.c_void_p
c_gobject.g_object_force_floating.argtypes = [ctypes.c_void_p]
c_gobject.g_object_force_floating.restype = None
c_gst.gst_buffer_new_allocate.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
c_gst.gst_buffer_new_allocate.restype = ctypes.c_void_p
c_gst.gst_pad_push.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
c_gst.gst_mini_object_ref.argtypes = [ctypes.c_void_p]
c_gst.gst_mini_object_ref.restype = ctypes.c_void_p
c_gst.gst_mini_object_unref.argtypes = [ctypes.c_void_p]
c_gst.gst_mini_object_unref.restype = None

# Where GstBuffer keeps its times, bytes; part of GStreamer 1.x's stable ABI on 64-bit machines.
_PTS_OFFSET, _DURATION_OFFSET = 72, 88
_BATCH_BUFFER_BYTES = 64


@dataclass(frozen=True)
class Property:
    """One property; `effect` is False where it is accepted and does nothing here."""

    name: str
    kind: type
    default: Any
    low: int | float = 0
    high: int | float = 2**31 - 1
    effect: bool = True
    unsigned: bool = False
    bits: int = 32
    writable: bool = True
    choices: Enum | None = None

    def spec(self) -> tuple[Any, ...]:
        """Describe the property as PyGObject wants it."""
        flags = GObject.ParamFlags.READWRITE if self.writable else GObject.ParamFlags.READABLE
        blurb = self.name if self.effect else f"{self.name} (no effect in the stand-in)"
        if self.kind in (bool, str):
            kind = GObject.TYPE_BOOLEAN if self.kind is bool else GObject.TYPE_STRING
            return (kind, self.name, blurb, self.default, flags)
        if self.kind is object:
            return (GObject.TYPE_PYOBJECT, self.name, blurb, flags)
        if self.choices is not None:
            return (self.choices.gtype(), self.name, blurb, self.default, flags)
        return (self.number_type(), self.name, blurb, self.low, self.high, self.default, flags)

    def number_type(self) -> Any:
        """Return the GType of a number property."""
        if self.kind is float:
            return GObject.TYPE_DOUBLE
        if self.bits == 64:
            return GObject.TYPE_UINT64 if self.unsigned else GObject.TYPE_INT64
        return GObject.TYPE_UINT if self.unsigned else GObject.TYPE_INT


def uint(name: str, default: int = 0, *, high: int = 2**32 - 1, effect: bool = True) -> Property:
    """Describe a guint property."""
    return Property(name, int, default, 0, high, effect=effect, unsigned=True)


def integer(
    name: str, default: int = 0, *, low: int = -(2**31), high: int = 2**31 - 1, effect: bool = True
) -> Property:
    """Describe a gint property."""
    return Property(name, int, default, low, high, effect=effect)


def enum(name: str, choices: Enum, default: int = 0, *, effect: bool = True) -> Property:
    """Describe an enum property, which is an int here."""
    return Property(name, int, default, effect=effect, choices=choices)


def boolean(name: str, default: bool = False, *, effect: bool = True) -> Property:
    """Describe a gboolean property."""
    return Property(name, bool, default, effect=effect)


def string(name: str, default: str | None = None, *, effect: bool = True) -> Property:
    """Describe a string property."""
    return Property(name, str, default, effect=effect)


def gproperties(properties: Iterable[Property]) -> dict[str, tuple[Any, ...]]:
    """Make a class's __gproperties__ of its PROPERTIES."""
    return {item.name: item.spec() for item in properties}


class Settings:
    """Mix-in before a Gst class that declares PROPERTIES: keeps the values, warns once.

    Call start_settings() first thing in __init__ after the Gst class's own, and cure_floating()
    last. Override changed() to react.
    """

    PROPERTIES: tuple[Property, ...] = ()

    def start_settings(self) -> None:
        """Give every property its default."""
        self.settings: dict[str, Any] = {item.name: item.default for item in self.PROPERTIES}

    def do_get_property(self, spec: Any) -> Any:
        """Return a property's value."""
        return self.settings[spec.name]

    def do_set_property(self, spec: Any, value: Any) -> None:
        """Keep a property's value; one without effect is warned about once per element class."""
        declared = next(item for item in self.PROPERTIES if item.name == spec.name)
        if declared.choices is not None:
            value = int(value)
        self.settings[spec.name] = value
        if not declared.effect and value != declared.default:
            _warn_without_effect(type(self).__name__, spec.name)
        self.changed(spec.name, value)

    def changed(self, name: str, value: Any) -> None:
        """React to a property that was just set."""


@functools.cache
def _warn_without_effect(element: str, name: str) -> None:
    log.warning("property has no effect in the stand-in element=%s property=%s", element, name)


def cure_floating(element: Gst.Element) -> None:
    """Make a Python element floating again at the end of __init__.

    PyGObject 3.42 takes the floating reference of an element that a factory makes, about which
    GStreamer 1.22 complains with a CRITICAL for each element. PyGObject 3.48 leaves it alone, and
    another reference would never be given back.
    """
    if element.is_floating():
        return
    c_gobject.g_object_ref(hash(element))
    c_gobject.g_object_force_floating(hash(element))


def post_error(
    element: Gst.Element, domain: Any, code: int, message: str, debug: str = ""
) -> None:
    """Post an ERROR on the bus, for example with (Gst.StreamError, Gst.StreamError.FAILED)."""
    error = GLib.Error.new_literal(domain.quark(), message, int(code))
    element.post_message(Gst.Message.new_error(element, error, debug))


def post_warning(
    element: Gst.Element, domain: Any, code: int, message: str, debug: str = ""
) -> None:
    """Post a WARNING on the bus."""
    error = GLib.Error.new_literal(domain.quark(), message, int(code))
    element.post_message(Gst.Message.new_warning(element, error, debug))


def warn_unnamed(element: Gst.Element, pad: str) -> None:
    """Say why a pad that is requested without a number is refused, as NVIDIA's elements do."""
    log.error("a pad should be named %s_N element=%s", pad, element.get_name())


def guarded(failed: Any) -> Callable[[Method], Method]:
    """Turn an exception in a virtual function into an ERROR on the bus and a return value.

    Without it PyGObject prints the exception and returns 0, which reads as FLOW_OK.
    """

    def wrap(method: Method) -> Method:
        @functools.wraps(method)
        def inner(self: Any, *args: Any) -> Any:
            try:
                return method(self, *args)
            except Exception as error:
                log.exception("element failed element=%s", self.get_name())
                post_error(
                    self, Gst.StreamError, Gst.StreamError.FAILED, f"{self.get_name()}: {error}"
                )
                return failed

        return inner  # type: ignore[return-value]  # the same signature

    return wrap


def caps_template(name: str, direction: Any, caps: str, presence: Any = None) -> Gst.PadTemplate:
    """Make a pad template from a caps string."""
    if presence is None:
        presence = Gst.PadPresence.ALWAYS
    return Gst.PadTemplate.new(name, direction, presence, Gst.Caps.from_string(caps))


def in_place_templates(caps: str) -> tuple[Gst.PadTemplate, Gst.PadTemplate]:
    """Make the sink and src templates of an element whose caps pass unchanged."""
    return (
        caps_template("sink", Gst.PadDirection.SINK, caps),
        caps_template("src", Gst.PadDirection.SRC, caps),
    )


def new_batch_buffer(batch: NvDsBatchMeta, *, pts_ns: int, duration_ns: int) -> int:
    """Make the buffer that carries a batch, as a C address; push() takes it.

    No Python reference to the buffer ever exists, so everyone downstream finds it writable.
    """
    address = int(c_gst.gst_buffer_new_allocate(None, _BATCH_BUFFER_BYTES, None))
    buffer_meta.attach(address, batch)
    set_times(address, pts_ns=pts_ns, duration_ns=duration_ns)
    return address


def set_times(address: int, *, pts_ns: int, duration_ns: int) -> None:
    """Write a buffer's PTS and duration; CLOCK_TIME_NONE where unknown."""
    ctypes.c_uint64.from_address(address + _PTS_OFFSET).value = pts_ns
    ctypes.c_uint64.from_address(address + _DURATION_OFFSET).value = duration_ns


def keep(buffer: Gst.Buffer) -> int:
    """Hold a buffer beyond its call, as a C address, until push() or unref() takes it."""
    return int(c_gst.gst_mini_object_ref(hash(buffer)))


def unref(address: int) -> None:
    """Let go of a buffer that keep() or new_batch_buffer() gave."""
    c_gst.gst_mini_object_unref(address)


def push(pad: Gst.Pad, address: int) -> Gst.FlowReturn:
    """Push a buffer, by C address, and give it away; the GIL is free meanwhile."""
    return Gst.FlowReturn(c_gst.gst_pad_push(hash(pad), address))


class BatchTransform(Settings, GstBase.BaseTransform):
    """Base of elements that change a batch's metadata or pixels in place.

    It stays in pass-through, so GStreamer never copies a buffer for it, also behind a tee, where
    branches share metadata as they do in DeepStream.
    """

    def __init__(self) -> None:
        super().__init__()
        self.start_settings()
        self.set_passthrough(True)
        self.set_qos_enabled(False)
        cure_floating(self)

    def on_batch(self, batch: NvDsBatchMeta, buffer: Gst.Buffer) -> None:
        """Work on one batch; raise to stop the pipeline with an ERROR."""

    def on_plain(self) -> None:
        """Let a buffer without a batch pass; where NVIDIA's element does not, it is an error."""
        raise ValueError("the buffer has no batch metadata, want nvstreammux upstream")

    def on_source_event(self, kind: str, pad_index: int) -> None:
        """React to one of events.py's kinds, in order with the batches."""

    @guarded(Gst.FlowReturn.ERROR)
    def do_transform_ip(self, buffer: Gst.Buffer) -> Gst.FlowReturn:
        """Give on_batch the batch."""
        batch = buffer_meta.get(buffer)
        if batch is None:
            self.on_plain()
        else:
            self.on_batch(batch, buffer)
        return Gst.FlowReturn.OK

    @guarded(False)
    def do_sink_event(self, event: Gst.Event) -> bool:
        """Give on_source_event the muxer's events and pass all of them on."""
        source_event = events.parse(event)
        if source_event is not None:
            self.on_source_event(*source_event)
        return bool(GstBase.BaseTransform.do_sink_event(self, event))
