"""The muxer's custom events: a source came, began, ended, was reset or went.

Types and flags are those of gst-nvevent.h: sticky, with a slot for each kind and source. An
element that is linked late gets all of them, in the order of their numbers, as on the device.
"""

import ctypes
from typing import Any

from plugins.standin.gst import Gst, structure_of

PAD_ADDED = "pad-added"
PAD_DELETED = "pad-deleted"
STREAM_EOS = "stream-eos"
STREAM_SEGMENT = "stream-segment"
STREAM_RESET = "stream-reset"
STREAM_START = "stream-start"
UPDATE_CAPS = "update-caps"
INTERVAL_UPDATE = "infer-interval-update"
SOURCE_ID = "source-id"
NTP_REFERENCE = "ntp-reference"

_PREFIX = "ropewatch-standin-source-"
# GstNvEventType: numbers from 400 on, flags downstream, serialized, sticky and sticky-multi.
_STICKY_MULTI = 0b11110
_TYPES = {
    kind: number << 8 | _STICKY_MULTI
    for number, kind in enumerate(
        (
            PAD_ADDED,
            PAD_DELETED,
            STREAM_EOS,
            STREAM_SEGMENT,
            STREAM_RESET,
            STREAM_START,
            UPDATE_CAPS,
        ),
        start=400,
    )
}
_KNOWN_TYPES = {
    *_TYPES.values(),
    int(Gst.EventType.CUSTOM_DOWNSTREAM),
    int(Gst.EventType.CUSTOM_DOWNSTREAM_STICKY),
}
# Where GstEvent keeps its type, behind GstMiniObject; part of GStreamer 1.x's stable ABI.
_TYPE_OFFSET = 64


def make_pad_added(pad_index: int) -> Gst.Event:
    """Say that a source was added; downstream makes its per-source state."""
    return _make(PAD_ADDED, pad_index)


def make_pad_deleted(pad_index: int) -> Gst.Event:
    """Say that a source was removed; downstream drops its per-source state."""
    return _make(PAD_DELETED, pad_index)


def make_stream_start(pad_index: int, stream_id: str) -> Gst.Event:
    """Say that a source begins a stream."""
    return _make(STREAM_START, pad_index, **{"stream-id-str": stream_id})


def make_stream_segment(pad_index: int, segment: Gst.Segment) -> Gst.Event:
    """Say how a source's timestamps are to be read."""
    return _make(STREAM_SEGMENT, pad_index, segment=segment)


def make_update_caps(pad_index: int, wh: tuple[int, int], fps: tuple[int, int]) -> Gst.Event:
    """Say which frames a source gives: size and frames a second, as numerator and denominator."""
    names = ("width-val", "height-val", "fps-n", "fps-d")
    values: dict[str, Any] = dict(zip(names, (*wh, *fps), strict=True))
    return _make(UPDATE_CAPS, pad_index, **values)


def make_stream_eos(pad_index: int) -> Gst.Event:
    """Say that a source has ended; others go on."""
    return _make(STREAM_EOS, pad_index)


def make_stream_reset(pad_index: int) -> Gst.Event:
    """Say that a source's time starts anew."""
    return _make(STREAM_RESET, pad_index)


def make_interval_update(pad_index: int, interval: int) -> Gst.Event:
    """Ask nvinfer to skip `interval` batches between two inferences."""
    return _make(INTERVAL_UPDATE, pad_index, interval=interval)


def parse(event: Gst.Event) -> tuple[str, int] | None:
    """Return (kind, pad index) of one of our events, None of any other."""
    if int(event.type) not in _KNOWN_TYPES:
        return None
    structure = structure_of(event)
    if structure is None or not structure.get_name().startswith(_PREFIX):
        return None
    return structure.get_string("kind"), structure.get_int("pad-index").value


def parse_value(event: Gst.Event, name: str) -> Any:
    """Return what one of our events carries under a name."""
    return structure_of(event).get_value(name)


def parse_segment(event: Gst.Event) -> Gst.Segment:
    """Return the segment of a STREAM_SEGMENT."""
    structure = structure_of(event)
    # A copy while the structure lives: the value belongs to it.
    return structure.get_value("segment").copy()


def parse_interval(event: Gst.Event) -> int | None:
    """Return the interval of an interval update, None of any other event."""
    parsed = parse(event)
    if parsed is None or parsed[0] != INTERVAL_UPDATE:
        return None
    return int(parse_value(event, "interval"))


def make_source_id(source_id: int) -> Gst.Event:
    """Tell the muxer, from a source, the id that its frames are to bear."""
    return _make(SOURCE_ID, source_id, name=f"{_PREFIX}id")


def parse_source_id(event: Gst.Event) -> int | None:
    """Return the id of a source's own announcement, None of any other event."""
    parsed = parse(event)
    return parsed[1] if parsed is not None and parsed[0] == SOURCE_ID else None


def make_ntp_reference(unix_ns: int, running_ns: int) -> Gst.Event:
    """Tell the muxer, from a source, the Unix time of one moment of its stream."""
    # As texts: PyGObject puts a Python integer into 32 bits.
    times = {"unix-ns": str(unix_ns), "running-ns": str(running_ns)}
    return _make(NTP_REFERENCE, 0, name=f"{_PREFIX}ntp", **times)


def parse_ntp_reference(event: Gst.Event) -> tuple[int, int] | None:
    """Return (Unix time, running time) in ns of such an event, None of any other."""
    parsed = parse(event)
    if parsed is None or parsed[0] != NTP_REFERENCE:
        return None
    return int(parse_value(event, "unix-ns")), int(parse_value(event, "running-ns"))


def _make(kind: str, pad_index: int, *, name: str = "", **values: Any) -> Gst.Event:
    structure = Gst.Structure.new_empty(name or f"{_PREFIX}{pad_index}")
    structure.set_value("kind", kind)
    structure.set_value("pad-index", pad_index)
    for key, value in values.items():
        structure.set_value(key, value)
    types = Gst.EventType
    event_type = types.CUSTOM_DOWNSTREAM_STICKY if name else types.CUSTOM_DOWNSTREAM
    event = Gst.Event.new_custom(event_type, structure)
    if kind in _TYPES:
        # PyGObject takes no number that is not in GstEventType.
        ctypes.c_int.from_address(hash(event) + _TYPE_OFFSET).value = _TYPES[kind]
    return event
