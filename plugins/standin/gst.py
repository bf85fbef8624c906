"""The only door to gi in the stand-ins: versions are pinned here, nothing is initialised here."""

import contextlib
import ctypes
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstBase", "1.0")
gi.require_version("GstVideo", "1.0")

# libgstreamer brings libunwind, whose _Unwind_* would take the place of libgcc's in libraries
# that are loaded later: a C++ exception inside ONNX Runtime then kills the process (Debian 12).
ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)

from gi.repository import (  # noqa: E402  the versions come first
    GLib,
    GObject,
    Gst,
    GstBase,
    GstVideo,
)

# An element that was made before GstBase was asked for leaves a class without methods as
# BaseTransform, on which every element of ours would fail.
with contextlib.suppress(RuntimeError):  # No such type so far, hence no such element.
    _known = GObject.GType.from_name("GstBaseTransform")
    if not hasattr(_known.pytype, "set_passthrough"):
        _known.pytype = None

__all__ = [
    "GLib",
    "GObject",
    "Gst",
    "GstBase",
    "GstVideo",
    "c_gobject",
    "c_gst",
    "init",
    "object_at",
    "structure_of",
]

# CDLL lets go of the GIL, which a call that may block or take another thread's lock needs.
# Calls that only read memory go through PyDLL: giving the GIL away costs more than they do.
c_gst = ctypes.CDLL("libgstreamer-1.0.so.0")
c_gobject = ctypes.CDLL("libgobject-2.0.so.0")


def init() -> None:
    """Initialise GStreamer once; modules that define elements need it before they are imported."""
    if not Gst.is_initialized():
        Gst.init(None)


def object_at(address: int) -> Any:
    """Return the object whose hash() this is, which must be alive."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.argtypes, pointer.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
    api = pointer(gi._gi._PyGObject_API, b"gobject._PyGObject_API")  # noqa: SLF001  pygobject.h
    # struct _PyGObject_Functions: pygobject_new() is the fourth.
    new = ctypes.c_void_p.from_address(api + 3 * ctypes.sizeof(ctypes.c_void_p)).value
    assert new is not None
    return ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)(new)(address)


def structure_of(owner: Any, index: int | None = None) -> Any:
    """Copy the structure out of an event, or the one at `index` out of caps; None without any.

    gst-python 1.26 wraps it in a context manager, older ones hand out the structure itself.
    """
    found = owner.get_structure() if index is None else owner.get_structure(index)
    if hasattr(found, "__enter__"):
        with found as structure:
            return None if structure is None else structure.copy()
    return None if found is None else found.copy()
