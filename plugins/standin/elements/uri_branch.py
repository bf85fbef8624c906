"""The replaceable part of nvurisrcbin: what opens and decodes one URI."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from plugins.standin.elements.ntp_sync import follow_sender_reports
from plugins.standin.gst import Gst, structure_of

_RAW_VIDEO = "video/x-raw(ANY)"
_RAW_AUDIO = "audio/x-raw(ANY)"
# GstRTSPLowerTrans: udp 1, udp multicast 2, tcp 4, http 16; NVIDIA's 7 is the first three.
_KNOWN_TRANSPORTS = 0x37

PadAdded = Callable[[Gst.Pad, str], None]


def is_rtsp(uri: str) -> bool:
    """Tell cameras from files and downloads."""
    return uri.lower().startswith(("rtsp:", "rtsps:", "rtspt:", "rtspu:", "rtsph:"))


def redacted(uri: str) -> str:
    """Hide user name and password, for messages."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    host = parts.netloc.rsplit("@", 1)[1]
    return urlunsplit(parts._replace(netloc=f"***@{host}"))


def make_branch(uri: str, settings: dict[str, Any], on_pad: PadAdded) -> Gst.Element:
    """Make the element that opens a URI; on_pad(pad, "video" or "audio") gets decoded streams."""
    if is_rtsp(uri):
        return _rtsp_branch(uri, settings, on_pad)
    branch = Gst.ElementFactory.make("uridecodebin", None)
    branch.set_property("uri", uri)
    branch.set_property("expose-all-streams", False)
    caps = _RAW_VIDEO if settings["disable-audio"] else f"{_RAW_VIDEO}; {_RAW_AUDIO}"
    branch.set_property("caps", Gst.Caps.from_string(caps))
    branch.connect("pad-added", _on_decoded, on_pad)
    return branch


def _rtsp_branch(uri: str, settings: dict[str, Any], on_pad: PadAdded) -> Gst.Bin:
    branch = Gst.Bin.new(None)
    source = Gst.ElementFactory.make("rtspsrc", None)
    source.set_property("location", uri)
    source.set_property("latency", settings["latency"])
    source.set_property("drop-on-latency", settings["drop-on-latency"])
    source.set_property("udp-buffer-size", settings["udp-buffer-size"])
    source.set_property("protocols", settings["select-rtp-protocol"] & _KNOWN_TRANSPORTS)
    if settings["disable-audio"]:
        source.connect("select-stream", _is_video)
    branch.add(source)
    follow_sender_reports(source)
    source.connect("pad-added", _on_rtp, on_pad)
    return branch


def _is_video(_source: Any, _number: int, caps: Gst.Caps) -> bool:
    return bool(structure_of(caps, 0).get_string("media") == "video")


def _on_rtp(source: Gst.Element, pad: Gst.Pad, on_pad: PadAdded) -> None:
    """Decode one RTP stream."""
    branch = source.get_parent()
    if branch is None:
        return
    decode = Gst.ElementFactory.make("decodebin", None)
    decode.connect("pad-added", _on_decoded, on_pad)
    branch.add(decode)
    pad.link(decode.get_static_pad("sink"))
    decode.sync_state_with_parent()


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
