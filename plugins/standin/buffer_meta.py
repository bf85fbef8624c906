"""NvDsBatchMeta on GstBuffers: a GstMeta of our own that holds the number of a Python object.

GStreamer frees it with the buffer and calls back to copy it, so a copy made anywhere in C (tee,
videoconvert, copy-on-write) carries a deep copy of the metadata, as DeepStream's does.
"""

import ctypes
import itertools
from typing import Any

from plugins.standin.gst import c_gst
from plugins.standin.metadata import NvDsBatchMeta

__all__ = ["attach", "copy_count", "get", "live_count"]

_NAME = b"RopewatchStandinBatchMeta"
_locked_gst = ctypes.PyDLL("libgstreamer-1.0.so.0")


class _GstMeta(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_int),
        ("info", ctypes.c_void_p),
        ("key", ctypes.c_uint64),
    )


_Init = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_GstMeta), ctypes.c_void_p, ctypes.c_void_p)
_Free = ctypes.CFUNCTYPE(None, ctypes.POINTER(_GstMeta), ctypes.c_void_p)
_Transform = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.POINTER(_GstMeta),
    ctypes.c_void_p,
    ctypes.c_uint32,
    ctypes.c_void_p,
)

for _library in (c_gst, _locked_gst):
    _library.gst_buffer_add_meta.restype = ctypes.POINTER(_GstMeta)
    _library.gst_buffer_add_meta.argtypes = [ctypes.c_void_p] * 3
_locked_gst.gst_buffer_get_meta.restype = ctypes.POINTER(_GstMeta)
_locked_gst.gst_buffer_get_meta.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_locked_gst.gst_mini_object_is_writable.argtypes = [ctypes.c_void_p]
c_gst.gst_meta_api_type_register.restype = ctypes.c_size_t
c_gst.gst_meta_api_type_register.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
c_gst.gst_meta_register.restype = ctypes.c_void_p
c_gst.gst_meta_register.argtypes = [
    ctypes.c_size_t,
    ctypes.c_char_p,
    ctypes.c_size_t,
    _Init,
    _Free,
    _Transform,
]


class _Registry:
    """The metas of this process by number, and the type that GStreamer knows them under."""

    def __init__(self) -> None:
        self.batches: dict[int, NvDsBatchMeta] = {}
        self.keys = itertools.count(1)
        self.copies = 0
        self.api = 0
        self.info = None
        # The callbacks must outlive every buffer, so they belong to the registry.
        self.callbacks = (_Init(self.on_init), _Free(self.on_free), _Transform(self.on_copy))

    def register(self) -> None:
        """Tell GStreamer about the type, once; GStreamer must be initialised."""
        if self.info is None:
            tags = (ctypes.c_char_p * 1)(None)
            self.api = c_gst.gst_meta_api_type_register(_NAME + b"API", ctypes.addressof(tags))
            self.info = c_gst.gst_meta_register(
                self.api, _NAME, ctypes.sizeof(_GstMeta), *self.callbacks
            )

    @staticmethod
    def on_init(meta: Any, _params: int, _buffer: int) -> int:
        """Start without a batch."""
        meta.contents.key = 0
        return 1

    def on_free(self, meta: Any, _buffer: int) -> None:
        """Let go of the batch with its buffer; user metas get their release function."""
        batch = self.batches.pop(meta.contents.key, None)
        if batch is not None:
            batch.release()

    def on_copy(self, target: int, meta: Any, _buffer: int, _kind: int, _data: int) -> int:
        """Give a copied buffer a deep copy."""
        batch = self.batches.get(meta.contents.key)
        if batch is not None:
            self.copies += 1
            self.put(target, batch.copy())
        return 1

    def put(self, address: int, batch: NvDsBatchMeta) -> None:
        """Attach a batch to a buffer that has none."""
        key = next(self.keys)
        self.batches[key] = batch
        _locked_gst.gst_buffer_add_meta(address, self.info, None).contents.key = key


_registry = _Registry()


def attach(buffer: Any, batch_meta: NvDsBatchMeta) -> None:
    """Put batch metadata on a buffer that the caller alone holds.

    Raises:
        ValueError: the buffer is shared, or has batch metadata already.
    """
    _registry.register()
    address = hash(buffer)
    if not _locked_gst.gst_mini_object_is_writable(address):
        raise ValueError(
            "attach: the buffer is shared, want one that is held here alone; "
            "attach before the buffer is pushed, not in a probe"
        )
    if get(address) is not None:
        raise ValueError("attach: the buffer has batch metadata, want a buffer without")
    _registry.put(address, batch_meta)


def get(buffer: Any) -> NvDsBatchMeta | None:
    """Return a buffer's batch metadata, by Gst.Buffer or by address (its hash), or None."""
    if not _registry.api:
        return None
    meta = _locked_gst.gst_buffer_get_meta(hash(buffer), _registry.api)
    return _registry.batches.get(meta.contents.key) if meta else None


def live_count() -> int:
    """Count the buffers that hold batch metadata now."""
    return len(_registry.batches)


def copy_count() -> int:
    """Count the deep copies made since the start; none happen on a straight path."""
    return _registry.copies
