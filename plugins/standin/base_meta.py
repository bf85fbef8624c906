"""What every NvDs meta begins with, and user metas."""

import weakref
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from plugins.standin.structs import Field, Int, Nested, Struct

if TYPE_CHECKING:
    from plugins.standin.metadata import NvDsBatchMeta

__all__ = ["GstNvDsMetaType", "NvDsBaseMeta", "NvDsMeta", "NvDsMetaType", "NvDsUserMeta"]


class NvDsMetaType(IntEnum):
    """Kinds of meta; applications compare names, since the numbers move between releases."""

    NVDS_INVALID_META = -1
    NVDS_BATCH_META = 1
    NVDS_FRAME_META = 2
    NVDS_OBJ_META = 3
    NVDS_DISPLAY_META = 4
    NVDS_CLASSIFIER_META = 5
    NVDS_LABEL_INFO_META = 6
    NVDS_USER_META = 7
    NVDS_PAYLOAD_META = 8
    NVDS_EVENT_MSG_META = 9
    NVDS_OPTICAL_FLOW_META = 10
    NVDS_LATENCY_MEASUREMENT_META = 11
    NVDSINFER_TENSOR_OUTPUT_META = 12
    NVDSINFER_SEGMENTATION_META = 13
    NVDS_CROP_IMAGE_META = 14
    NVDS_TRACKER_PAST_FRAME_META = 15
    NVDS_TRACKER_BATCH_REID_META = 16
    NVDS_TRACKER_OBJ_REID_META = 17
    NVDS_AUDIO_BATCH_META = 18
    NVDS_AUDIO_FRAME_META = 19
    NVDS_RESERVED_META = 4095
    NVDS_GST_CUSTOM_META = 4096
    NVDS_START_USER_META = 8193
    NVDS_FORCE32_META = 0x7FFFFFFF


class GstNvDsMetaType(IntEnum):
    """Kinds of meta on a buffer."""

    NVDS_GST_INVALID_META = -1
    NVDS_BATCH_GST_META = 4097
    NVDS_DECODER_GST_META = 4098
    NVDS_DEWARPER_GST_META = 4099
    NVDS_RESERVED_GST_META = 8192
    NVDS_GST_META_FORCE32 = 0x7FFFFFFF


class NvDsMeta(Struct):
    """A meta on a buffer; `meta_type` is one of GstNvDsMetaType."""

    __slots__ = ()
    meta_data: Field[Any] = Field(None)
    user_data: Field[Any] = Field(None)
    meta_type = Int()


class NvDsBaseMeta(Struct):
    """What every meta begins with."""

    __slots__ = ("_batch",)
    meta_type = Int(int(NvDsMetaType.NVDS_INVALID_META))
    uContext: Field[Any] = Field(None)  # noqa: N815  NVIDIA's name

    @property
    def batch_meta(self) -> "NvDsBatchMeta | None":
        """The batch that the meta was acquired from; weak, so that no cycle keeps it alive."""
        found = getattr(self, "_batch", None)
        return found() if found else None

    @batch_meta.setter
    def batch_meta(self, batch: "NvDsBatchMeta | None") -> None:
        self._batch = weakref.ref(batch) if batch is not None else None


def base_of(meta_type: NvDsMetaType) -> Nested[NvDsBaseMeta]:
    """Describe the base_meta field of a kind of meta."""

    def make() -> NvDsBaseMeta:
        base = NvDsBaseMeta()
        base.meta_type = meta_type
        return base

    return Nested(make)


class NvDsUserMeta(Struct):
    """Anything; `copy_func(meta)` copies its data, `release_func(meta)` frees it, both or None."""

    __slots__ = ()
    base_meta = base_of(NvDsMetaType.NVDS_USER_META)
    user_meta_data: Field[Any] = Field(None)
    copy_func: Field[Callable[[Any], Any] | None] = Field(None)
    release_func: Field[Callable[[Any], None] | None] = Field(None)

    @classmethod
    def of(cls, kind: NvDsMetaType, data: Any, batch: Any = None) -> "NvDsUserMeta":
        """Make the meta of a kind around its data, as an element attaches it."""
        made = cls()
        made.base_meta.batch_meta = batch
        made.base_meta.meta_type = int(kind)
        made.user_meta_data = data
        return made

    def copy(self) -> "NvDsUserMeta":
        """Copy the meta; the data by its writer's function, by its own, or not at all."""
        data = self.user_meta_data
        other = NvDsUserMeta()
        other.base_meta = self.base_meta
        other.copy_func, other.release_func = self.copy_func, self.release_func
        if self.copy_func is not None:
            data = self.copy_func(self)
        elif isinstance(data, Struct):
            data = data.copy()
        other.user_meta_data = data
        return other
