"""The replaceable part of nvurisrcbin: what opens and decodes one URI."""

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from plugins.standin import element as base
from plugins.standin.elements.ntp_sync import follow_sender_reports
from plugins.standin.gst import Gst, structure_of

_RAW_VIDEO = "video/x-raw(ANY)"
_RAW_AUDIO = "audio/x-raw(ANY)"
# By select-rtp-protocol, GstRTSPLowerTrans: udp 1, udp multicast 2, tcp 4, http 16, tls 32.
_ANY_TRANSPORT = 7
_TRANSPORTS = {1: 1, 2: 2, 4: 4, 7: _ANY_TRANSPORT, 10: 16, 20: 32}
_TYPE_URI = 1
# What NVIDIA's takes from a camera (populate_rtspsrc_bin_video of 9.1), and nothing else.
_ENCODINGS = {
    "H264": ("rtph264depay", "h264parse"),
    "H265": ("rtph265depay", "h265parse"),
    "MP4V-ES": ("rtpmp4vdepay", "mpeg4videoparse"),
}

PadAdded = Callable[[Gst.Pad, str], None]


def is_camera(settings: Mapping[str, Any]) -> bool:
    """Tell what gets an rtspsrc and is opened again: as in 9.1, rtsp:// alone, unless type=uri.

    All other schemes of RTSP, rtsps:// among them, play and never come back.
    """
    return bool(settings["uri"].startswith("rtsp://")) and settings["type"] != _TYPE_URI


def redacted(uri: str) -> str:
    """Hide user name and password, for messages."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    host = parts.netloc.rsplit("@", 1)[1]
    return urlunsplit(parts._replace(netloc=f"***@{host}"))


def make_branch(settings: dict[str, Any], on_pad: PadAdded) -> Gst.Element:
    """Make the element that opens a URI; on_pad(pad, "video" or "audio") gets decoded streams."""
    if settings["uri"].startswith("rtsp"):
        branch = _rtsp_branch(settings, on_pad)
    else:
        branch = Gst.ElementFactory.make("uridecodebin", None)
        branch.set_property("uri", settings["uri"])
        branch.set_property("expose-all-streams", False)
        caps = _RAW_VIDEO if settings["disable-audio"] else f"{_RAW_VIDEO}; {_RAW_AUDIO}"
        branch.set_property("caps", Gst.Caps.from_string(caps))
        branch.connect("pad-added", _on_decoded, on_pad)
    branch.connect("deep-element-added", _on_element, settings)
    return branch


def _on_element(_branch: Any, _bin: Any, element: Gst.Element, settings: dict[str, Any]) -> None:
    """Configure the decoder that decodebin chose."""
    factory = element.get_factory()
    if factory is None or factory.get_name() != "nvv4l2decoder":
        return
    element.set_property("skip-frames", settings["dec-skip-frames"])
    interval_s = settings["simulate-fps-interval-ms"] / 1000
    if interval_s:
        element.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, _wait, interval_s)


def _wait(_pad: Any, _info: Any, interval_s: float) -> Gst.PadProbeReturn:
    """Hold an encoded frame up, as NVIDIA's does to make a file look like a camera."""
    time.sleep(interval_s)
    return Gst.PadProbeReturn.OK


def _rtsp_branch(settings: dict[str, Any], on_pad: PadAdded) -> Gst.Bin:
    branch = Gst.Bin.new(None)
    source = Gst.ElementFactory.make("rtspsrc", None)
    source.set_property("location", settings["uri"])
    # What is no camera is uridecodebin's to open, to which NVIDIA's says no more.
    for name in ("latency", "udp-buffer-size"):
        source.set_property(name, settings[name])
    if settings["disable-audio"]:
        source.connect("select-stream", _is_video)
    branch.add(source)
    if is_camera(settings):
        for name in ("drop-on-latency", "buffer-mode"):
            source.set_property(name, settings[name])
        transport = _TRANSPORTS.get(settings["select-rtp-protocol"], _ANY_TRANSPORT)
        source.set_property("protocols", transport)
        follow_sender_reports(source)
    source.connect("pad-added", _on_rtp, settings, on_pad)
    return branch


def _is_video(_source: Any, _number: int, caps: Gst.Caps) -> bool:
    return bool(structure_of(caps, 0).get_string("media") == "video")


def _on_rtp(source: Gst.Element, pad: Gst.Pad, settings: dict[str, Any], on_pad: PadAdded) -> None:
    """Decode one RTP stream behind a queue; a camera's video behind one of its encoded frames.

    Without a queue, as in uridecodebin, decodebin has the jitter buffer's thread, and when the
    server goes away then, rtspsrc (seen in 1.22) may wait for that thread for ever, and so does
    who stops the source: 29 of 67 times.
    """
    branch = source.get_parent()
    if branch is None:
        return
    structure = structure_of(pad.get_current_caps() or pad.query_caps(None), 0)
    is_video = structure.get_string("media") == "video" and is_camera(settings)
    names = ["queue"]
    if is_video:
        encoding = structure.get_string("encoding-name")
        if encoding not in _ENCODINGS:
            text = f"{encoding} over RTSP, want {', '.join(_ENCODINGS)}; set the camera so"
            base.post_error(branch, Gst.StreamError, Gst.StreamError.FAILED, text)
            return
        names = [*_ENCODINGS[encoding], "queue"]
    chain = [Gst.ElementFactory.make(name, None) for name in (*names, "decodebin")]
    if is_video:
        chain[-2].set_property("leaky", settings["leaky"])
        chain[-2].set_property("max-size-buffers", settings["max-size-buffers"])
    chain[-1].connect("pad-added", _on_decoded, on_pad)
    for item in chain:
        branch.add(item)
    for before, after in itertools.pairwise(chain):
        before.link(after)
    pad.link(chain[0].get_static_pad("sink"))
    for item in reversed(chain):
        item.sync_state_with_parent()


def _on_decoded(decode: Gst.Element, pad: Gst.Pad, on_pad: PadAdded) -> None:
    """Hand a decoded stream over, through a ghost pad where a bin is in between."""
    caps = pad.get_current_caps() or pad.query_caps(None)
    kind = structure_of(caps, 0).get_name().partition("/")[0]
    parent = decode.get_parent()
    if decode.get_factory().get_name() == "decodebin" and parent is not None:
        ghost = Gst.GhostPad.new(None, pad)
        ghost.set_active(True)
        parent.add_pad(ghost)
        pad = ghost
    on_pad(pad, kind)
