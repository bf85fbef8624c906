"""Wall-clock time of a camera, from the RTCP sender reports that its rtspsrc receives.

The jitter buffer tells of each report: the RTP time in it, and which RTP time it plays at which
running time. From then on the wall clock of every frame is known; the muxer hears of it by an
event before the next frame, as DeepStream's does by a message of its own.
"""

from typing import Any

from plugins.standin import events
from plugins.standin.gst import Gst

_NTP_TO_UNIX_S = 2_208_988_800  # from 1900 to 1970
_NS = 1_000_000_000
_SENDER_REPORT = 200


def follow_sender_reports(source: Any) -> None:
    """Make a rtspsrc tell of its sender reports; to be called before it plays."""
    references: dict[int, tuple[int, int]] = {}
    source.connect("new-manager", _on_manager, references)
    source.connect("pad-added", _on_pad, references)


def _on_manager(_source: Any, manager: Any, references: dict[int, tuple[int, int]]) -> None:
    manager.connect("new-jitterbuffer", _on_jitterbuffer, references)


def _on_jitterbuffer(
    _manager: Any, buffer: Any, _session: int, ssrc: int, references: dict[int, tuple[int, int]]
) -> None:
    buffer.connect("handle-sync", _on_report, ssrc, references)


def _on_report(
    _buffer: Any, report: Any, ssrc: int, references: dict[int, tuple[int, int]]
) -> None:
    found = reference_of(report)
    if found is not None:
        references[ssrc] = found


def reference_of(report: Any) -> tuple[int, int] | None:
    """Return (Unix time, running time) of one moment, both in ns; None where it is not known.

    Args:
        report: rtpjitterbuffer's `application/x-rtp-sync`.
    """
    values = {
        name: report.get_uint64(name) for name in ("sr-ext-rtptime", "base-rtptime", "base-time")
    }
    known, rate = report.get_uint("clock-rate")
    packet = report.get_value("sr-buffer")
    if not known or not rate or packet is None or not all(ok for ok, _ in values.values()):
        return None
    raw = packet.extract_dup(0, packet.get_size())
    # RFC 3550, 6.4.1: header of 4 bytes, SSRC of 4, NTP time of 8.
    if len(raw) < 16 or raw[1] != _SENDER_REPORT:
        return None
    seconds, fraction = int.from_bytes(raw[8:12], "big"), int.from_bytes(raw[12:16], "big")
    unix_ns = (seconds - _NTP_TO_UNIX_S) * _NS + fraction * _NS // 2**32
    since_base = values["sr-ext-rtptime"][1] - values["base-rtptime"][1]
    return unix_ns, values["base-time"][1] + since_base * _NS // rate


def _on_pad(_source: Any, pad: Any, references: dict[int, tuple[int, int]]) -> None:
    # recv_rtp_src_SESSION_SSRC_PT
    parts = pad.get_name().split("_")
    if not pad.get_name().startswith("recv_rtp_src_"):
        return
    teller = _Teller(int(parts[-2]), references)
    pad.add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, teller)


class _Teller:
    """Sends an event before the first frame after each report, in the frame's own thread."""

    def __init__(self, ssrc: int, references: dict[int, tuple[int, int]]) -> None:
        self._ssrc, self._references = ssrc, references
        self._told: tuple[int, int] | None = None

    def __call__(self, pad: Any, _info: Any) -> Any:
        reference = self._references.get(self._ssrc)
        if reference is not None and reference != self._told:
            self._told = reference
            pad.push_event(events.make_ntp_reference(*reference))
        return Gst.PadProbeReturn.OK
