"""The muxer's custom events: a source came, ended, was reset or went.

PAD_ADDED and PAD_DELETED of one source share a sticky slot, so that an element which is linked
late learns what holds now. STREAM_EOS and STREAM_RESET pass once, in order with the batches.
"""

from plugins.standin.gst import Gst, structure_of

PAD_ADDED = "pad-added"
PAD_DELETED = "pad-deleted"
STREAM_EOS = "stream-eos"
STREAM_RESET = "stream-reset"
INTERVAL_UPDATE = "infer-interval-update"
SOURCE_ID = "source-id"
NTP_REFERENCE = "ntp-reference"

_PREFIX = "ropewatch-standin-source-"


def make_pad_added(pad_index: int) -> Gst.Event:
    """Say that a source was added; downstream makes its per-source state."""
    return _make(PAD_ADDED, pad_index, sticky=True)


def make_pad_deleted(pad_index: int) -> Gst.Event:
    """Say that a source was removed; downstream drops its per-source state."""
    return _make(PAD_DELETED, pad_index, sticky=True)


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
    if event.type not in (
        Gst.EventType.CUSTOM_DOWNSTREAM,
        Gst.EventType.CUSTOM_DOWNSTREAM_STICKY,
    ):
        return None
    structure = structure_of(event)
    if structure is None or not structure.get_name().startswith(_PREFIX):
        return None
    return structure.get_string("kind"), structure.get_int("pad-index").value


def parse_interval(event: Gst.Event) -> int | None:
    """Return the interval of an interval update, None of any other event."""
    parsed = parse(event)
    if parsed is None or parsed[0] != INTERVAL_UPDATE:
        return None
    return int(structure_of(event).get_int("interval").value)


def make_source_id(source_id: int) -> Gst.Event:
    """Tell the muxer, from a source, the id that its frames are to bear."""
    return _make(SOURCE_ID, source_id, sticky=True, name=f"{_PREFIX}id")


def parse_source_id(event: Gst.Event) -> int | None:
    """Return the id of a source's own announcement, None of any other event."""
    parsed = parse(event)
    return parsed[1] if parsed is not None and parsed[0] == SOURCE_ID else None


def make_ntp_reference(unix_ns: int, running_ns: int) -> Gst.Event:
    """Tell the muxer, from a source, the Unix time of one moment of its stream."""
    # As texts: PyGObject puts a Python integer into 32 bits.
    times = {"unix-ns": str(unix_ns), "running-ns": str(running_ns)}
    return _make(NTP_REFERENCE, 0, sticky=True, name=f"{_PREFIX}ntp", **times)


def parse_ntp_reference(event: Gst.Event) -> tuple[int, int] | None:
    """Return (Unix time, running time) in ns of such an event, None of any other."""
    parsed = parse(event)
    if parsed is None or parsed[0] != NTP_REFERENCE:
        return None
    structure = structure_of(event)
    return int(structure.get_string("unix-ns")), int(structure.get_string("running-ns"))


def _make(
    kind: str, pad_index: int, *, sticky: bool = False, name: str = "", **values: int | str
) -> Gst.Event:
    structure = Gst.Structure.new_empty(name or f"{_PREFIX}{pad_index}")
    structure.set_value("kind", kind)
    structure.set_value("pad-index", pad_index)
    for key, value in values.items():
        structure.set_value(key, value)
    event_type = (
        Gst.EventType.CUSTOM_DOWNSTREAM_STICKY if sticky else Gst.EventType.CUSTOM_DOWNSTREAM
    )
    return Gst.Event.new_custom(event_type, structure)
