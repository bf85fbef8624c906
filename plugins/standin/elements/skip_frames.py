"""Leave encoded frames out before they are decoded: nvv4l2decoder's skip-frames."""

from typing import Any

from plugins.standin.gst import Gst, structure_of

# H.264, 7.4.1: slices are types 1 to 5, and bits 5 and 6 of the first byte say whether others
# refer to them. H.265, table 7-1: below 16 the even types are of pictures nothing refers to.
_H264_SLICES = range(1, 6)
_H265_SLICES = range(32)
_H265_REFERABLE_FROM = 16


class SkipFrames:
    """Buffer probe before a decoder; a codec other than H.264 and H.265 keeps all but for keys."""

    def __init__(self, caps: Gst.Caps, *, keys_only: bool) -> None:
        structure = structure_of(caps, 0)
        self.keys_only = keys_only
        self.codec = structure.get_name()
        self.length_bytes = 0  # 0 is start codes, as in byte-stream
        if structure.get_string("stream-format") in ("avc", "avc3", "hvc1", "hev1"):
            codec_data = structure.get_value("codec_data")
            head = codec_data.extract_dup(0, 22) if codec_data is not None else bytes(22)
            at = 4 if self.codec == "video/x-h264" else 21
            self.length_bytes = (head[at] & 3) + 1

    def __call__(self, _pad: Any, info: Any) -> Gst.PadProbeReturn:
        """Pass or drop one encoded frame."""
        buffer = info.get_buffer()
        if self.keys_only:
            skipped = buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
        else:
            skipped = self.is_unreferenced(buffer.extract_dup(0, buffer.get_size()))
        return Gst.PadProbeReturn.DROP if skipped else Gst.PadProbeReturn.OK

    def is_unreferenced(self, data: bytes) -> bool:
        """Say whether no other frame refers to this one; its first slice tells."""
        for at in self._units(data):
            if self.codec == "video/x-h264":
                if data[at] & 0x1F in _H264_SLICES:
                    return not data[at] & 0x60
            elif self.codec == "video/x-h265":
                kind = data[at] >> 1 & 0x3F
                if kind in _H265_SLICES:
                    return kind < _H265_REFERABLE_FROM and kind % 2 == 0
        return False

    def _units(self, data: bytes) -> list[int]:
        """Return where the NAL units begin."""
        found, at = [], 0
        if self.length_bytes:
            while at + self.length_bytes < len(data):
                size = int.from_bytes(data[at : at + self.length_bytes], "big")
                found.append(at + self.length_bytes)
                at += self.length_bytes + size
            return found
        while (at := data.find(b"\x00\x00\x01", at)) >= 0 and at + 3 < len(data):
            at += 3
            found.append(at)
        return found
