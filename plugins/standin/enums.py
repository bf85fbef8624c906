"""Properties that are enums on the device, so that gst-launch-1.0 takes their names as there.

Type names and nicks of nvurisrcbin, nvdsosd and nvinfer are those of 9.1's published source; of
the elements that are closed, what their gst-inspect-1.0 prints.
"""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plugins.standin.gst import GObject, c_gobject

c_gobject.g_enum_register_static.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
c_gobject.g_enum_register_static.restype = ctypes.c_size_t
c_gobject.g_type_from_name.argtypes = [ctypes.c_char_p]
c_gobject.g_type_from_name.restype = ctypes.c_size_t


class _GEnumValue(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_int),
        ("value_name", ctypes.c_char_p),
        ("value_nick", ctypes.c_char_p),
    )


# GObject keeps the pointers for as long as the process lives.
_registered: dict[str, Any] = {}


@dataclass(frozen=True)
class Enum:
    """An enum's type name and its nicks by number."""

    type_name: str
    nicks: Mapping[int, str]

    def gtype(self) -> Any:
        """Return the GType, made at the first call."""
        name = self.type_name.encode()
        if not c_gobject.g_type_from_name(name):
            rows = [(number, nick.encode(), nick.encode()) for number, nick in self.nicks.items()]
            table = (_GEnumValue * (len(rows) + 1))(*(_GEnumValue(*row) for row in rows))
            _registered[self.type_name] = table
            c_gobject.g_enum_register_static(name, ctypes.addressof(table))
        return GObject.GType.from_name(self.type_name)


_MEMORY = {
    0: "nvbuf-mem-default",
    1: "nvbuf-mem-cuda-pinned",
    2: "nvbuf-mem-cuda-device",
    3: "nvbuf-mem-cuda-unified",
    4: "nvbuf-mem-surface-array",
}
_ALGORITHMS = ("Nearest", "Bilinear", "Algo-1", "Algo-2", "Algo-3", "Algo-4", "Default")
_FLIPS = (
    "none",
    "counterclockwise",
    "rotate-180",
    "clockwise",
    "horizontal-flip",
    "upper-right-diagonal",
    "vertical-flip",
    "upper-left-diagonal",
)
_PRESETS = ("DisablePreset", "UltraFastPreset", "FastPreset", "MediumPreset", "SlowPreset")
_TUNINGS = ("HighQualityPreset", "LowLatencyPreset", "UltraLowLatencyPreset", "LosslessPreset")
_SKIPPED = dict(enumerate(("decode_all", "decode_non_ref", "decode_key")))
_DECODED_INTO = dict(enumerate(("memtype_device", "memtype_pinned", "memtype_unified")))

# Of several elements.
MEMORY_TYPE = Enum("GstNvBufMemoryType", _MEMORY)
COMPUTE_HW = Enum("GstNvComputeHWType", dict(enumerate(("Default", "GPU", "VIC"))))
INTERPOLATION = Enum("GstNvInterpolationMethod", dict(enumerate(_ALGORITHMS)))
FLIP = Enum("GstNvVideoFlipMethod", dict(enumerate(_FLIPS)))
OSD_MODE = Enum("GstNvDsOsdMode", dict(enumerate(("MODE_CPU", "MODE_GPU", "MODE_NONE"))))
PROCESS_MODE = Enum("GstNvInferProcessModeType", {1: "primary", 2: "secondary"})
# Of nvurisrcbin and nvv4l2decoder.
SOURCE_TYPE = Enum("GstNvSourceType", dict(enumerate(("auto", "uri", "rtsp"))))
SKIP_FRAMES = Enum("SkipFrames", _SKIPPED)
DECODER_SKIP_FRAMES = Enum("SkipFrame", _SKIPPED)
CUDADEC_MEMORY = Enum("GstNvUriSrcBinCudaDecMemType", _DECODED_INTO)
DECODER_MEMORY = Enum("GstCudaDecMemType", _DECODED_INTO)
RTP_PROTOCOL = Enum(
    "RtpProtocol",
    {
        0: "rtp-unknown",
        1: "rtp-udp",
        2: "rtp-udp-mcast",
        4: "rtp-tcp",
        7: "rtp-udp-udpmcast-tcp",
        10: "rtp-http",
        20: "rtp-tls",
    },
)
BUFFER_MODE = Enum("BufferMode", dict(enumerate(("unknown", "slave", "buffer", "auto", "synced"))))
LEAKY = Enum("Leaky", dict(enumerate(("no-leak", "upstream-leak", "downstream-leak"))))
SMART_RECORD = Enum(
    "SmartRecordType",
    dict(enumerate(("smart-rec-disable", "smart-rec-cloud", "smart-rec-multi"))),
)
SMART_MODE = Enum(
    "SmartRecordMode",
    dict(enumerate(("smart-rec-mode-av", "smart-rec-mode-video", "smart-rec-mode-audio"))),
)
SMART_CONTAINER = Enum(
    "SmartRecordContainerType", dict(enumerate(("smart-rec-mp4", "smart-rec-mkv")))
)
# Of the encoders.
RATE_CONTROL = Enum(
    "GstV4l2VideoEncRateControlType", {0: "variable_bitrate", 1: "constant_bitrate"}
)
PRESET_LEVEL = Enum("GstV4L2VideoEncHwPreset", dict(enumerate(_PRESETS)))
TUNING = Enum("GstV4L2VideoEncTuingInfoPreset", dict(enumerate(_TUNINGS, start=1)))
H264_PROFILE = Enum(
    "GstV4l2VideoEncProfileType", {0: "Baseline", 2: "Main", 4: "High", 7: "High444"}
)
H265_PROFILE = Enum("GstV4L2VideoEncProfileType", {0: "Main", 1: "Main10", 3: "FREXT"})
