"""pyds: user metas, how they are copied and released, and structures to put into them."""

from collections.abc import Callable
from typing import Any

from plugins.standin import messages
from plugins.standin.base_meta import NvDsUserMeta

__all__ = [
    "alloc_custom_struct",
    "alloc_nvds_event",
    "alloc_nvds_event_msg_meta",
    "alloc_nvds_face_object",
    "alloc_nvds_payload",
    "alloc_nvds_person_object",
    "alloc_nvds_vehicle_object",
    "register_user_copyfunc",
    "register_user_releasefunc",
    "set_user_copyfunc",
    "set_user_releasefunc",
    "unset_callback_funcs",
    "user_copyfunc",
    "user_releasefunc",
]

_callbacks: dict[str, Callable[[Any, Any], Any]] = {}


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
alloc_nvds_event = _allocate(messages.NvDsEvent)
alloc_nvds_payload = _allocate(messages.NvDsPayload)
alloc_custom_struct = _allocate(messages.CustomDataStruct)
