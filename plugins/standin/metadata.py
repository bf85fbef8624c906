"""NvDs metadata as plain Python objects under pyds's attribute names.

The elements use the Python lists (`frame.objects`); applications see the same lists as GLists
(`frame.obj_meta_list`). Copies are deep, except for surfaces and tensors, which are shared as
they are on the device.
"""

import gc
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from plugins.standin.base_meta import NvDsBaseMeta, NvDsMetaType, NvDsUserMeta, base_of
from plugins.standin.infer_meta import (
    NvDsInferDataType,
    NvDsInferDims,
    NvDsInferLayerInfo,
    NvDsInferNetworkInfo,
    NvDsInferObjectDetectionInfo,
    NvDsInferTensorMeta,
)
from plugins.standin.osd_params import (
    NvOSD_Arrow_Head_Direction,
    NvOSD_ArrowParams,
    NvOSD_CircleParams,
    NvOSD_ColorParams,
    NvOSD_FontParams,
    NvOSD_LineParams,
    NvOSD_MaskParams,
    NvOSD_Mode,
    NvOSD_RectParams,
    NvOSD_TextParams,
)
from plugins.standin.structs import (
    CharArray,
    CString,
    Field,
    Float32,
    GList,
    Int,
    Nested,
    Owned,
    Struct,
    glist,
    uint,
    uint64,
)

UNTRACKED_OBJECT_ID = 2**64 - 1
MAX_ELEMENTS_IN_DISPLAY_META = 16

__all__ = [
    "NvBbox_Coords",
    "NvDsBaseMeta",
    "NvDsBatchMeta",
    "NvDsClassifierMeta",
    "NvDsComp_BboxInfo",
    "NvDsDisplayMeta",
    "NvDsFrameMeta",
    "NvDsInferDataType",
    "NvDsInferDims",
    "NvDsInferLayerInfo",
    "NvDsInferNetworkInfo",
    "NvDsInferObjectDetectionInfo",
    "NvDsInferTensorMeta",
    "NvDsLabelInfo",
    "NvDsMetaPool",
    "NvDsMetaType",
    "NvDsObjectMeta",
    "NvDsUserMeta",
    "NvOSD_ArrowParams",
    "NvOSD_Arrow_Head_Direction",
    "NvOSD_CircleParams",
    "NvOSD_ColorParams",
    "NvOSD_FontParams",
    "NvOSD_LineParams",
    "NvOSD_MaskParams",
    "NvOSD_Mode",
    "NvOSD_RectParams",
    "NvOSD_TextParams",
]


class NvBbox_Coords(Struct):  # noqa: N801  NVIDIA's name
    """A box in muxer-output pixels."""

    __slots__ = ()
    left = Float32()
    top = Float32()
    width = Float32()
    height = Float32()


class NvDsComp_BboxInfo(Struct):  # noqa: N801  NVIDIA's name
    """A component's own box."""

    __slots__ = ()
    org_bbox_coords = Nested(NvBbox_Coords)


class NvDsLabelInfo(Struct):
    """One label of a classifier."""

    __slots__ = ()
    base_meta = base_of(NvDsMetaType.NVDS_LABEL_INFO_META)
    num_classes = uint()
    result_label = CharArray()
    pResult_label = CString()  # noqa: N815  NVIDIA's name
    result_class_id = uint()
    label_id = uint()
    result_prob = Float32()


class NvDsClassifierMeta(Struct):
    """One classifier's verdict on one object: `labels` is list[NvDsLabelInfo].

    classifier_type exists in C and in no pyds; the elements use it.
    """

    __slots__ = ()
    base_meta = base_of(NvDsMetaType.NVDS_CLASSIFIER_META)
    unique_component_id = Int()
    stand_in_classifier_type: Field[str] = Field("")
    labels: Owned[NvDsLabelInfo] = Owned()

    @property
    def num_labels(self) -> int:
        """How many labels were added."""
        return len(self.labels)

    @property
    def label_info_list(self) -> GList | None:
        """The pyds view of `labels`."""
        return glist(self.labels)


class NvDsObjectMeta(Struct):
    """One object: `classifiers` is list[NvDsClassifierMeta], `user_metas` list[NvDsUserMeta]."""

    __slots__ = ()
    base_meta = base_of(NvDsMetaType.NVDS_OBJ_META)
    parent: "Field[NvDsObjectMeta | None]" = Field(None)
    unique_component_id = Int()
    class_id = Int()
    object_id = uint64(UNTRACKED_OBJECT_ID)
    detector_bbox_info = Nested(NvDsComp_BboxInfo)
    tracker_bbox_info = Nested(NvDsComp_BboxInfo)
    confidence = Float32()
    tracker_confidence = Float32()
    rect_params = Nested(NvOSD_RectParams)
    mask_params = Nested(NvOSD_MaskParams)
    text_params = Nested(NvOSD_TextParams)
    obj_label = CharArray()
    classifiers: Owned[NvDsClassifierMeta] = Owned()
    user_metas: Owned[NvDsUserMeta] = Owned()
    misc_obj_info: Nested[list[int]] = Nested(lambda: [0] * 4)
    reserved: Nested[list[int]] = Nested(lambda: [0] * 4)

    @property
    def classifier_meta_list(self) -> GList | None:
        """The pyds view of `classifiers`."""
        return glist(self.classifiers)

    @property
    def obj_user_meta_list(self) -> GList | None:
        """The pyds view of `user_metas`."""
        return glist(self.user_metas)


def _sixteen(kind: type[Struct]) -> Nested[list[Any]]:
    return Nested(lambda: [kind() for _ in range(MAX_ELEMENTS_IN_DISPLAY_META)])


class NvDsDisplayMeta(Struct):
    """Up to 16 shapes of each kind to be drawn on a frame."""

    __slots__ = ()
    base_meta = base_of(NvDsMetaType.NVDS_DISPLAY_META)
    num_rects = uint()
    num_labels = uint()
    num_lines = uint()
    num_arrows = uint()
    num_circles = uint()
    rect_params = _sixteen(NvOSD_RectParams)
    text_params = _sixteen(NvOSD_TextParams)
    line_params = _sixteen(NvOSD_LineParams)
    arrow_params = _sixteen(NvOSD_ArrowParams)
    circle_params = _sixteen(NvOSD_CircleParams)
    misc_osd_data: Nested[list[int]] = Nested(lambda: [0] * 4)
    reserved: Nested[list[int]] = Nested(lambda: [0] * 4)


class NvDsFrameMeta(Struct):
    """One frame: `objects`, `displays` and `user_metas` are its lists."""

    __slots__ = ()
    base_meta = base_of(NvDsMetaType.NVDS_FRAME_META)
    pad_index = uint()
    batch_id = uint()
    frame_num = Int()
    buf_pts = uint64()
    ntp_timestamp = uint64()
    source_id = uint()
    num_surfaces_per_frame = Int(1)
    source_frame_width = uint()
    source_frame_height = uint()
    surface_type = uint()
    surface_index = uint()
    bInferDone = Int()  # noqa: N815  NVIDIA's name
    objects: Owned[NvDsObjectMeta] = Owned()
    displays: Owned[NvDsDisplayMeta] = Owned()
    user_metas: Owned[NvDsUserMeta] = Owned()
    misc_frame_info: Nested[list[int]] = Nested(lambda: [0] * 4)
    stand_in_pipeline_wh: Field[tuple[int, int]] = Field((0, 0))
    reserved: Nested[list[int]] = Nested(lambda: [0] * 4)

    @property
    def num_obj_meta(self) -> int:
        """How many objects were added."""
        return len(self.objects)

    @property
    def obj_meta_list(self) -> GList | None:
        """The pyds view of `objects`."""
        return glist(self.objects)

    @property
    def display_meta_list(self) -> GList | None:
        """The pyds view of `displays`."""
        return glist(self.displays)

    @property
    def frame_user_meta_list(self) -> GList | None:
        """The pyds view of `user_metas`."""
        return glist(self.user_metas)

    def copy(self) -> "NvDsFrameMeta":
        """Copy the frame; parents of copied objects are the copied parents."""
        other = super().copy()
        adopt(self.objects, other.objects)
        return other


class NvDsMetaPool(Struct):
    """The pyds view of a pool: what is in use, in the order of the frames."""

    __slots__ = ()
    meta_type = Int()
    full: Owned[Any] = Owned()

    @property
    def full_list(self) -> GList | None:
        """The metas in use."""
        return glist(self.full)

    @property
    def num_full_elements(self) -> int:
        """How many metas are in use."""
        return len(self.full)


class NvDsBatchMeta(Struct):
    """One batch: `frames`, `user_metas`, and `surfaces`, one Surface for each frame's batch_id."""

    __slots__ = ("meta_mutex", "surfaces")
    base_meta = base_of(NvDsMetaType.NVDS_BATCH_META)
    max_frames_in_batch = uint()
    frames: Owned[NvDsFrameMeta] = Owned()
    user_metas: Owned[NvDsUserMeta] = Owned()
    misc_batch_info: Nested[list[int]] = Nested(lambda: [0] * 4)
    reserved: Nested[list[int]] = Nested(lambda: [0] * 4)

    def __init__(self, max_frames: int = 1) -> None:
        super().__init__()
        self.max_frames_in_batch = max_frames
        self.surfaces: list[Any] = []
        self.meta_mutex = threading.RLock()

    @property
    def num_frames_in_batch(self) -> int:
        """How many frames were added."""
        return len(self.frames)

    @property
    def frame_meta_list(self) -> GList | None:
        """The pyds view of `frames`."""
        return glist(self.frames)

    @property
    def batch_user_meta_list(self) -> GList | None:
        """The pyds view of `user_metas`."""
        return glist(self.user_metas)

    @property
    def frame_meta_pool(self) -> NvDsMetaPool:
        """The frames in use."""
        return _pool(NvDsMetaType.NVDS_FRAME_META, self.frames)

    @property
    def obj_meta_pool(self) -> NvDsMetaPool:
        """The objects in use, of all frames."""
        return _pool(NvDsMetaType.NVDS_OBJ_META, self._all_objects())

    @property
    def classifier_meta_pool(self) -> NvDsMetaPool:
        """The classifier metas in use, of all objects."""
        metas = (meta for item in self._all_objects() for meta in item.classifiers)
        return _pool(NvDsMetaType.NVDS_CLASSIFIER_META, metas)

    @property
    def label_info_meta_pool(self) -> NvDsMetaPool:
        """The labels in use, of all classifier metas."""
        classifiers = self.classifier_meta_pool.full
        labels = (label for meta in classifiers for label in meta.labels)
        return _pool(NvDsMetaType.NVDS_LABEL_INFO_META, labels)

    @property
    def display_meta_pool(self) -> NvDsMetaPool:
        """The display metas in use, of all frames."""
        metas = (meta for frame in self.frames for meta in frame.displays)
        return _pool(NvDsMetaType.NVDS_DISPLAY_META, metas)

    @property
    def user_meta_pool(self) -> NvDsMetaPool:
        """The user metas in use, of the batch, its frames and its objects."""
        return _pool(NvDsMetaType.NVDS_USER_META, self._all_user_metas())

    def copy(self) -> "NvDsBatchMeta":
        """Copy all metadata; the surfaces are shared, as device memory is."""
        with self.meta_mutex:
            other = super().copy()
        other.surfaces = list(self.surfaces)
        other.meta_mutex = threading.RLock()
        return other

    def release(self) -> None:
        """Give every user meta to its writer's release function; the buffer is gone."""
        for meta in self._all_user_metas():
            if meta.release_func is not None:
                meta.release_func(meta)

    def _all_user_metas(self) -> Iterator[NvDsUserMeta]:
        yield from self.user_metas
        for frame in self.frames:
            yield from frame.user_metas
        for item in self._all_objects():
            yield from item.user_metas

    def _all_objects(self) -> Iterator[NvDsObjectMeta]:
        return (item for frame in self.frames for item in frame.objects)


def adopt(objects: list[NvDsObjectMeta], copies: list[NvDsObjectMeta]) -> None:
    """Make the parents of copied objects the copied parents; one that was not copied is lost."""
    twins = dict(zip(map(id, objects), copies, strict=True))
    for meta in copies:
        if meta.parent is not None:
            meta.parent = twins.get(id(meta.parent))


def _pool(meta_type: NvDsMetaType, items: Iterable[Any]) -> NvDsMetaPool:
    pool = NvDsMetaPool()
    pool.meta_type = meta_type
    pool.full = list(items)
    return pool


def live_objects() -> dict[str, int]:
    """Count the metas that are alive in this process, by type; slow, for tests and leak hunts."""
    kinds = (
        NvDsBatchMeta,
        NvDsFrameMeta,
        NvDsObjectMeta,
        NvDsClassifierMeta,
        NvDsLabelInfo,
        NvDsUserMeta,
        NvDsDisplayMeta,
        NvDsInferTensorMeta,
    )
    return dict(Counter(type(item).__name__ for item in gc.get_objects() if type(item) in kinds))
