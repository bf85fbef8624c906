"""pyds: reaching metadata, making, adding, removing and copying it."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

from plugins.standin import buffer_meta, messages
from plugins.standin.base_meta import NvDsMetaType, NvDsUserMeta
from plugins.standin.infer_meta import NvDsInferTensorMeta
from plugins.standin.metadata import (
    MAX_ELEMENTS_IN_DISPLAY_META,
    NvDsBatchMeta,
    NvDsClassifierMeta,
    NvDsDisplayMeta,
    NvDsFrameMeta,
    NvDsLabelInfo,
    NvDsObjectMeta,
    adopt,
)
from plugins.standin.structs import GList
from plugins.standin.surface_params import NvBufSurfaceParams

__all__ = [
    "glist_get_nvds_Surface_Params",
    "glist_get_nvds_batch_meta",
    "glist_get_nvds_classifier_meta",
    "glist_get_nvds_display_meta",
    "glist_get_nvds_event_msg_meta",
    "glist_get_nvds_frame_meta",
    "glist_get_nvds_label_info",
    "glist_get_nvds_object_meta",
    "glist_get_nvds_person_object",
    "glist_get_nvds_tensor_meta",
    "glist_get_nvds_user_meta",
    "glist_get_nvds_vehicle_object",
    "gst_buffer_get_nvds_batch_meta",
    "nvds_acquire_classifier_meta_from_pool",
    "nvds_acquire_display_meta_from_pool",
    "nvds_acquire_frame_meta_from_pool",
    "nvds_acquire_label_info_meta_from_pool",
    "nvds_acquire_meta_lock",
    "nvds_acquire_obj_meta_from_pool",
    "nvds_acquire_user_meta_from_pool",
    "nvds_add_classifier_meta_to_object",
    "nvds_add_display_meta_to_frame",
    "nvds_add_frame_meta_to_batch",
    "nvds_add_label_info_meta_to_classifier",
    "nvds_add_obj_meta_to_frame",
    "nvds_add_user_meta_to_batch",
    "nvds_add_user_meta_to_frame",
    "nvds_add_user_meta_to_obj",
    "nvds_batch_meta_copy_func",
    "nvds_batch_meta_release_func",
    "nvds_clear_batch_user_meta_list",
    "nvds_clear_display_meta_list",
    "nvds_clear_frame_meta_list",
    "nvds_clear_frame_user_meta_list",
    "nvds_clear_obj_meta_list",
    "nvds_clear_obj_user_meta_list",
    "nvds_copy_batch_user_meta_list",
    "nvds_copy_display_meta_list",
    "nvds_copy_frame_meta_list",
    "nvds_copy_frame_user_meta_list",
    "nvds_copy_obj_meta_list",
    "nvds_create_batch_meta",
    "nvds_destroy_batch_meta",
    "nvds_get_nth_frame_meta",
    "nvds_get_user_meta_type",
    "nvds_release_meta_lock",
    "nvds_remove_classifier_meta_from_obj",
    "nvds_remove_display_meta_from_frame",
    "nvds_remove_frame_meta_from_batch",
    "nvds_remove_label_info_meta_from_classifier",
    "nvds_remove_obj_meta_from_frame",
    "nvds_remove_user_meta_from_batch",
    "nvds_remove_user_meta_from_frame",
    "nvds_remove_user_meta_from_object",
]

_user_types: dict[str, int] = {}
_lock = threading.Lock()


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
glist_get_nvds_Surface_Params = _from_list(NvBufSurfaceParams)  # noqa: N816  NVIDIA's name


# Making, adding and removing


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


# Batches and copies


def nvds_create_batch_meta(max_batch_size: int) -> NvDsBatchMeta:
    """Make a batch that is on no buffer."""
    return NvDsBatchMeta(max_batch_size)


def nvds_destroy_batch_meta(batch_meta: NvDsBatchMeta) -> bool:
    """Release a batch's user metas and empty it."""
    batch_meta.release()
    batch_meta.frames.clear()
    batch_meta.user_metas.clear()
    return True


def nvds_batch_meta_copy_func(data: NvDsBatchMeta, _user_data: Any) -> NvDsBatchMeta:
    """Copy a batch with all that is in it."""
    return data.copy()


def nvds_batch_meta_release_func(data: NvDsBatchMeta, _user_data: Any) -> None:
    """Release a batch, as nvds_destroy_batch_meta does."""
    nvds_destroy_batch_meta(data)


def _data_of(node: GList | None) -> Iterator[Any]:
    while node is not None:
        yield node.data
        node = node.next


def _copy(attribute: str) -> Callable[[GList | None, Any], None]:
    """Make a function that appends deep copies of a list's metas to another owner's list."""

    def copy(source: GList | None, owner: Any) -> None:
        metas = list(_data_of(source))
        copies = [meta.copy() for meta in metas]
        batch = owner if isinstance(owner, NvDsBatchMeta) else owner.base_meta.batch_meta
        for meta in copies:
            meta.base_meta.batch_meta = batch
        if attribute == "objects":
            adopt(metas, copies)
        getattr(owner, attribute).extend(copies)

    return copy


nvds_copy_frame_meta_list = _copy("frames")
nvds_copy_obj_meta_list = _copy("objects")
nvds_copy_display_meta_list = _copy("displays")
nvds_copy_batch_user_meta_list = _copy("user_metas")
nvds_copy_frame_user_meta_list = _copy("user_metas")
