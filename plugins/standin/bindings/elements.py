"""pyds: what is asked of elements, by address."""

import ctypes

from plugins.standin import events
from plugins.standin.elements.ntp_sync import follow_sender_reports
from plugins.standin.gst import Gst, object_at

__all__ = [
    "configure_source_for_ntp_sync",
    "gst_element_send_nvevent_interval_update",
    "gst_element_send_nvevent_new_stream_reset",
    "nvds_measure_buffer_latency",
]


def configure_source_for_ntp_sync(source: int) -> None:
    """Let a rtspsrc (its hash) tell the muxer the wall clock of its sender reports."""
    follow_sender_reports(object_at(source))


def nvds_measure_buffer_latency(_buffer: int) -> int:
    """Return 0, the sources measured: what the real one prints only if the environment asks."""
    return 0


def gst_element_send_nvevent_new_stream_reset(element: int, source_id: int) -> bool:
    """Tell the elements downstream that a source's time starts anew."""
    return _send(element, events.make_stream_reset(source_id))


def gst_element_send_nvevent_interval_update(
    element: int, stream_id: str | int, interval: int
) -> bool:
    """Change nvinfer's interval while it runs."""
    return _send(element, events.make_interval_update(int(stream_id), interval))


_send_event = ctypes.CDLL("libgstreamer-1.0.so.0").gst_element_send_event
_send_event.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
_ref = ctypes.PyDLL("libgstreamer-1.0.so.0").gst_mini_object_ref
_ref.argtypes = [ctypes.c_void_p]


def _send(element: int, event: Gst.Event) -> bool:
    # The call takes a reference away, and Python keeps its own.
    _ref(hash(event))
    return bool(_send_event(element, hash(event)))
