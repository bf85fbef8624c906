"""pyds in Python: sys.modules["pyds"] after activate().

Every name of pyds 1.2.0 that is missing here says so when it is used. Differences on purpose:
cast() refuses another type and get_string() a dead address, where the device reads garbage.
"""

import ctypes
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import numpy as np
import numpy.typing as npt

from plugins.standin import buffer_meta, events, messages, metadata
from plugins.standin.elements.ntp_sync import follow_sender_reports
from plugins.standin.gst import Gst, object_at
from plugins.standin.infer_meta import Pointer, address_of, float_at
from plugins.standin.messages import *  # noqa: F403  pyds is one flat module
from plugins.standin.metadata import *  # noqa: F403  pyds is one flat module
from plugins.standin.metadata import (
    MAX_ELEMENTS_IN_DISPLAY_META,
    NvDsBatchMeta,
    NvDsClassifierMeta,
    NvDsDisplayMeta,
    NvDsFrameMeta,
    NvDsInferLayerInfo,
    NvDsInferTensorMeta,
    NvDsLabelInfo,
    NvDsMetaType,
    NvDsObjectMeta,
    NvDsUserMeta,
)
from plugins.standin.object_encoder import *  # noqa: F403  pyds is one flat module
from plugins.standin.structs import GList, make_string, string_at
from plugins.standin.tracker_meta import *  # noqa: F403  pyds is one flat module

__version__ = "1.2.0"

NVBUF_MEM_DEFAULT = 0
NVBUF_MEM_CUDA_PINNED = 1
NVBUF_MEM_CUDA_DEVICE = 2
NVBUF_MEM_CUDA_UNIFIED = 3
NVBUF_MEM_SURFACE_ARRAY = 4
NVBUF_MEM_HANDLE = 5
NVBUF_MEM_SYSTEM = 6

# pybind11 exports the members of these enumerations into the module.
for _enumeration in (
    metadata.NvDsMetaType,
    metadata.NvDsInferDataType,
    metadata.NvOSD_Mode,
    metadata.NvOSD_Arrow_Head_Direction,
    messages.NvDsEventType,
    messages.NvDsObjectType,
):
    globals().update(_enumeration.__members__)

_buffers: dict[int, Any] = {}
_user_types: dict[str, int] = {}
_callbacks: dict[str, Callable[[Any, Any], Any]] = {}
_lock = threading.Lock()


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"pyds.{name}: the CPU stand-in has no such name, want one of those in "
        f"plugins/standin/README.md; on a device the real pyds may have it"
    )


# Reaching the metadata


def gst_buffer_get_nvds_batch_meta(buffer: int) -> NvDsBatchMeta | None:
    """Return the batch metadata of the buffer at this address (its hash), or None."""
    return buffer_meta.get(buffer)


def nvds_acquire_meta_lock(batch_meta: NvDsBatchMeta) -> None:
    """Lock a batch; the lock is recursive."""
    batch_meta.meta_mutex.acquire()


def nvds_release_meta_lock(batch_meta: NvDsBatchMeta) -> None:
    """Unlock a batch."""
    batch_meta.meta_mutex.release()


def nvds_get_nth_frame_meta(frames: GList | None, index: int) -> NvDsFrameMeta | None:
    """Return a frame of a frame_meta_list, or None."""
    while frames is not None and index > 0:
        frames, index = frames.next, index - 1
    return frames.data if frames is not None else None


def _from_list(kind: Any) -> Callable[[Any], Any]:
    return kind.cast  # type: ignore[no-any-return]  # a class of metadata


glist_get_nvds_batch_meta = _from_list(NvDsBatchMeta)
glist_get_nvds_frame_meta = _from_list(NvDsFrameMeta)
glist_get_nvds_object_meta = _from_list(NvDsObjectMeta)
glist_get_nvds_user_meta = _from_list(NvDsUserMeta)
glist_get_nvds_classifier_meta = _from_list(NvDsClassifierMeta)
glist_get_nvds_display_meta = _from_list(NvDsDisplayMeta)
glist_get_nvds_label_info = _from_list(NvDsLabelInfo)
glist_get_nvds_tensor_meta = _from_list(NvDsInferTensorMeta)
glist_get_nvds_event_msg_meta = _from_list(messages.NvDsEventMsgMeta)
glist_get_nvds_person_object = _from_list(messages.NvDsPersonObject)
glist_get_nvds_vehicle_object = _from_list(messages.NvDsVehicleObject)


# Making, adding and removing metadata


def _acquire(kind: Any) -> Callable[[NvDsBatchMeta], Any]:
    def acquire(batch_meta: NvDsBatchMeta) -> Any:
        meta = kind()
        meta.base_meta.batch_meta = batch_meta
        return meta

    return acquire


def _add(attribute: str) -> Callable[[Any, Any], None]:
    def add(owner: Any, meta: Any) -> None:
        items = getattr(owner, attribute)
        if any(item is meta for item in items):
            raise ValueError(
                f"pyds: the meta is in {attribute} already, want it added once; on the device "
                f"adding twice corrupts the list"
            )
        items.append(meta)

    return add


def _remove(attribute: str) -> Callable[[Any, Any], None]:
    def remove(owner: Any, meta: Any) -> None:
        items = getattr(owner, attribute)
        items[:] = [item for item in items if item is not meta]

    return remove


def _clear(attribute: str) -> Callable[[Any, Any], None]:
    return lambda owner, _list: getattr(owner, attribute).clear()


nvds_acquire_frame_meta_from_pool = _acquire(NvDsFrameMeta)
nvds_acquire_obj_meta_from_pool = _acquire(NvDsObjectMeta)
nvds_acquire_classifier_meta_from_pool = _acquire(NvDsClassifierMeta)
nvds_acquire_label_info_meta_from_pool = _acquire(NvDsLabelInfo)
nvds_acquire_display_meta_from_pool = _acquire(NvDsDisplayMeta)
nvds_acquire_user_meta_from_pool = _acquire(NvDsUserMeta)
nvds_add_frame_meta_to_batch = _add("frames")
nvds_add_classifier_meta_to_object = _add("classifiers")
nvds_add_label_info_meta_to_classifier = _add("labels")
nvds_add_user_meta_to_batch = _add("user_metas")
nvds_add_user_meta_to_frame = _add("user_metas")
nvds_add_user_meta_to_obj = _add("user_metas")
nvds_remove_frame_meta_from_batch = _remove("frames")
nvds_remove_obj_meta_from_frame = _remove("objects")
nvds_remove_display_meta_from_frame = _remove("displays")
nvds_remove_classifier_meta_from_obj = _remove("classifiers")
nvds_remove_label_info_meta_from_classifier = _remove("labels")
nvds_remove_user_meta_from_batch = _remove("user_metas")
nvds_remove_user_meta_from_frame = _remove("user_metas")
nvds_remove_user_meta_from_object = _remove("user_metas")
nvds_clear_frame_meta_list = _clear("frames")
nvds_clear_obj_meta_list = _clear("objects")
nvds_clear_display_meta_list = _clear("displays")
nvds_clear_batch_user_meta_list = _clear("user_metas")
nvds_clear_frame_user_meta_list = _clear("user_metas")
nvds_clear_obj_user_meta_list = _clear("user_metas")


def nvds_add_obj_meta_to_frame(
    frame_meta: NvDsFrameMeta, obj_meta: NvDsObjectMeta, obj_parent: NvDsObjectMeta | None
) -> None:
    """Add an object, with the object that it was found in, if any."""
    _add("objects")(frame_meta, obj_meta)
    obj_meta.parent = obj_parent


def nvds_add_display_meta_to_frame(frame_meta: NvDsFrameMeta, display: NvDsDisplayMeta) -> None:
    """Add shapes to be drawn; more than 16 of a kind overruns memory on the device."""
    for name in ("num_rects", "num_labels", "num_lines", "num_arrows", "num_circles"):
        if getattr(display, name) > MAX_ELEMENTS_IN_DISPLAY_META:
            raise ValueError(
                f"display meta: {name} is {getattr(display, name)}, want at most "
                f"{MAX_ELEMENTS_IN_DISPLAY_META}; acquire another display meta"
            )
    _add("displays")(frame_meta, display)


def nvds_get_user_meta_type(descriptor: str) -> int:
    """Return a number for a user meta type, stable in this process."""
    with _lock:
        first = int(NvDsMetaType.NVDS_START_USER_META)
        return _user_types.setdefault(descriptor, first + len(_user_types) + 1)


# User metas


def user_copyfunc(meta: NvDsUserMeta, func: Callable[[Any, Any], Any]) -> None:
    """Set how a user meta is copied; as in pyds there is one function for the whole process."""
    _callbacks["copy"] = func
    meta.copy_func = _call_copy


def user_releasefunc(meta: NvDsUserMeta, func: Callable[[Any, Any], Any]) -> None:
    """Set how a user meta is released; as in pyds there is one function for the whole process."""
    _callbacks["release"] = func
    meta.release_func = _call_release


set_user_copyfunc = user_copyfunc
set_user_releasefunc = user_releasefunc


def register_user_copyfunc(_func: Any) -> None:
    """Do nothing, as in pyds, which keeps it for old programs."""


def register_user_releasefunc(_func: Any) -> None:
    """Do nothing, as in pyds, which keeps it for old programs."""


def unset_callback_funcs() -> None:
    """Forget both functions."""
    _callbacks.clear()


def _call_copy(meta: NvDsUserMeta) -> Any:
    func = _callbacks.get("copy")
    return func(meta, None) if func is not None else meta.user_meta_data


def _call_release(meta: NvDsUserMeta) -> None:
    func = _callbacks.get("release")
    if func is not None:
        func(meta, None)


def _allocate(kind: Any) -> Callable[..., Any]:
    """Make a structure; pyds takes the user meta that will own it, or nothing."""
    return lambda *_owner: kind()


alloc_nvds_event_msg_meta = _allocate(messages.NvDsEventMsgMeta)
alloc_nvds_vehicle_object = _allocate(messages.NvDsVehicleObject)
alloc_nvds_person_object = _allocate(messages.NvDsPersonObject)
alloc_nvds_face_object = _allocate(messages.NvDsFaceObject)
alloc_custom_struct = _allocate(messages.CustomDataStruct)


# Texts and memory


def get_string(ptr: int) -> str | None:
    """Read the text that a char* field points to; None for a null pointer."""
    return string_at(ptr)


def alloc_buffer(size: int) -> int:
    """Allocate zeroed memory; give it to free_buffer."""
    memory = make_string("", size)
    address = ctypes.addressof(memory)
    _buffers[address] = memory
    return address


alloc_char_buffer = alloc_buffer


def free_buffer(buffer: int) -> None:
    """Free what alloc_buffer or strdup gave."""
    _buffers.pop(buffer, None)


def strdup(ptr: int) -> int:
    """Copy a text; give it to free_buffer."""
    text = string_at(ptr)
    if text is None:
        return 0
    memory = make_string(text)
    _buffers[ctypes.addressof(memory)] = memory
    return ctypes.addressof(memory)


def strdup2str(ptr: int) -> str:
    """Read a text, empty for a null pointer."""
    return string_at(ptr) or ""


def generate_ts_rfc3339(buffer: int, buffer_size: int) -> None:
    """Write the time of day as RFC 3339 text, milliseconds and Z, into an allocated buffer."""
    now = datetime.now(timezone.utc)
    text = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z".encode()
    memory = _buffers[buffer]
    room = min(buffer_size, len(memory)) - 1
    ctypes.memmove(buffer, text[:room] + b"\0", len(text[:room]) + 1)


# Tensors


def get_nvds_LayerInfo(  # noqa: N802  NVIDIA's name
    meta: NvDsInferTensorMeta, index: int
) -> NvDsInferLayerInfo:
    """Describe an output with the host address of its values, valid as long as the meta."""
    return meta.layer_with_buffer(index)


def get_ptr(ptr: Pointer | int) -> int:
    """Return the address of a layer's buffer."""
    return address_of(ptr)


def get_detections(ptr: Pointer | int, index: int) -> float:
    """Read one float32 of a layer's buffer."""
    return float_at(ptr, index)


# Surfaces


def get_nvds_buf_surface(gst_buffer: int, batch_id: int) -> npt.NDArray[np.uint8]:
    """Return a frame's own pixels, (H, W, 4) uint8; what is painted there is seen downstream.

    Raises:
        RuntimeError: the frames are not RGBA, or there is no such frame.
    """
    batch = buffer_meta.get(gst_buffer)
    surfaces = batch.surfaces if batch is not None else []
    if not 0 <= batch_id < len(surfaces):
        raise RuntimeError(
            f"get_nvds_buf_surface: no frame {batch_id}, want one of {len(surfaces)} in the batch"
        )
    surface = surfaces[batch_id]
    if not surface.is_rgba:
        raise RuntimeError(
            f"get_nvds_buf_surface: the frames are {surface.format}, want RGBA; put "
            f"nvvideoconvert and the caps video/x-raw(memory:NVMM), format=RGBA before the probe"
        )
    return surface.rgba()  # type: ignore[no-any-return]


def unmap_nvds_buf_surface(_gst_buffer: int, _batch_id: int) -> None:
    """Do nothing: there is no mapping to undo; on Jetson a missing call leaks."""


def get_nvds_buf_surface_gpu(_gst_buffer: int, _batch_id: int) -> Any:
    """Refuse: there is no device memory.

    Raises:
        RuntimeError: always, as on Jetson.
    """
    raise RuntimeError("get_nvds_buf_surface_gpu: no device memory here; use get_nvds_buf_surface")


# Elements


def configure_source_for_ntp_sync(source: int) -> None:
    """Let a rtspsrc (its hash) tell the muxer the wall clock of its sender reports."""
    follow_sender_reports(object_at(source))


def nvds_measure_buffer_latency(_buffer: int) -> None:
    """Do nothing: the real one prints latencies when the environment asks for them."""


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
