"""The one door to GStreamer in this folder: versions are required here and nowhere else.

Importing this module loads the typelibs; `init()` starts GStreamer.
"""

import ctypes
from typing import Any

import gi

gi.require_version("Gst", "1.0")

# libgstreamer brings libunwind, whose _Unwind_* would take the place of libgcc's in libraries
# that are loaded later: a C++ exception inside ONNX Runtime then kills the process (Debian 12).
ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)

from gi.repository import GLib, GObject, Gst  # noqa: E402 - require_version must come first

__all__ = ["GLib", "GObject", "Gst", "has_factory", "init"]


def init() -> None:
    """Start GStreamer; calling it again does nothing."""
    if not Gst.is_initialized():
        Gst.init(None)


def has_factory(name: str) -> bool:
    """Say whether an element of this name can be made on this machine."""
    factory: Any = Gst.ElementFactory.find(name)
    return factory is not None
